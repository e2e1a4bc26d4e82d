-- How many jobs are where.
--
-- USES guard whole made priorities finish
-- FLAGS no-writes
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] scheduled
-- KEYS[5] dead
-- KEYS[6] suspects
-- KEYS[7] finished
-- KEYS[8] finished_old
-- KEYS[9] ids
-- KEYS[10] replies
--
-- Returns (name, number)*.

local base, meta = KEYS[1], KEYS[2]
local kept = redis.call('HMGET', meta, 'engine', 'version', 'priorities', 'paused', 'missing', 'taken', 'refused')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end

local waiting, _, active = count_all(base, priorities_of(kept[3]))
return {
  'waiting', waiting, 'active', active, 'workers', redis.call('ZCARD', KEYS[3]),
  'scheduled', redis.call('ZCARD', KEYS[4]), 'dead', redis.call('ZCARD', KEYS[5]),
  'suspects', redis.call('HLEN', KEYS[6]),
  'finished', count_facts(KEYS[7]) + count_facts(KEYS[8]),
  'ids', redis.call('ZCARD', KEYS[9]), 'replies', redis.call('HLEN', KEYS[10]),
  'paused', kept[4] and 1 or 0,
  'missing', tonumber(kept[5] or 0), 'taken', tonumber(kept[6] or 0), 'refused', tonumber(kept[7] or 0),
}
