-- Once a second for all workers of a supervisor: keep their leases, count the clock, promote what is
-- due, prune what is old.
--
-- USES clock guard whole made lanes priorities bell marks replies finish dead ids prune
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] scheduled
-- KEYS[5] lanes
-- KEYS[6] lanes_old
-- KEYS[7] bell
-- ARGV[1] now_ms
-- ARGV[2...] kept  ids of the workers to keep alive
--
-- Returns {server time, lost workers, lapsed workers, promoted, more, ms until due or -1, waiting, alone};
-- the last two are what may be claimed: 0 while paused.

local SLOW_MS, PROMOTE_MAX, LAPSED_MAX = 10000, 1000, 100

local base, meta, now = KEYS[1], KEYS[2], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', 'priorities', 'lanes_ms', 'paused', 'slow_ms')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end

local clock, lease = advance_clock(meta, now)
local lost = {}
for i = 2, #ARGV do
  if not_a_member(KEYS[3], ARGV[i]) then
    lost[#lost + 1] = ARGV[i]
  else
    redis.call('ZADD', KEYS[3], 'XX', clock + lease, ARGV[i])
  end
end
local lapsed = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', '(' .. clock, 'LIMIT', 0, LAPSED_MAX)

local promoted, more = promote(base, now, PROMOTE_MAX)
if promoted > 0 then ring(KEYS[7]) end
more = prune(base, meta, now) or more
rotate_lanes(meta, KEYS[5], KEYS[6], kept[4], now)

-- Foreign producers announce no priority.
if math.abs(now - tonumber(kept[6] or 0)) >= SLOW_MS then
  local found = { ['0'] = true }
  for priority = -100, 100 do
    if redis.call('EXISTS', base .. PLACE .. priority) == 1 then found[tostring(priority)] = true end
  end
  add_priorities(meta, kept[3], found)
  redis.call('HSET', meta, 'slow_ms', now)
end

local priorities = priorities_of(redis.call('HGET', meta, 'priorities'))
local waiting, alone = count_all(base, priorities)
return { now, lost, lapsed, promoted, more and 1 or 0, due_in(KEYS[4], now), kept[5] and 0 or waiting,
  kept[5] and 0 or alone }
