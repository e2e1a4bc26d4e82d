local ENGINE, PLACE = 'streams', ':stream:'
local GROUP = 'workers'
-- Values that a claim hands out for each job.
local JOB = 2

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

-- An entry's fields, those of a whole job too: names and values.
local function unfolded(flat)
  if flat[1] ~= WHOLE then return flat end
  local id, sum, task, payload = string.match(flat[2], '^(%S*) (%S+) ([^\n]*)\n(.*)$')
  -- Of a job that was damaged between its parts nothing may run: its sum does not match.
  if not id then id, sum, task, payload = string.match(flat[2], '^%S*'), 'damaged', '', flat[2] end
  local fields = { 'id', id, 'task', task, 'payload', payload, 'sum', sum }
  for i = 3, #flat do fields[#fields + 1] = flat[i] end
  return fields
end

-- The id of an entry: its own, or for what another program added without one `<priority>.<entry>`.
local function id_of(priority, entry, flat)
  local id = flat[2]
  if flat[1] == WHOLE then
    id = string.match(id, '^%S*')
  elseif flat[1] ~= 'id' then
    id = by_name(flat).id
  end
  return fit(id) or priority .. '.' .. entry
end

-- The entry that belongs to an id as we make them, nil of other ids: its millisecond, and the next two letters as three
-- digits each (100 more than their codes). Who stands there needs no place in the index.
local function place_at(id, ms) return string.format('%.0f-%d%d', ms, byte(id, 8) + 100, byte(id, 9) + 100) end
local function place_of(id) return #id == ID_LENGTH and place_at(id, ms_of(id)) or nil end

-- The same for many, one after the other: of the last one its first six letters, its seventh and eighth, its ms and its place
-- but for the ninth letter (`head`), and what these were made from. A number becomes a text slowly, and neighbours are near.
local six, seventh, eighth, made, head = '', nil, nil, nil, nil
local six_ms, hundred, hundred_text, tails, digits = 0, nil, nil, {}, {}

-- The text of an eighth or a ninth letter.
local function tail_of(letter)
  local text = tails[letter] or tostring(letter + 100)
  tails[letter] = text
  return text
end

local function look_at(whole, letter7, letter8)
  local start = sub(whole, 1, 6)
  if start ~= six then six, six_ms = start, ms_of(start) end
  made, seventh, eighth = six_ms + code_of(letter7), letter7, letter8
  if not hundred or made < hundred or made >= hundred + 100 then
    local count = math.floor(made / 100)
    hundred, hundred_text = count * 100, string.format('%.0f', count)
  end
  local rest = made - hundred
  local text = digits[rest] or sub(tostring(rest + 100), 2)
  digits[rest] = text
  head = hundred_text .. text .. '-' .. tail_of(letter8)
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
  return found[1] and unfolded(found[1][2])
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
