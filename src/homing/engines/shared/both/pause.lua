-- Claims give nothing until resume.
--
-- USES guard
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
--
-- Returns 1.

local refused = refusal(ENGINE, unpack(redis.call('HMGET', KEYS[2], 'engine', 'version')))
if refused then return refused end

redis.call('HSET', KEYS[2], 'paused', '1')
return 1
