-- End runs: ack, run again, bury, hand back, cancel. The gate of each is ownership: the entry is pending
-- for this worker, and the index still names it; what is not so is refused and changes nothing.
--
-- USES clock guard bell stats marks replies finish dead
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] index
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

local base, meta, worker, now = KEYS[1], KEYS[2], ARGV[2], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version')
local refused = refusal(ENGINE, kept[1], kept[2]) or not_a_member(KEYS[3], worker)
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

local lean, lost, ends, counters = ARGV[3] == '1', {}, {}, {}
local soonest, earlier = earliest_due(KEYS[5]), false
local suspects = redis.call('EXISTS', base .. ':suspects') == 1

-- All items in one list: {kind, id, priority, entry, position in ARGV}.
local items, ids, at = {}, {}, 10
for kind, width in ipairs({ 4, 6, 5, 3, 4 }) do
  for i = at, at + width * ARGV[4 + kind] - 1, width do
    local priority, entry = parts_of(ARGV[i + 1])
    items[#items + 1] = { kind, ARGV[i], priority or '0', entry or '0-0', i }
    ids[#ids + 1] = ARGV[i]
  end
  at = at + width * ARGV[4 + kind]
end
local mine = owned(base, worker, items)
local refs = #ids > 0 and redis.call('HMGET', KEYS[4], unpack(ids)) or {}

local gone, gone_ids, back, apart = {}, {}, {}, {}
local function put(lists, priority, entry)
  lists[priority] = lists[priority] or {}
  table.insert(lists[priority], entry)
end
local function leaves(item)
  put(gone, item[3], item[4])
  gone_ids[#gone_ids + 1] = item[2]
end

-- The entry's job moves into a hash; a body that went away is counted.
local function stands_in_hash(item, state, attempt, new_meta)
  leaves(item)
  local flat = read_entry(base, item[3], item[4])
  if not flat then
    redis.call('HINCRBY', meta, 'missing', 1)
    return false
  end
  to_hash(base, item[2], item[3], item[4], flat, state, attempt, new_meta)
  return true
end

local settle = {
  function(item, i)
    leaves(item)
    ends[#ends + 1] = { item[2], 'completed', ARGV[i + 3] }
  end,
  function(item, i)
    if stands_in_hash(item, 'scheduled', ARGV[i + 4], ARGV[i + 5]) then
      local due = now + tonumber(ARGV[i + 3])
      redis.call('ZADD', KEYS[5], due, item[2])
      if not soonest or due < soonest then earlier = true end
    end
  end,
  function(item, i)
    if stands_in_hash(item, 'dead', ARGV[i + 3], nil) then
      bury(base, item[2], now, ARGV[i + 3], ARGV[i + 4])
    end
  end,
  function(item)
    put(suspects and is_suspect(base .. ':suspects', item[2]) and apart or back, item[3], item[4])
  end,
  function(item, i)
    leaves(item)
    ends[#ends + 1] = { item[2], 'cancelled', ARGV[i + 3] }
  end,
}

local NAMES = { 'acked', 'retried', 'buried', 'released', 'cancelled' }
local done = 0
for n, item in ipairs(items) do
  local ref = item[3] .. '/' .. item[4]
  if mine[ref] and refs[n] == ref then
    mine[ref] = nil
    done = done + 1
    counters[NAMES[item[1]]] = (counters[NAMES[item[1]]] or 0) + 1
    if item[1] ~= 4 then add_times(counters, ARGV[item[5] + 2]) end
    settle[item[1]](item, item[5])
  else
    lost[#lost + 1] = item[2]
  end
end
for priority, entries in pairs(gone) do drop_entries(base, priority, entries, {}) end
if #gone_ids > 0 then redis.call('HDEL', KEYS[4], unpack(gone_ids)) end
hand_back(base, back, 'returned')
hand_back(base, apart, 'alone')

if ARGV[4] ~= '0' then redis.call('HSET', KEYS[7], 'settled', ARGV[4]) end
finish(base, meta, ends, now, lean)
if #lost > 0 then
  redis.call('HINCRBY', meta, 'refused', #lost)
  counters.refused = #lost
end
if not lean then add_stats(base, now, counters) end
if next(back) or next(apart) or earlier then ring(KEYS[6]) end
return { done, lost, 0 }
