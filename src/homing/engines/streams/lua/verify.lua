-- Check one page of one place: each of its jobs has a body and stands in no other place; what stands
-- beside jobs (index, marks, ids, waiters) belongs to one; each body has its place; the counts add up.
--
-- USES guard priorities marks finish records beside
-- FLAGS no-writes
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] scheduled
-- KEYS[4] dead
-- KEYS[5] index
-- ARGV[1] cursor  'place:where', empty for the first page
-- ARGV[2] limit
--
-- Returns {next cursor or '', problems, ids looked at}.

local base, limit = KEYS[1], tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[2], 'engine', 'version', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local place, where = string.match(ARGV[1], '^(%d+):([%d-]*)$')
place, where = tonumber(place or 1), where or ''

local places, problems, ids = { { 'scheduled', KEYS[3] }, { 'dead', KEYS[4] }, { 'index' }, { 'bodies' } }, {}, {}
for _, priority in ipairs(priorities_of(kept[3])) do
  places[#places + 1] = { 'stream', base .. ':stream:' .. priority, priority }
  places[#places + 1] = { 'pending', base .. ':stream:' .. priority, priority }
end
local kind, key, priority = places[place][1], places[place][2], places[place][3]
local function problem(text) problems[#problems + 1] = text end

-- A job in a hash: its body says so, and neither the streams nor the other set have it.
local function check_hash(id)
  local state = redis.pcall('HGET', base .. ':job:' .. id, 'state')
  if type(state) == 'table' then
    problem('job ' .. id .. ' in ' .. key .. ' has a body that is no hash')
  elseif not state then
    problem('job ' .. id .. ' in ' .. key .. ' has no body')
  elseif state ~= kind then
    problem('job ' .. id .. ' in ' .. key .. ' says that it is ' .. state)
  end
  local other = kind == 'dead' and KEYS[3] or KEYS[4]
  if redis.call('ZSCORE', other, id) then problem('job ' .. id .. ' is in ' .. key .. ' and in ' .. other) end
  if redis.call('HEXISTS', KEYS[5], id) == 1 then
    problem('job ' .. id .. ' is in ' .. key .. ' and in ' .. KEYS[5])
  end
end

-- A job in a stream: the index names this entry, and no hash has it too.
local function check_entry(entry, flat)
  local id = id_of(priority, entry, flat)
  local ref = redis.call('HGET', KEYS[5], id)
  if ref and ref ~= priority .. '/' .. entry then
    problem('job ' .. id .. ' is in ' .. key .. ' at ' .. entry .. ' and, says the index, at ' .. ref)
  elseif not ref and not waits(owner_of(key, entry)) then
    problem('job ' .. id .. ' is active in ' .. key .. ' and not in the index')
  end
  if redis.call('EXISTS', base .. ':job:' .. id) == 1 then
    problem('job ' .. id .. ' is in ' .. key .. ' and in ' .. base .. ':job:' .. id)
  end
  ids[#ids + 1] = id
end

local following
if kind == 'scheduled' or kind == 'dead' then
  local from = tonumber(where) or 0
  ids = redis.call('ZRANGE', key, from, from + limit - 1)
  for _, id in ipairs(ids) do check_hash(id) end
  if #ids == limit then following = from + limit end
elseif kind == 'index' then
  local found = redis.call('HSCAN', KEYS[5], where == '' and '0' or where, 'COUNT', limit)
  for i = 1, #found[2], 2 do
    local at, entry = parts_of(found[2][i + 1])
    if not at or not read_entry(base, at, entry) then
      problem('job ' .. found[2][i] .. ' stands in the index at ' .. found[2][i + 1] .. ', where nothing is')
    end
  end
  if found[1] ~= '0' then following = found[1] end
elseif kind == 'bodies' then
  following = check_bodies(base, where == '' and '0' or where, limit, function(id, said)
    if not redis.call('ZSCORE', said == 'dead' and KEYS[4] or KEYS[3], id) then
      problem('job ' .. id .. ' says that it is ' .. said .. ' and is not there')
    end
  end)
elseif kind == 'stream' then
  local entries = redis.call('XRANGE', key, where == '' and '-' or '(' .. where, '+', 'COUNT', limit)
  for _, one in ipairs(entries) do check_entry(one[1], one[2]) end
  if #entries == limit then following = entries[limit][1] end
else
  local pending = pending_now(key, where == '' and '-' or '(' .. where, limit)
  for _, one in ipairs(pending) do
    if not read_entry(base, priority, one[1]) then
      problem('entry ' .. one[1] .. ' of ' .. key .. ' is held by ' .. one[2] .. ' and has no body')
    end
  end
  if #pending == limit then following = pending[limit][1] end
end

if ARGV[1] == '' then
  check_beside(base, describe, problem)
  local length = 0
  for _, one in ipairs(places) do
    if one[1] == 'stream' then length = length + redis.call('XLEN', one[2]) end
  end
  local indexed = redis.call('HLEN', KEYS[5])
  if indexed > length then
    problem('the index has ' .. indexed .. ' jobs, the streams ' .. length)
  end
end
if following then return { place .. ':' .. following, problems, ids } end
return { places[place + 1] and (place + 1) .. ':' or '', problems, ids }
