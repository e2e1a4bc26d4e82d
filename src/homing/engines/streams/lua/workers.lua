-- The workers of the queue: who they are, until when their leases run, how many jobs they hold.
--
-- USES guard whole made priorities
-- FLAGS no-writes
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
--
-- Returns (worker, info, ms until its lease ends on the counted clock, holding)*.

local kept = redis.call('HMGET', KEYS[2], 'engine', 'version', 'clock_ms', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end

-- How many entries each consumer has pending.
local holding = {}
for _, priority in ipairs(priorities_of(kept[4])) do
  local summary = redis.pcall('XPENDING', KEYS[1] .. ':stream:' .. priority, GROUP)
  for _, consumer in ipairs(not summary.err and summary[4] or {}) do
    holding[consumer[1]] = (holding[consumer[1]] or 0) + tonumber(consumer[2])
  end
end

local found, scored = {}, redis.call('ZRANGE', KEYS[3], 0, -1, 'WITHSCORES')
for i = 1, #scored, 2 do
  local worker = scored[i]
  append(found, worker, redis.call('HGET', KEYS[1] .. ':worker:' .. worker, 'info') or '{}')
  append(found, tonumber(scored[i + 1]) - tonumber(kept[3] or 0),
    holding[worker] or 0)
end
return found
