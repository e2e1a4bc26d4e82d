-- Dead -> waiting, as if they were new: no attempts, no marks.
--
-- USES clock guard whole bell stats marks replies finish dead
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] dead      sorted set, id -> time of burial (ms)
-- KEYS[4] suspects
-- KEYS[5] bell
-- KEYS[6] scheduled
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
    if redis.call('EXISTS', raw) == 1 then
      redis.call('RENAME', raw, job)
      redis.call('ZADD', KEYS[6], now, id)
    else
      to_entry(base, id, redis.call('HGETALL', job), '0')
    end
    redis.call('HDEL', KEYS[4], id)
    replayed[#replayed + 1] = id
  end
end
add_stats(base, now, { replayed = #replayed })
if #replayed > 0 then ring(KEYS[5]) end
return replayed
