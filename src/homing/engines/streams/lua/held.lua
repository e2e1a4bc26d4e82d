-- What the worker holds and does not know of, with a new token: a claim's reply may have been lost.
--
-- USES clock guard whole made bell priorities marks replies finish dead records
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] worker:worker
-- KEYS[5] scheduled
-- ARGV[1] now_ms
-- ARGV[2] worker
-- ARGV[3] number
-- ARGV[4...] known       ids
--
-- Returns as claim does, at most 1,000 jobs.

local HELD_MAX = 1000

local base, meta = KEYS[1], KEYS[2]
local now, micros = now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', 'paused', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2]) or not_a_member(KEYS[3], ARGV[2])
  or outnumbered(KEYS[4], ARGV[3])
if refused then return refused end

redis.call('HSET', KEYS[4], 'number', ARGV[3])
local known, jobs, more = {}, {}, 0
for i = 4, #ARGV do known[ARGV[i]] = true end

-- The entries of a page whose jobs are not known; those without a body are let go and counted.
local function unknown_of(priority, pending)
  local key, found = base .. ':stream:' .. priority, {}
  for _, one in ipairs(pending) do
    local flat = read_entry(base, priority, one[1])
    if not flat then
      redis.call('XACK', key, GROUP, one[1])
      redis.call('HINCRBY', meta, 'missing', 1)
    elseif not known[id_of(priority, one[1], flat)] then
      found[#found + 1] = { one[1], flat }
    end
  end
  return found
end

for _, priority in ipairs(priorities_of(kept[4])) do
  local from = '-'
  while from do
    local pending = pending_now(base .. ':stream:' .. priority, from, HELD_MAX, ARGV[2])
    from = #pending == HELD_MAX and '(' .. pending[#pending][1] or nil
    local found = unknown_of(priority, pending)
    while #jobs / JOB + #found > HELD_MAX do
      table.remove(found)
      more = 1
    end
    if #found > 0 then hand_out(base, priority, found, jobs) end
  end
end

local token = '0'
if #jobs > 0 then token = next_token(meta, now, micros) end
local alone = redis.call('HGET', KEYS[4], 'alone') and 1 or 0
return { now, due_in(KEYS[5], now), kept[3] and 1 or 0, more, token, alone, jobs }
