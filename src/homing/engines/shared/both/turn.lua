-- Whether it is time for the next page of `verify`, for whoever asks first: all that look after a queue look
-- through it together, each a page where the one before stopped.
--
-- USES clock guard
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- ARGV[1] now_ms
-- ARGV[2] every_ms  so long after the last turn it is time for another
--
-- Returns {1, cursor} or {0, ''}.

local meta, now = KEYS[2], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', 'verified_ms', 'verify_cursor')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
-- A clock that was set back must not end the looking: what is far ahead is no time to wait for.
if kept[3] and math.abs(now - tonumber(kept[3])) < tonumber(ARGV[2]) then return { 0, '' } end

redis.call('HSET', meta, 'verified_ms', now)
return { 1, kept[4] or '' }
