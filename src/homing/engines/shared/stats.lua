local STATS_S = 86400

-- Add counters to the minute's statistics, which are kept for 24 hours.
local function add_stats(base, now, counters)
  local key = base .. ':stats:' .. string.format('%.0f', math.floor(now / 60000))
  local fresh = false
  for name, count in pairs(counters) do
    if count > 0 and redis.call('HINCRBY', key, name, count) == count then fresh = true end
  end
  if fresh then redis.call('EXPIRE', key, STATS_S) end
end

-- Count a time into its log2 bucket: 0, 1-2, 3-6, 7-14 ms ...
local function add_time(counters, name, ms)
  local _, bits = math.frexp(tonumber(ms) + 1)
  local bucket = name .. ':' .. bits - 1
  counters[bucket] = (counters[bucket] or 0) + 1
end

-- Both times of a run, which a settlement carries as 'wait/run' in ms.
local function add_times(counters, times)
  local wait, run = string.match(times, '^(%d+)/(%d+)$')
  add_time(counters, 'wait', wait)
  add_time(counters, 'run', run)
end
