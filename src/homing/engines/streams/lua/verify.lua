-- Check one page of one place: each of its jobs has a body and stands in no other place; each body has its
-- place; what stands beside jobs (index, marks, ids, waiters) belongs to one; each consumer is a worker; a
-- stream that had a group has it; the counts add up.
--
-- USES guard whole made priorities marks finish records beside
-- FLAGS no-writes
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] scheduled
-- KEYS[5] dead
-- KEYS[6] index
-- ARGV[1] cursor  'place:where', empty for the first page
-- ARGV[2] limit
--
-- Returns {next cursor or '', (subject, problem)*, ids looked at, ids to be seen on later pages}; a subject is
-- what `repair` takes.

local base, limit = KEYS[1], tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[2], 'engine', 'version', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local place, where = string.match(ARGV[1], '^(%d+):([%d-]*)$')
place, where = tonumber(place or 1), where or ''

-- Entries stand before the index: who mends in this order puts an index right before what it names is missed.
local places = {}
for _, priority in ipairs(priorities_of(kept[3])) do
  local key = base .. ':stream:' .. priority
  for _, kind in ipairs({ 'consumers', 'stream', 'pending' }) do places[#places + 1] = { kind, key, priority } end
end
for _, one in ipairs({ { 'index' }, { 'keys' }, { 'scheduled', KEYS[4] }, { 'dead', KEYS[5] }, { 'suspects' }, { 'ids' },
  { 'replies' } }) do places[#places + 1] = one end
if not places[place] then return { '', {}, {}, {} } end -- a cursor of another time
local kind, key, priority = places[place][1], places[place][2], places[place][3]
local problems, ids = {}, {}
local function problem(subject, text) append(problems, subject, text) end

-- A job in a hash: its body says so, and neither the streams nor the other set have it.
local function check_hash(id)
  local subject, state = 'job:' .. id, redis.pcall('HGET', base .. ':job:' .. id, 'state')
  if type(state) == 'table' then
    problem(subject, 'job ' .. id .. ' in ' .. key .. ' has a body that is no hash')
  elseif not state then
    problem(subject, 'job ' .. id .. ' in ' .. key .. ' has no body')
  elseif state ~= kind then
    problem(subject, 'job ' .. id .. ' in ' .. key .. ' says that it is ' .. state)
  end
  local other = kind == 'dead' and KEYS[4] or KEYS[5]
  if redis.call('ZSCORE', other, id) then
    problem(subject, 'job ' .. id .. ' is in ' .. key .. ' and in ' .. other)
  end
  if redis.call('HEXISTS', KEYS[6], id) == 1 then
    problem(subject, 'job ' .. id .. ' is in ' .. key .. ' and in ' .. KEYS[6])
  end
end

-- The priority before this one where the same job stands at the same entry, or nil.
local function stands_before(id, entry)
  for _, one in ipairs(priorities_of(kept[3])) do
    if one == priority then return nil end
    local flat = read_entry(base, one, entry)
    if flat and id_of(one, entry, flat) == id then return one end
  end
end

-- A job in a stream: its id or the index names this entry, and no hash has it too.
local function check_entry(entry, flat)
  local id = id_of(priority, entry, flat)
  local ref, subject = redis.call('HGET', KEYS[6], id), 'entry:' .. priority .. '/' .. entry
  if ref and ref ~= ref_of(priority, entry) then
    problem(subject, 'job ' .. id .. ' is in ' .. key .. ' at ' .. entry .. ' and, says the index, at ' .. ref)
  elseif not ref and place_of(id) ~= entry then
    if not waits(owner_of(key, entry)) then
      problem(subject, 'job ' .. id .. ' is active in ' .. key .. ' and not in the index')
    end
  elseif not ref and stands_before(id, entry) then
    problem(subject, 'job ' .. id .. ' is in ' .. key .. ' and in priority ' .. stands_before(id, entry) .. ' too')
  end
  if redis.call('EXISTS', base .. ':job:' .. id) == 1 then
    problem(subject, 'job ' .. id .. ' is in ' .. key .. ' and in ' .. base .. ':job:' .. id)
  end
  ids[#ids + 1] = id
end

-- The index names an entry that is there, and that job's.
local function check_index()
  local found = redis.call('HSCAN', KEYS[6], where == '' and '0' or where, 'COUNT', limit)
  for i = 1, #found[2], 2 do
    local id, at, entry = found[2][i], parts_of(found[2][i + 1])
    local flat = at and read_entry(base, at, entry)
    if not flat or id_of(at, entry, flat) ~= id then
      problem('job:' .. id, 'job ' .. id .. ' stands in the index at ' .. found[2][i + 1] .. ', where it is not')
    end
  end
  return found[1] ~= '0' and found[1] or nil
end

local function check_consumers()
  if redis.call('HEXISTS', KEYS[2], 'group:' .. priority) == 1 and redis.call('EXISTS', key) == 1 and not has_group(key) then
    problem('group:' .. priority, 'the group of ' .. key .. ' is gone')
  end
  local consumers = redis.pcall('XINFO', 'CONSUMERS', key, GROUP)
  for _, one in ipairs(consumers.err and {} or consumers) do
    local fields = by_name(one)
    if not waits(fields.name) and not redis.call('ZSCORE', KEYS[3], fields.name) then
      problem('consumer:' .. priority .. '/' .. fields.name, 'consumer ' .. fields.name .. ' of ' .. key
        .. ' is no worker, and holds ' .. fields.pending .. ' jobs')
    end
  end
end

local function check_counts()
  local length = 0
  for _, one in ipairs(places) do
    if one[1] == 'stream' then length = length + redis.call('XLEN', one[2]) end
  end
  local in_index = redis.call('HLEN', KEYS[6])
  if in_index > length then problem('counts:', 'the index has ' .. in_index .. ' jobs, the streams ' .. length) end
end

local following
if ARGV[1] == '' then check_counts() end
if kind == 'keys' then
  following = check_keys(base, where, limit, problem, function(id, said)
    if not redis.call('ZSCORE', said == 'dead' and KEYS[5] or KEYS[4], id) then
      problem('job:' .. id, 'job ' .. id .. ' says that it is ' .. said .. ' and is not there')
    end
  end)
elseif kind == 'scheduled' or kind == 'dead' then
  local from = tonumber(where) or 0
  ids = redis.call('ZRANGE', key, from, from + limit - 1)
  for _, id in ipairs(ids) do check_hash(id) end
  if #ids == limit then following = from + limit end
elseif kind == 'index' then
  following = check_index()
elseif kind == 'stream' then
  local entries = redis.call('XRANGE', key, where == '' and '-' or '(' .. where, '+', 'COUNT', limit)
  for _, one in ipairs(entries) do check_entry(one[1], one[2]) end
  if #entries == limit then following = entries[limit][1] end
elseif kind == 'pending' then
  local pending = pending_now(key, where == '' and '-' or '(' .. where, limit)
  for _, one in ipairs(pending) do
    if not read_entry(base, priority, one[1]) then
      problem('entry:' .. priority .. '/' .. one[1], 'entry ' .. one[1] .. ' of ' .. key .. ' is held by ' .. one[2]
        .. ' and has no body')
    end
  end
  if #pending == limit then following = pending[limit][1] end
elseif kind == 'consumers' then
  check_consumers()
else
  following = check_beside(base, describe, kind, where, limit, problem)
end
if following then return { place .. ':' .. following, problems, ids, {} } end
return { places[place + 1] and (place + 1) .. ':' or '', problems, ids, {} }
