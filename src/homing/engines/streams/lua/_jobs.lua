-- Where a job may stand: where the index says (`ref`, or nil), then where its id does: {priority, entry}*.
local function places_of(base, id, ref)
  local priority, entry = parts_of(ref or '')
  local places, own = { priority and { priority, entry } }, place_of(id)
  for _, one in ipairs(own and priorities_of(redis.call('HGET', base .. ':meta', 'priorities')) or {}) do
    places[#places + 1] = { one, own }
  end
  return places
end

-- The first of these places where the job stands: priority, entry, fields; nil when it stands at none.
local function find_at(base, id, places)
  for _, place in ipairs(places) do
    local priority, entry = place[1], place[2]
    local flat = read_entry(base, priority, entry)
    if flat and id_of(priority, entry, flat) == id then return priority, entry, flat end
  end
  return nil
end

-- Whether a job without a body is in somebody's hands still, at one of these places.
local function held_bare(base, places)
  for _, place in ipairs(places) do
    if owner_of(base .. ':stream:' .. place[1], place[2]) and not read_entry(base, place[1], place[2]) then return true end
  end
  return false
end

-- An entry that another program added, or that the index does not name, is entered there; when its id is
-- taken, it is dropped and counted. Returns its id, nil when it was dropped.
local function enter(base, priority, found, ref)
  local id = id_of(priority, found[1], found[2])
  local known = redis.call('HGET', base .. ':index', id)
  if known == ref then return id end
  local places = places_of(base, id, known)
  local at, entry = find_at(base, id, places)
  local free = not at and redis.call('EXISTS', base .. ':job:' .. id) == 0 and not held_bare(base, places)
  if free or (at == priority and entry == found[1]) then
    redis.call('HSET', base .. ':index', id, ref)
    return id
  end
  drop_entries(base, priority, { found[1] }, {})
  redis.call('HINCRBY', base .. ':meta', 'taken', 1)
  return nil
end

-- A job that has a past or a meta, or that another program added: {id, task, payload, sum, attempt, meta, fields}.
local function told_apart(id, flat)
  local fields = by_name(flat)
  return { id, fields.task or '', fields.payload or false, fields.sum or '', fields.attempt or '0', fields.meta or '',
    fields.payload and '' or flat }
end

-- Jobs whose place does not show in their id: `where` are their positions in `entries`, and, from there on, in `jobs`.
-- Those that are another's copy are dropped.
local function hand_out_indexed(base, priority, entries, where, jobs, at)
  local ids, dropped = {}, false
  for n, i in ipairs(where) do ids[n] = id_of(priority, entries[i][1], entries[i][2]) end
  local refs = redis.call('HMGET', base .. ':index', unpack(ids))
  for n, i in ipairs(where) do
    local entry, flat = entries[i][1], entries[i][2]
    local id, ref = ids[n], ref_of(priority, entry)
    if refs[n] ~= ref and not (refs[n] == false and place_of(id) == entry) then
      id = enter(base, priority, entries[i], ref)
    end
    -- Python reads the id there: it must be this one.
    local whole = id and flat[1] == WHOLE and not flat[3] and sub(flat[2], 1, #id + 1) == id .. ' '
    jobs[at + i * 2] = id and (whole and flat[2] or told_apart(id, unfolded(flat)))
    dropped = dropped or not id
  end
  local past = at + #entries * 2
  if not dropped then return end
  local kept = at
  for n = at + 1, past, 2 do
    local ref, told = jobs[n], jobs[n + 1]
    jobs[n], jobs[n + 1] = nil, nil
    if told then
      jobs[kept + 1], jobs[kept + 2] = ref, told
      kept = kept + 2
    end
  end
end

-- Claimed jobs as Python reads them, behind those in the flat list `jobs`: (ref, whole)*. Whether what stands where an id
-- says is an id in all its letters is looked at there, in a fifth of the time. Returns the positions of the others.
local function hand_out_placed(priority, entries, jobs)
  local at, where = #jobs, nil
  for i = 1, #entries do
    local entry, flat = entries[i][1], entries[i][2]
    local whole = flat[2]
    jobs[at + i * 2 - 1] = ref_of(priority, entry)
    local ours, letter7, letter8, letter9 = false, byte(whole, 7, 9)
    if flat[1] == WHOLE and not flat[3] and byte(whole, ID_LENGTH + 1) == 32 then
      if letter8 ~= eighth or letter7 ~= seventh or sub(whole, 1, 6) ~= six then look_at(whole, letter7, letter8) end
      ours = entry == head .. (tails[letter9] or tail_of(letter9))
    end
    if ours then
      jobs[at + i * 2] = whole
    else
      jobs[at + i * 2] = false
      where = where or {}
      where[#where + 1] = i
    end
  end
  return where
end

-- All of them: of some (ref, {...})*.
local function hand_out(base, priority, entries, jobs)
  local at = #jobs
  local where = hand_out_placed(priority, entries, jobs)
  if where then hand_out_indexed(base, priority, entries, where, jobs, at) end
end

-- Scheduled and due -> waiting, at most `limit`. Returns how many, and whether more are due.
local function promote(base, now, limit)
  local scheduled = base .. ':scheduled'
  local due = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, limit + 1)
  local promoted = 0
  for i = 1, math.min(#due, limit) do
    local id = due[i]
    redis.call('ZREM', scheduled, id)
    local fields = redis.pcall('HGETALL', base .. ':job:' .. id)
    if fields.err then
      bury_raw(base, id, now, '0')
    elseif #fields == 0 then
      redis.call('HINCRBY', base .. ':meta', 'missing', 1)
    else
      to_entry(base, id, fields)
      promoted = promoted + 1
    end
  end
  return promoted, #due > limit
end

-- How many entries of a stream may be claimed, wait apart as suspects, and are held by workers.
local function stream_counts(base, priority)
  local key = base .. ':stream:' .. priority
  local length = redis.call('XLEN', key)
  local summary = redis.pcall('XPENDING', key, GROUP)
  if summary.err or not summary[4] then return length, 0, 0 end
  local active, alone = 0, 0
  for _, consumer in ipairs(summary[4]) do
    if consumer[1] == 'alone' then
      alone = alone + tonumber(consumer[2])
    elseif consumer[1] ~= 'returned' then
      active = active + tonumber(consumer[2])
    end
  end
  return length - active, alone, active
end

local function count_all(base, priorities)
  local waiting, alone, active = 0, 0, 0
  for _, priority in ipairs(priorities) do
    local w, s, a = stream_counts(base, priority)
    waiting, alone, active = waiting + w, alone + s, active + a
  end
  return waiting, alone, active
end

-- An entry as a record.
local function entry_record(base, id, state, priority, entry, flat, owner)
  local record = { 'id', id, 'state', state, 'priority', priority }
  add_fields(record, flat)
  add_fields(record, { 'created_ms', string.match(entry, '^%d+') })
  if owner then add_fields(record, { 'worker', owner }) end
  return with_marks(base, record)
end

-- Where a job stands in the streams: priority, entry, fields; nil when it does not.
local function find_entry(base, id)
  -- One that another program added without an id says its own place.
  local ref = redis.call('HGET', base .. ':index', id) or string.gsub(id, '^(-?%d+)%.', '%1/')
  return find_at(base, id, places_of(base, id, ref))
end

-- Where a job is and what it is, in any state; nil when there is none.
local function describe(base, id)
  local priority, entry, flat = find_entry(base, id)
  if priority then
    local owner = owner_of(base .. ':stream:' .. priority, entry)
    if waits(owner) then return entry_record(base, id, 'waiting', priority, entry, flat, nil) end
    return entry_record(base, id, 'active', priority, entry, flat, owner)
  end
  local state = redis.pcall('HGET', base .. ':job:' .. id, 'state')
  if type(state) == 'table' then return with_marks(base, { 'id', id, 'state', 'scheduled' }) end
  if state then return with_marks(base, hash_record(base, id, state)) end
  return ended_record(base, id)
end

-- Take one waiting job out of its queue. Returns whether it waited.
local function take_waiting(base, id)
  local priority, entry = find_entry(base, id)
  if not priority or not waits(owner_of(base .. ':stream:' .. priority, entry)) then return false end
  drop_entries(base, priority, { entry }, { id })
  return true
end

-- The entries of a stream that were never delivered, behind `from` (exclusive; '' for the first).
local function undelivered(key, from, count)
  if from ~= '' then return redis.call('XRANGE', key, '(' .. from, '+', 'COUNT', count) end
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  local last = '0-0'
  if not groups.err then
    for _, group in ipairs(groups) do
      local fields = by_name(group)
      if fields.name == GROUP then last = fields['last-delivered-id'] end
    end
  end
  return redis.call('XRANGE', key, last == '0-0' and '-' or '(' .. last, '+', 'COUNT', count)
end

-- Whether a stream id comes before another; they are numbers too big for Lua's. Those of our time have 13
-- digits of ms, and compare as texts unless only their numbers within the ms differ in length.
local function before(a, b)
  if byte(a, 14) == 45 and byte(b, 14) == 45 then
    if #a == #b or sub(a, 1, 13) ~= sub(b, 1, 13) then return a < b end
    return #a < #b
  end
  local a_ms, a_n = string.match(a, '^(%d+)%-(%d+)$')
  local b_ms, b_n = string.match(b, '^(%d+)%-(%d+)$')
  if a_ms ~= b_ms then return #a_ms < #b_ms or (#a_ms == #b_ms and a_ms < b_ms) end
  return #a_n < #b_n or (#a_n == #b_n and a_n < b_n)
end

local OWNED_PAGE = 1000

-- Which of these entries of a stream the worker has pending: one ranged look, from the first of them to the
-- last. Returns a table entry -> true.
local function owned(key, worker, entries)
  local from, last, held = entries[1], entries[1], {}
  for n = 2, #entries do
    local entry = entries[n]
    if before(last, entry) then
      last = entry
    elseif before(entry, from) then
      from = entry
    end
  end
  while from do
    local pending = redis.pcall('XPENDING', key, GROUP, from, last, OWNED_PAGE, worker)
    if pending.err then break end
    for n = 1, #pending do held[pending[n][1]] = true end
    from = #pending == OWNED_PAGE and '(' .. pending[OWNED_PAGE][1] or nil
  end
  return held
end

-- Entries keep their place when they go back: they only change owner. Newer servers let go at once of
-- what has no body (Redis 6.2 does not, and it is counted when it is claimed).
local function hand_back(base, entries_of, consumer)
  for priority, entries in pairs(entries_of) do
    local count = #entries
    entries[count + 1] = 'JUSTID'
    local claimed = redis.call('XCLAIM', base .. ':stream:' .. priority, GROUP, consumer, 0, unpack(entries))
    if #claimed < count then redis.call('HINCRBY', base .. ':meta', 'missing', count - #claimed) end
  end
end

-- A job that is no suspect any more: apart -> handed back, in its old place. Returns whether it was apart.
local function free(base, id)
  local priority, entry = find_entry(base, id)
  if not priority or owner_of(base .. ':stream:' .. priority, entry) ~= 'alone' then return false end
  hand_back(base, { [priority] = { entry } }, 'returned')
  return true
end

-- Where jobs wait, in the order of claiming: suspects apart, then what was handed back, then the rest.
local function waiting_places(priorities)
  local places = {}
  for _, priority in ipairs(priorities) do places[#places + 1] = { 'alone', priority } end
  for _, priority in ipairs(priorities) do
    places[#places + 1] = { 'returned', priority }
    places[#places + 1] = { 'undelivered', priority }
  end
  return places
end

-- A page of the entries {entry, fields or nil} of such a place, behind `from` ('' for the first page).
local function waiting_page(base, place, from, count)
  local key, entries = base .. ':stream:' .. place[2], {}
  if place[1] == 'undelivered' then
    for i, one in ipairs(undelivered(key, from, count)) do entries[i] = { one[1], unfolded(one[2]) } end
    return entries
  end
  for i, one in ipairs(pending_now(key, from == '' and '-' or '(' .. from, count, place[1])) do
    entries[i] = { one[1], read_entry(base, place[2], one[1]) }
  end
  return entries
end
