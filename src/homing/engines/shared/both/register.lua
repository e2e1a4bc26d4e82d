-- Make a worker a member, with a full lease. Its id is new; only this adds a member, and once: the id is
-- kept like a lane, so that a copy of this call that comes late adds nobody who has left.
--
-- USES clock guard whole made lanes priorities
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers        sorted set, worker -> lease expiry (ms on the counted clock), -1 when fenced
-- KEYS[4] worker:worker  hash of what it is
-- KEYS[5] lanes
-- KEYS[6] lanes_old
-- ARGV[1] now_ms
-- ARGV[2] worker
-- ARGV[3] info
-- ARGV[4...] settings    (name, value)*
--
-- Returns {lease in ms, server time, 1 when paused}.

local meta, now = KEYS[2], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', 'priorities', 'paused')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
-- Nor must a copy take numbers back, or undo a reclaim that is under way.
if redis.call('ZSCORE', KEYS[3], ARGV[2]) or lane_last(KEYS[5], KEYS[6], ARGV[2]) then
  return { tonumber(redis.call('HGET', meta, 'lease_ms') or 10000), now, kept[4] and 1 or 0 }
end

redis.call('HSET', meta, 'engine', ENGINE, 'version', DATA_VERSION)
if #ARGV > 3 then redis.call('HSET', meta, unpack(ARGV, 4)) end
add_priorities(meta, kept[3], { ['0'] = true })
local clock, lease = advance_clock(meta, now)
redis.call('ZADD', KEYS[3], clock + lease, ARGV[2])
redis.call('HSET', KEYS[4], 'info', ARGV[3], 'since_ms', now, 'number', 0)
keep_lane(KEYS[5], ARGV[2], '1', '')
return { lease, now, kept[4] and 1 or 0 }
