local STATS_S = 86400

-- Add counters to the minute's statistics, which are kept for 24 hours. No job waits for them: where another program took
-- their key for something else, they are not counted.
local function add_stats(base, now, counters)
  local key = base .. ':stats:' .. string.format('%.0f', math.floor(now / 60000))
  local fresh = false
  for name, count in pairs(counters) do
    if count > 0 and redis.pcall('HINCRBY', key, name, count) == count then fresh = true end
  end
  if fresh then redis.call('EXPIRE', key, STATS_S) end
end

local SETTLED = { ack = 'acked', result = 'acked', again = 'retried', dead = 'buried', back = 'released', cancel = 'cancelled' }

-- Ends of a batch are tallied by kind and by their times 'wait/run', which are buckets of log2: 0, 1-2, 3-6,
-- 7-14 ms ...; what was handed back took none.
local function new_tally() return { {}, {} } end

local function count_ends(tally, kind, spent, count)
  tally[1][kind] = (tally[1][kind] or 0) + count
  if spent ~= '' then tally[2][spent] = (tally[2][spent] or 0) + count end
end

local function add_settled(base, now, tally, refused)
  local counters = { refused = refused }
  local function add(name, count) counters[name] = (counters[name] or 0) + count end
  for kind, count in pairs(tally[1]) do add(SETTLED[kind], count) end
  for spent, count in pairs(tally[2]) do
    local wait, run = string.match(spent, '^(%d+)/(%d+)$')
    add('wait:' .. wait, count)
    add('run:' .. run, count)
  end
  add_stats(base, now, counters)
end
