-- Check one page of one place: each of its jobs has a body, says the state of that place, and stands in
-- no other; what stands beside jobs (marks, ids, waiters) belongs to one; each body has its place (one that
-- waits is looked for where at most 1,000 wait).
--
-- USES guard priorities marks finish records beside
-- FLAGS no-writes
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] scheduled
-- KEYS[5] dead
-- ARGV[1] cursor  'place:offset', empty for the first page
-- ARGV[2] limit
--
-- Returns {next cursor or '', problems, ids looked at}.

local base, limit = KEYS[1], tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[2], 'engine', 'version', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local place, offset = string.match(ARGV[1], '^(%d+):(%d+)$')
place, offset = tonumber(place or 1), offset or '0'

local LOOKED_THROUGH = 1000

local places = { { 'scheduled', KEYS[4] }, { 'dead', KEYS[5] }, { 'bodies' }, { 'waiting', base .. ':alone' } }
for _, priority in ipairs(priorities_of(kept[3])) do
  places[#places + 1] = { 'waiting', base .. ':waiting:' .. priority, priority }
end
for _, worker in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  places[#places + 1] = { 'active', base .. ':active:' .. worker, nil, worker }
end
if not places[place] then return { '', {}, {} } end -- its worker has left since the last page
local state, key, problems = places[place][1], places[place][2], {}
local function problem(text) problems[#problems + 1] = text end

-- What is wrong with a job of this place, if anything.
local function check(id)
  local job = redis.pcall('HMGET', base .. ':job:' .. id, 'state', 'priority')
  if job.err then return problem('job ' .. id .. ' in ' .. key .. ' has a body that is no hash') end
  if not job[1] and redis.call('EXISTS', base .. ':job:' .. id) == 0 then
    return problem('job ' .. id .. ' in ' .. key .. ' has no body')
  end
  local said = job[1] or 'waiting'
  if said ~= state then problem('job ' .. id .. ' in ' .. key .. ' says that it is ' .. said) end
  if places[place][3] and job[1] and (job[2] or '0') ~= places[place][3] then
    problem('job ' .. id .. ' in ' .. key .. ' says that its priority is ' .. (job[2] or '0'))
  end
  if state ~= 'scheduled' and redis.call('ZSCORE', KEYS[4], id) then
    problem('job ' .. id .. ' is in ' .. key .. ' and in ' .. KEYS[4])
  end
  if state ~= 'dead' and redis.call('ZSCORE', KEYS[5], id) then
    problem('job ' .. id .. ' is in ' .. key .. ' and in ' .. KEYS[5])
  end
end

-- Whether a body stands where it says it does.
local function has_place(id, said)
  if said == 'scheduled' then return redis.call('ZSCORE', KEYS[4], id) end
  if said == 'dead' then return redis.call('ZSCORE', KEYS[5], id) end
  if said == 'active' then
    local worker = redis.call('HGET', base .. ':job:' .. id, 'worker')
    return worker and redis.call('LPOS', base .. ':active:' .. worker, id)
  end
  local list = base .. ':waiting:' .. priority_of(base, id)
  return redis.call('LLEN', list) > LOOKED_THROUGH or redis.call('LPOS', list, id)
    or redis.call('LPOS', base .. ':alone', id)
end

if state == 'bodies' then
  local following = check_bodies(base, offset, limit, function(id, said)
    if not has_place(id, said) then problem('job ' .. id .. ' says that it is ' .. said .. ' and is not there') end
  end)
  return { following and place .. ':' .. following or (place + 1) .. ':0', problems, {} }
end
local from, ids = tonumber(offset), nil
if state == 'scheduled' or state == 'dead' then
  ids = redis.call('ZRANGE', key, from, from + limit - 1)
else
  ids = redis.call('LRANGE', key, from, from + limit - 1)
end
local seen = {}
for _, id in ipairs(ids) do
  if seen[id] then problem('job ' .. id .. ' is twice in ' .. key) end
  seen[id] = true
  check(id)
end
if place == 1 and from == 0 then check_beside(base, describe, problem) end
if #ids == limit then return { place .. ':' .. from + limit, problems, ids } end
return { places[place + 1] and (place + 1) .. ':0' or '', problems, ids }
