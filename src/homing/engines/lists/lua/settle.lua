-- End runs: ack, run again, bury, hand back, cancel. The gate of each is its removal from the worker's
-- own active list: what the worker does not hold is refused and changes nothing.
--
-- USES clock guard whole bell priorities stats items marks replies finish dead
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
-- ARGV[5...] groups   (what, times, priority, how many, items)*; times 'wait/run', each the log2 bucket of its ms.
--                     Items of ack are (id), of result (id, result), of again (id, delay_ms, attempt, meta), of
--                     dead (id, attempt, error), of back (id), oldest first, of cancel (id, reason)
--
-- Returns {how many, refused ids, 1 when this number or a later one was here before: nothing is done then}.

local base, meta, active, now = KEYS[1], KEYS[2], KEYS[4], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', unpack(BOUNDS))
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

local lean, lost, ends, told, earlier = ARGV[3] == '1', {}, {}, 0, false
local groups, kinds, ids, count, soonest = read_groups(5, 1), {}, {}, 0, nil
for _, group in ipairs(groups) do
  -- Reads that may fail on a key of the wrong type stand before the first write.
  if group[1] == 'again' then soonest = soonest or earliest_due(KEYS[5]) end
  kinds[group[1]] = true
  for i = group[4], group[5] - 1, group[6] do
    count = count + 1
    ids[count] = ARGV[i]
  end
end
local awaited, marked = look_around(base, kinds, lean)
if kinds.back then look_at_places(base, priorities_of(redis.call('HGET', meta, 'priorities'))) end
local suspects = kinds.back and marked and redis.call('EXISTS', base .. ':suspects') == 1
local mine = taken_out(active, ids)

local job_key, gone, leaving, acked, back = base .. ':job:', {}, 0, {}, {}

-- What becomes of a job: its place in ARGV, its id and priority.
local function verbs()
  -- A job whose body went away while it ran is counted, one that is no hash any more is buried raw:
  -- neither is written to.
  local function has_body(id, priority)
    local found = redis.pcall('HEXISTS', job_key .. id, 'state')
    if found == 1 then return true end
    if found == 0 then
      redis.call('HINCRBY', meta, 'missing', 1)
    else
      bury_raw(base, id, now, priority)
    end
    return false
  end

  local function ended(id, state, body)
    leaving = leaving + 1
    gone[leaving] = job_key .. id
    ends[told + 1], ends[told + 2], ends[told + 3] = id, state, body
    told = told + 3
  end

  return {
    ack = function(_, id) ended(id, 'completed', '') end,
    result = function(i, id) ended(id, 'completed', ARGV[i + 1]) end,
    again = function(i, id, priority)
      if not has_body(id, priority) then return end
      local job, due = job_key .. id, now + tonumber(ARGV[i + 1])
      unfold(job)
      redis.call('HSET', job, 'state', 'scheduled', 'attempt', ARGV[i + 2], 'due_ms', due)
      if ARGV[i + 3] ~= '' then redis.call('HSET', job, 'meta', ARGV[i + 3]) end
      redis.call('ZADD', KEYS[5], due, id)
      if not soonest or due < soonest then earlier = true end
    end,
    dead = function(i, id, priority)
      if has_body(id, priority) then bury(base, id, now, ARGV[i + 1], ARGV[i + 2]) end
    end,
    back = function(_, id, priority)
      if has_body(id, priority) then back[#back + 1] = id end
    end,
    cancel = function(i, id) ended(id, 'cancelled', ARGV[i + 1]) end,
  }
end

local done, tally, n, settle = 0, new_tally(), 0, nil
for _, group in ipairs(groups) do
  local priority, before = group[3], done
  -- Most are, and a call costs: functions are made for those that are not.
  local plain = group[1] == 'ack' and not awaited
  if not plain then settle = settle or verbs() end
  local act = settle and settle[group[1]]
  for i = group[4], group[5] - 1, group[6] do
    n = n + 1
    if not mine[n] then
      lost[#lost + 1] = ids[n]
    else
      done = done + 1
      if plain then
        leaving = leaving + 1
        gone[leaving] = job_key .. ids[n]
        acked[#acked + 1] = ids[n]
      else
        act(i, ids[n], priority)
      end
    end
  end
  count_ends(tally, group[1], group[2], done - before)
end
if leaving > 0 then redis.call('DEL', unpack(gone)) end
for i = #back, 1, -1 do push_back(base, back[i], suspects) end

if ARGV[4] ~= '0' then redis.call('HSET', KEYS[7], 'settled', ARGV[4]) end
finish(base, kept, ends, acked, now, lean, awaited, marked)
if #lost > 0 then redis.call('HINCRBY', meta, 'refused', #lost) end
if not lean then add_settled(base, now, tally, #lost) end
if #back > 0 or earlier then ring(KEYS[6]) end
return { done, lost, 0 }
