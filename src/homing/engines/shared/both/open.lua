-- Make the queue this engine's, and keep the given settings.
--
-- USES guard
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta       hash of the queue's settings, clock, token and counters
-- ARGV[1...] settings  (name, value)*
--
-- Returns the engine's name.

local refused = refusal(ENGINE, unpack(redis.call('HMGET', KEYS[2], 'engine', 'version')))
if refused then return refused end

redis.call('HSET', KEYS[2], 'engine', ENGINE, 'version', DATA_VERSION)
if #ARGV > 0 then redis.call('HSET', KEYS[2], unpack(ARGV)) end
return ENGINE
