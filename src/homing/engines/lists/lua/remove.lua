-- Delete a job that no worker holds, with all traces. Who waits for its end hears that it is cancelled.
--
-- USES clock guard whole marks replies finish dead records
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] scheduled
-- KEYS[4] ids
-- KEYS[5] replies
-- KEYS[6] finished      hash of the newest ends
-- KEYS[7] finished_old
-- ARGV[1] id
--
-- Returns the state it was in, '' when there is no such job.

local base, id = KEYS[1], ARGV[1]
local refused = refusal(ENGINE, unpack(redis.call('HMGET', KEYS[2], 'engine', 'version')))
if refused then return refused end
local record = describe(base, id)
if not record then return '' end
local state = record[4]
if state == 'active' then return state end

redis.call('HLEN', KEYS[5])  -- it may fail on a key of the wrong type: nothing is written yet
if state == 'waiting' and not take_waiting(base, id) then return 'active' end
redis.call('ZREM', KEYS[3], id)
forget_dead(base, id, 0)
redis.call('DEL', base .. ':job:' .. id, base .. ':result:' .. id)
forget_facts(KEYS[6], { id })
forget_facts(KEYS[7], { id })
redis.call('HDEL', base .. ':suspects', id)
redis.call('ZREM', KEYS[4], id)
reply_cancelled(base, KEYS[5], { id })
return state
