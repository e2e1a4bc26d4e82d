-- Check one page of one place: each of its jobs has a body, says the state of that place, and stands in no
-- other; each body has its place; what stands beside jobs (marks, ids, waiters) belongs to one; each active
-- list is a worker's.
--
-- USES guard whole priorities marks finish records beside
-- FLAGS no-writes
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] scheduled
-- KEYS[5] dead
-- ARGV[1] cursor  'place:where', empty for the first page
-- ARGV[2] limit
--
-- Returns {next cursor or '', (subject, problem)*, ids looked at, ids to be seen on later pages: of bodies that
-- say they wait, where more than 1,000 wait}; a subject is what `repair` takes.

local LOOKED_THROUGH = 1000

local base, limit = KEYS[1], tonumber(ARGV[2])
local kept = redis.call('HMGET', KEYS[2], 'engine', 'version', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local place, where = string.match(ARGV[1], '^(%d+):(%d*)$')
place, where = tonumber(place or 1), where or ''

local places = { { 'keys' }, { 'scheduled', KEYS[4] }, { 'dead', KEYS[5] }, { 'suspects' }, { 'ids' }, { 'replies' },
  { 'waiting', base .. ':alone' } }
for _, priority in ipairs(priorities_of(kept[3])) do
  places[#places + 1] = { 'waiting', base .. ':waiting:' .. priority, priority }
end
for _, worker in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
  places[#places + 1] = { 'active', base .. ':active:' .. worker, nil, worker }
end
if not places[place] then return { '', {}, {}, {} } end -- its worker has left since the last page
local state, key, problems, unsure = places[place][1], places[place][2], {}, {}
local function problem(subject, text) append(problems, subject, text) end

-- What is wrong with a job of this place, if anything.
local function check(id)
  local subject, job = 'job:' .. id, redis.pcall('HMGET', base .. ':job:' .. id, 'state', 'priority', 'worker')
  if job.err then return problem(subject, 'job ' .. id .. ' in ' .. key .. ' has a body that is no hash') end
  if not job[1] and redis.call('EXISTS', base .. ':job:' .. id) == 0 then
    return problem(subject, 'job ' .. id .. ' in ' .. key .. ' has no body')
  end
  local said = said_state(job[1]) or 'waiting'
  if said ~= state then problem(subject, 'job ' .. id .. ' in ' .. key .. ' says that it is ' .. said) end
  if state == 'active' and said == 'active' and job[3] ~= places[place][4] then
    problem(subject, 'job ' .. id .. ' in ' .. key .. ' says that its worker is ' .. (job[3] or 'nobody'))
  end
  if places[place][3] and job[1] and (job[2] or '0') ~= places[place][3] then
    problem(subject, 'job ' .. id .. ' in ' .. key .. ' says that its priority is ' .. (job[2] or '0'))
  end
  for _, other in ipairs({ { 'scheduled', KEYS[4] }, { 'dead', KEYS[5] } }) do
    if state ~= other[1] and redis.call('ZSCORE', other[2], id) then
      problem(subject, 'job ' .. id .. ' is in ' .. key .. ' and in ' .. other[2])
    end
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
  if said ~= 'waiting' then return false end
  local list = base .. ':waiting:' .. priority_of(base, id)
  if redis.call('LLEN', list) > LOOKED_THROUGH then
    unsure[#unsure + 1] = id
    return true
  end
  return redis.call('LPOS', list, id) or redis.call('LPOS', base .. ':alone', id)
end

local function check_body(id, state_said)
  local said = said_state(state_said)
  if not has_place(id, said) then problem('job:' .. id, 'job ' .. id .. ' says that it is ' .. said .. ' and is not there') end
end

local function check_active(worker)
  if not redis.call('ZSCORE', KEYS[3], worker) then
    problem('active:' .. worker, worker .. ' is no worker, and holds jobs in ' .. base .. ':active:' .. worker)
  end
end

local ids, following = {}, nil
if state == 'keys' then
  following = check_keys(base, where, limit, problem, check_body, check_active)
elseif key then
  local from = tonumber(where) or 0
  if state == 'scheduled' or state == 'dead' then
    ids = redis.call('ZRANGE', key, from, from + limit - 1)
  else
    ids = redis.call('LRANGE', key, from, from + limit - 1)
  end
  local seen = {}
  for _, id in ipairs(ids) do
    if seen[id] then problem('job:' .. id, 'job ' .. id .. ' is twice in ' .. key) end
    seen[id] = true
    check(id)
  end
  if #ids == limit then following = from + limit end
else
  following = check_beside(base, describe, state, where, limit, problem)
end
if following then return { place .. ':' .. following, problems, ids, unsure } end
return { places[place + 1] and (place + 1) .. ':' or '', problems, ids, unsure }
