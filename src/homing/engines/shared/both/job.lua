-- One job, whole, in any state.
--
-- USES guard whole made priorities marks finish records
-- FLAGS no-writes
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] scheduled
-- ARGV[1] id
--
-- Returns its record, empty when there is none.

local refused = refusal(ENGINE, unpack(redis.call('HMGET', KEYS[2], 'engine', 'version')))
if refused then return refused end
local record = describe(KEYS[1], ARGV[1])
if not record then return {} end
local due = redis.call('ZSCORE', KEYS[3], ARGV[1])
if due then add_fields(record, { 'due_ms', due }) end
return record
