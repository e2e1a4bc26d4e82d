-- End runs: ack, run again, bury, hand back, cancel. The gate of each is ownership: the entry is pending
-- for this worker; what is not so is refused and changes nothing.
--
-- USES clock guard whole bell stats items marks replies finish dead
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
-- ARGV[5...] groups   (what, times, priority, how many, items)*; times 'wait/run', each the log2 bucket of its ms.
--                     Items of ack are (id, entry), of result (id, entry, result), of again (id, entry, delay_ms,
--                     attempt, meta), of dead (id, entry, attempt, error), of back (id, entry), oldest first, of
--                     cancel (id, entry, reason)
--
-- Returns {how many, refused ids, 1 when this number or a later one was here before: nothing is done then}.

local base, meta, worker, now = KEYS[1], KEYS[2], ARGV[2], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', unpack(BOUNDS))
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

local lean, lost, ends, told = ARGV[3] == '1', {}, {}, 0
local soonest, earlier = nil, false

local groups, entries_of, mine, kinds = read_groups(5, 0), {}, {}, {}
for _, group in ipairs(groups) do
  -- Reads that may fail on a key of the wrong type stand before the first write.
  if group[1] == 'again' then soonest = soonest or earliest_due(KEYS[5]) end
  kinds[group[1]] = true
  local entries = entries_of[group[3]] or {}
  entries_of[group[3]] = entries
  local count = #entries
  for i = group[4], group[5] - 1, group[6] do
    count = count + 1
    entries[count] = ARGV[i + 1]
  end
end
local awaited, marked = look_around(base, kinds, lean)
local indexed = redis.call('HLEN', KEYS[4]) > 0
local suspects = kinds.back and marked and redis.call('EXISTS', base .. ':suspects') == 1
for priority, entries in pairs(entries_of) do
  mine[priority] = owned(base .. ':stream:' .. priority, worker, entries)
end

local gone, gone_ids, leaving, acked, back, apart = {}, {}, 0, {}, {}, {}
local function put(lists, priority, entry)
  local list = lists[priority]
  if not list then
    list = {}
    lists[priority] = list
  end
  list[#list + 1] = entry
end

-- The entry's job moves into a hash; a body that went away is counted.
local function stands_in_hash(id, priority, entry, state, attempt, new_meta)
  local flat = read_entry(base, priority, entry)
  if not flat then
    redis.call('HINCRBY', meta, 'missing', 1)
    return false
  end
  to_hash(base, id, priority, entry, flat, state, attempt, new_meta)
  return true
end

local function ended(id, state, body)
  ends[told + 1], ends[told + 2], ends[told + 3] = id, state, body
  told = told + 3
end

-- What becomes of a job: its place in ARGV, its id, priority and entry.
local settle = {
  ack = function(_, id) ended(id, 'completed', '') end,
  result = function(i, id) ended(id, 'completed', ARGV[i + 2]) end,
  again = function(i, id, priority, entry)
    if stands_in_hash(id, priority, entry, 'scheduled', ARGV[i + 3], ARGV[i + 4]) then
      local due = now + tonumber(ARGV[i + 2])
      redis.call('ZADD', KEYS[5], due, id)
      if not soonest or due < soonest then earlier = true end
    end
  end,
  dead = function(i, id, priority, entry)
    if stands_in_hash(id, priority, entry, 'dead', ARGV[i + 2], nil) then
      bury(base, id, now, ARGV[i + 2], ARGV[i + 3])
    end
  end,
  back = function(_, id, priority, entry)
    put(suspects and is_suspect(base .. ':suspects', id) and apart or back, priority, entry)
  end,
  cancel = function(i, id) ended(id, 'cancelled', ARGV[i + 2]) end,
}

-- One group through the gate. Returns how many were this worker's.
local function settle_group(kind, priority, first, past, width)
  local held, act, let_through = mine[priority], settle[kind], 0
  -- Most are, and a call costs.
  local plain, leaves = kind == 'ack' and not awaited, kind ~= 'back'
  local drop = gone[priority] or {}
  gone[priority] = drop
  local dropped = #drop
  for i = first, past - 1, width do
    local id, entry = ARGV[i], ARGV[i + 1]
    if held[entry] then
      held[entry] = nil
      let_through = let_through + 1
      if leaves then
        dropped, leaving = dropped + 1, leaving + 1
        drop[dropped], gone_ids[leaving] = entry, id
      end
      if plain then
        acked[#acked + 1] = id
      else
        act(i, id, priority, entry)
      end
    else
      lost[#lost + 1] = id
    end
  end
  return let_through
end

local done, tally = 0, new_tally()
for _, group in ipairs(groups) do
  local count = settle_group(group[1], group[3], group[4], group[5], group[6])
  count_ends(tally, group[1], group[2], count)
  done = done + count
end
for priority, entries in pairs(gone) do
  if #entries > 0 then drop_entries(base, priority, entries, {}) end
end
if leaving > 0 and indexed then redis.call('HDEL', KEYS[4], unpack(gone_ids)) end
hand_back(base, back, 'returned')
hand_back(base, apart, 'alone')

if ARGV[4] ~= '0' then redis.call('HSET', KEYS[7], 'settled', ARGV[4]) end
finish(base, kept, ends, acked, now, lean, awaited, marked)
if #lost > 0 then redis.call('HINCRBY', meta, 'refused', #lost) end
if not lean then add_settled(base, now, tally, #lost) end
if next(back) or next(apart) or earlier then ring(KEYS[6]) end
return { done, lost, 0 }
