-- End runs: ack, run again, bury, hand back, cancel. The gate of each is its removal from the worker's
-- own active list: what the worker does not hold is refused and changes nothing.
--
-- USES clock guard bell stats marks replies finish dead
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] active:worker
-- KEYS[5] scheduled
-- KEYS[6] bell
-- KEYS[7] worker:worker
-- ARGV[1] now_ms
-- ARGV[2] worker
-- ARGV[3] lean        1: store no result, fact or statistic
-- ARGV[4] number      grows with every batch of this worker, 0: not numbered
-- ARGV[5] acks        how many of each follow, in this order
-- ARGV[6] agains
-- ARGV[7] deads
-- ARGV[8] backs
-- ARGV[9] cancels
-- ARGV[10...] items    acks (id, ref, times, result)*, agains (id, ref, times, delay_ms, attempt, meta)*,
--                     deads (id, ref, times, attempt, error)*, backs (id, ref, times)*, oldest first,
--                     cancels (id, ref, times, reason)*; times 'wait/run' in ms
--
-- Returns {how many, refused ids, 1 when this number or a later one was here before: nothing is done then}.

local base, meta, active, now = KEYS[1], KEYS[2], KEYS[4], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version')
local refused = refusal(ENGINE, kept[1], kept[2]) or not_a_member(KEYS[3], ARGV[2])
if refused then return refused end
-- A copy whose answer was lost, or that comes late: its jobs may be in this worker's hands again.
if ARGV[4] ~= '0' then
  local last = redis.call('HGET', KEYS[7], 'settled')
  if last and tonumber(ARGV[4]) <= tonumber(last) then
    -- WAIT tells of the last write of a connection, and a call sent again comes on a new one.
    redis.call('HSET', KEYS[7], 'settled', last)
    return { 0, {}, 1 }
  end
end

local lean, at = ARGV[3] == '1', 10
local done, lost, ends, counters, back, earlier = 0, {}, {}, {}, {}, false
local soonest = earliest_due(KEYS[5])
local suspects = redis.call('EXISTS', base .. ':suspects') == 1

-- The gate, and what counts as done behind it.
local function mine(i, name)
  if redis.call('LREM', active, -1, ARGV[i]) == 0 then
    lost[#lost + 1] = ARGV[i]
    return false
  end
  done = done + 1
  if not lean then
    counters[name] = (counters[name] or 0) + 1
    if name ~= 'released' then add_times(counters, ARGV[i + 2]) end
  end
  return true
end

-- A job whose body went away while it ran is counted, one that is no hash any more is buried raw:
-- neither is written to.
local function has_body(i)
  local found = redis.pcall('HEXISTS', base .. ':job:' .. ARGV[i], 'state')
  if found == 1 then return true end
  if found == 0 then
    redis.call('HINCRBY', meta, 'missing', 1)
  else
    bury_raw(base, ARGV[i], now, ARGV[i + 1])
  end
  return false
end

for i = at, at + 4 * ARGV[5] - 1, 4 do
  if mine(i, 'acked') then
    redis.call('DEL', base .. ':job:' .. ARGV[i])
    ends[#ends + 1] = { ARGV[i], 'completed', ARGV[i + 3] }
  end
end
at = at + 4 * ARGV[5]
for i = at, at + 6 * ARGV[6] - 1, 6 do
  if mine(i, 'retried') and has_body(i) then
    local job, due = base .. ':job:' .. ARGV[i], now + tonumber(ARGV[i + 3])
    redis.call('HSET', job, 'state', 'scheduled', 'attempt', ARGV[i + 4], 'due_ms', due)
    if ARGV[i + 5] ~= '' then redis.call('HSET', job, 'meta', ARGV[i + 5]) end
    redis.call('ZADD', KEYS[5], due, ARGV[i])
    if not soonest or due < soonest then earlier = true end
  end
end
at = at + 6 * ARGV[6]
for i = at, at + 5 * ARGV[7] - 1, 5 do
  if mine(i, 'buried') and has_body(i) then bury(base, ARGV[i], now, ARGV[i + 3], ARGV[i + 4]) end
end
at = at + 5 * ARGV[7]
for i = at, at + 3 * ARGV[8] - 1, 3 do
  if mine(i, 'released') and has_body(i) then back[#back + 1] = ARGV[i] end
end
for i = #back, 1, -1 do push_back(base, back[i], suspects) end
at = at + 3 * ARGV[8]
for i = at, at + 4 * ARGV[9] - 1, 4 do
  if mine(i, 'cancelled') then
    redis.call('DEL', base .. ':job:' .. ARGV[i])
    ends[#ends + 1] = { ARGV[i], 'cancelled', ARGV[i + 3] }
  end
end

if ARGV[4] ~= '0' then redis.call('HSET', KEYS[7], 'settled', ARGV[4]) end
finish(base, meta, ends, now, lean)
if #lost > 0 then
  redis.call('HINCRBY', meta, 'refused', #lost)
  counters.refused = #lost
end
if not lean then add_stats(base, now, counters) end
if #back > 0 or earlier then ring(KEYS[6]) end
return { done, lost, 0 }
