-- Claims give jobs again.
--
-- USES guard bell
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] bell
--
-- Returns 1.

local refused = refusal(ENGINE, unpack(redis.call('HMGET', KEYS[2], 'engine', 'version')))
if refused then return refused end

redis.call('HDEL', KEYS[2], 'paused')
ring(KEYS[3])
return 1
