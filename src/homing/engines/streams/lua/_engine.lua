local ENGINE, PLACE = 'streams', ':stream:'
local GROUP = 'workers'
-- Values that a claim hands out for each job.
local JOB = 6

-- What other programs name a job must be fit for a key's name.
local function fit(id)
  return id and #id <= 64 and string.match(id, '^[%w_.:-]+$') and id
end

local function append(list, name, value)
  list[#list + 1] = name
  list[#list + 1] = value
end

-- An entry's fields by name; of a name that comes twice the first holds.
local function by_name(flat)
  local fields = {}
  for i = 1, #flat, 2 do
    if fields[flat[i]] == nil then fields[flat[i]] = flat[i + 1] end
  end
  return fields
end

-- The id of an entry: its own, or for what another program added without one `<priority>.<entry>`.
local function id_of(priority, entry, flat)
  if flat[1] == 'id' and fit(flat[2]) then return flat[2] end
  return fit(by_name(flat).id) or priority .. '.' .. entry
end

-- How the index names an entry: `priority/entry`, of priority 0 the bare entry.
local function ref_of(priority, entry)
  return priority == '0' and entry or priority .. '/' .. entry
end

-- Priority and entry of a ref; nil of anything else.
local function parts_of(ref)
  local entry = string.match(ref, '^%d+%-%d+$')
  if entry then return '0', entry end
  return string.match(ref, '^(-?%d+)/(%d+%-%d+)$')
end

-- The fields of one entry, nil when it is not there.
local function read_entry(base, priority, entry)
  local found = redis.call('XRANGE', base .. ':stream:' .. priority, entry, entry)
  return found[1] and found[1][2]
end

-- Make a stream's group, from its beginning; meta keeps that there was one, so that its loss shows.
local function make_group(key)
  local base, priority = string.match(key, '^(.*):stream:(.*)$')
  redis.call('XGROUP', 'CREATE', key, GROUP, '0')
  redis.call('HSET', base .. ':meta', 'group:' .. priority, 1)
end

-- Whether a stream has our group.
local function has_group(key)
  local groups = redis.pcall('XINFO', 'GROUPS', key)
  for _, group in ipairs(groups.err and {} or groups) do
    if by_name(group).name == GROUP then return true end
  end
  return false
end

-- A page of the entries that a consumer has pending: {entry, consumer, idle, deliveries}*. A stream
-- without its group gets one, from its beginning; no stream, no entries.
local function pending_of(key, from, count, consumer)
  local pending = redis.pcall('XPENDING', key, GROUP, from, '+', count, consumer)
  if not pending.err then return pending end
  if redis.call('EXISTS', key) == 0 then return {} end
  if string.find(pending.err, 'NOGROUP', 1, true) then make_group(key) end
  return redis.call('XPENDING', key, GROUP, from, '+', count, consumer)
end

-- The same where nothing may be written.
local function pending_now(key, from, count, consumer)
  local pending
  if consumer then
    pending = redis.pcall('XPENDING', key, GROUP, from, '+', count, consumer)
  else
    pending = redis.pcall('XPENDING', key, GROUP, from, '+', count)
  end
  return pending.err and {} or pending
end

-- Who holds an entry, nil when it was not delivered.
local function owner_of(key, entry)
  local pending = redis.pcall('XPENDING', key, GROUP, entry, entry, 1)
  if pending.err or not pending[1] then return nil end
  return pending[1][2]
end

local function waits(owner)
  return owner == nil or owner == 'returned' or owner == 'alone'
end

-- Take entries, with their place in the index, out of a stream.
local function drop_entries(base, priority, entries, ids)
  local key = base .. ':stream:' .. priority
  redis.pcall('XACK', key, GROUP, unpack(entries))
  redis.call('XDEL', key, unpack(entries))
  if #ids > 0 then redis.call('HDEL', base .. ':index', unpack(ids)) end
end

local MOVED_APART = { id = true, state = true, attempt = true, meta = true, priority = true, created_ms = true,
  due_ms = true, dead_ms = true, error = true, worker = true, raw = true }

-- All other fields, in their order; of a name that comes twice the first holds.
local function append_others(list, flat, but)
  local seen = {}
  for i = 1, #flat, 2 do
    local name = flat[i]
    if not MOVED_APART[name] and not but[name] and not seen[name] then append(list, name, flat[i + 1]) end
    seen[name] = true
  end
end

-- An entry's job -> a hash under its id, whole. The entry itself is not touched.
local function to_hash(base, id, priority, entry, flat, state, attempt, meta)
  local fields = by_name(flat)
  local job = { 'state', state, 'attempt', attempt or fields.attempt or '0', 'priority', priority,
    'created_ms', fields.created_ms or string.match(entry, '^%d+') }
  if meta and meta ~= '' then
    append(job, 'meta', meta)
  elseif fields.meta then
    append(job, 'meta', fields.meta)
  end
  append_others(job, flat, {})
  redis.call('HSET', base .. ':job:' .. id, unpack(job))
end

-- A job's hash -> a new entry at the end of its stream; the hash is deleted.
local function to_entry(base, id, flat, attempt)
  local fields = by_name(flat)
  local priority = valid_priority(fields.priority)
  local entry = { 'id', id, 'task', fields.task or '' }
  if fields.payload then append(entry, 'payload', fields.payload) end
  if fields.payload and fields.sum then append(entry, 'sum', fields.sum) end
  attempt = attempt or fields.attempt or '0'
  if attempt ~= '0' then append(entry, 'attempt', attempt) end
  if fields.meta then append(entry, 'meta', fields.meta) end
  if fields.created_ms then append(entry, 'created_ms', fields.created_ms) end
  append_others(entry, flat, { task = true, payload = true, sum = fields.payload and true })
  local at = redis.call('XADD', base .. ':stream:' .. priority, '*', unpack(entry))
  redis.call('HSET', base .. ':index', id, ref_of(priority, at))
  redis.call('DEL', base .. ':job:' .. id)
end

-- An entry that another program added, or that the index does not name yet, is entered there; when its id is
-- taken, it is dropped and counted. Returns its id, nil when it was dropped.
local function enter(base, priority, found, ref)
  local id = id_of(priority, found[1], found[2])
  local known = redis.call('HGET', base .. ':index', id)
  if not known and redis.call('EXISTS', base .. ':job:' .. id) == 0 then
    redis.call('HSET', base .. ':index', id, ref)
    return id
  end
  if known == ref then return id end
  drop_entries(base, priority, { found[1] }, {})
  redis.call('HINCRBY', base .. ':meta', 'taken', 1)
  return nil
end

-- Claimed jobs as Python reads them, behind those in the flat list `jobs`: (id, ref, task, payload, sum, rest)*;
-- `rest` is '' when a job runs for the first time and has no meta, else {attempt, meta, since, fields}.
local function hand_out(base, priority, entries, jobs)
  local ids, at = {}, #jobs
  for i = 1, #entries do ids[i] = entries[i][2][2] or '' end
  local refs = redis.call('HMGET', base .. ':index', unpack(ids))
  for i = 1, #entries do
    local found, id = entries[i], ids[i]
    local flat = found[2]
    local ref = ref_of(priority, found[1])
    if refs[i] ~= ref or flat[1] ~= 'id' then id = enter(base, priority, found, ref) end
    if id then
      jobs[at + 1], jobs[at + 2] = id, ref
      if flat[3] == 'task' and flat[5] == 'payload' and flat[7] == 'sum' and not flat[9] then
        jobs[at + 3], jobs[at + 4], jobs[at + 5], jobs[at + 6] = flat[4], flat[6], flat[8], ''
      else
        local fields = by_name(flat)
        jobs[at + 3], jobs[at + 4] = fields.task or '', fields.payload or false
        jobs[at + 5] = fields.sum or ''
        jobs[at + 6] = { fields.attempt or '0', fields.meta or '', '', fields.payload and '' or flat }
      end
      at = at + 6
    end
  end
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
  local ref = redis.call('HGET', base .. ':index', id)
  local priority, entry
  if ref then
    priority, entry = parts_of(ref)
  else
    priority, entry = string.match(id, '^(-?%d+)%.(%d+%-%d+)$')
  end
  if not priority then return nil end
  local flat = read_entry(base, priority, entry)
  if not flat or id_of(priority, entry, flat) ~= id then return nil end
  return priority, entry, flat
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

local byte, sub = string.byte, string.sub

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
  local key = base .. ':stream:' .. place[2]
  if place[1] == 'undelivered' then return undelivered(key, from, count) end
  local entries = {}
  for i, one in ipairs(pending_now(key, from == '' and '-' or '(' .. from, count, place[1])) do
    entries[i] = { one[1], read_entry(base, place[2], one[1]) }
  end
  return entries
end
