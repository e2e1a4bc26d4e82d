-- Dead -> waiting, as if they were new: no attempts, no marks.
--
-- USES clock guard whole bell stats marks replies finish dead
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] dead      sorted set, id -> time of burial (ms)
-- KEYS[4] suspects
-- KEYS[5] bell
-- ARGV[1] now_ms
-- ARGV[2...] jobs   ids
--
-- Returns the ids that were dead.

local base, now = KEYS[1], now_ms(ARGV[1])
local refused = refusal(ENGINE, unpack(redis.call('HMGET', KEYS[2], 'engine', 'version')))
if refused then return refused end

local replayed = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  if redis.call('ZREM', KEYS[3], id) == 1 then
    local job, raw = base .. ':job:' .. id, base .. ':raw:' .. id
    local priority = priority_of(base, id)
    if redis.call('EXISTS', raw) == 1 then
      redis.call('RENAME', raw, job)
    else
      redis.call('HSET', job, 'state', 'waiting', 'attempt', '0', 'due_ms', now)
      redis.call('HDEL', job, 'dead_ms', 'error')
    end
    redis.call('HDEL', KEYS[4], id)
    redis.call('LPUSH', base .. ':waiting:' .. priority, id)
    replayed[#replayed + 1] = id
  end
end
add_stats(base, now, { replayed = #replayed })
if #replayed > 0 then ring(KEYS[5]) end
return replayed
