-- End a waiting or scheduled job as cancelled.
--
-- USES clock guard whole made stats priorities marks replies finish records
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] scheduled
-- ARGV[1] now_ms
-- ARGV[2] id
--
-- Returns the state it was in, '' when there is no such job.

local base, meta, now, id = KEYS[1], KEYS[2], now_ms(ARGV[1]), ARGV[2]
local kept = redis.call('HMGET', meta, 'engine', 'version', unpack(BOUNDS))
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local record = describe(base, id)
if not record then return '' end
local state = record[4]
if state ~= 'waiting' and state ~= 'scheduled' then return state end

local awaited, marked = look_around(base, { cancel = true }, false)
if state == 'scheduled' and redis.call('ZREM', KEYS[3], id) == 0 then return state end
if state == 'waiting' and not take_waiting(base, id) then return 'active' end
redis.call('DEL', base .. ':job:' .. id)
finish(base, kept, { id, 'cancelled', '' }, {}, now, false, awaited, marked)
add_stats(base, now, { cancelled = 1 })
return state
