-- What the worker holds and does not know of, with a new token: a claim's reply may have been lost.
--
-- USES clock guard whole bell marks replies finish dead
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] worker:worker
-- KEYS[5] active:worker
-- KEYS[6] scheduled
-- ARGV[1] now_ms
-- ARGV[2] worker
-- ARGV[3] number
-- ARGV[4...] known       ids
--
-- Returns as claim does, at most 1,000 jobs.

local base, meta, active = KEYS[1], KEYS[2], KEYS[5]
local now, micros = now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', 'paused')
local refused = refusal(ENGINE, kept[1], kept[2]) or not_a_member(KEYS[3], ARGV[2])
  or outnumbered(KEYS[4], ARGV[3])
if refused then return refused end

redis.call('HSET', KEYS[4], 'number', ARGV[3])
local known, jobs, more = {}, {}, 0
for i = 4, #ARGV do known[ARGV[i]] = true end
local ids = redis.call('LRANGE', active, 0, -1)
for i = #ids, 1, -1 do
  if not known[ids[i]] then
    if #jobs == 1000 * JOB then
      more = 1
      break
    end
    hand_out(base, active, ids[i], priority_of(base, ids[i]), ARGV[2], now, false, jobs)
  end
end

local token = '0'
if #jobs > 0 then token = next_token(meta, now, micros) end
local alone = redis.call('HGET', KEYS[4], 'alone') and 1 or 0
return { now, due_in(KEYS[6], now), kept[3] and 1 or 0, more, token, alone, jobs }
