-- The counters of one minute.
--
-- USES guard
-- FLAGS no-writes
-- KEYS[1] prefix
-- KEYS[2] meta
-- ARGV[1] minute  server ms / 60,000
--
-- Returns (name, number)*.

local refused = refusal(ENGINE, unpack(redis.call('HMGET', KEYS[2], 'engine', 'version')))
if refused then return refused end
return redis.call('HGETALL', KEYS[1] .. ':stats:' .. ARGV[1])
