local ENGINE, PLACE = 'lists', ':waiting:'

local function append(list, name, value)
  list[#list + 1] = name
  list[#list + 1] = value
end

-- Values that a claim hands out for each job.
local JOB = 3

-- The state of a job that nobody has claimed yet, whose id says since when it waits, and that has nothing to tell a claim
-- beside its state and the whole job.
local NEW = 'waiting new'

-- The state that a hash says, in one word.
local function said_state(state) return state == NEW and 'waiting' or state end

-- Why a job is not handed out: nil and what is wrong with it. Of a job that is `new` to its worker the state
-- shows that it waited, or is another program's; that program may have named a taken id.
local function unfit(read, whole, new)
  if read.err then return 'raw' end
  if whole and #whole == 0 then return 'missing' end
  if new and read[1] and said_state(read[1]) ~= 'waiting' then return 'taken' end
  return nil
end

local function let_go(base, active, id, priority, now, why)
  redis.call('LREM', active, 1, id)
  if why == 'raw' then
    bury_raw(base, id, now, priority)
  else
    redis.call('HINCRBY', base .. ':meta', why, 1)
  end
end

-- A claimed job as Python reads it, behind those in the flat list `jobs`: (id, ref, whole)*. Returns what its hash says of
-- one of which that is not all.
local function hand_out_new(job, id, priority, worker, jobs)
  local read, at = redis.pcall('HMGET', job, 'state', WHOLE), #jobs
  if read[1] ~= NEW or priority ~= '0' or not read[2] then return read end
  redis.call('HSET', job, 'state', 'active', 'worker', worker)
  jobs[at + 1], jobs[at + 2], jobs[at + 3] = id, priority, read[2]
  return nil
end

-- Any of them: of what has a past, a meta, an id that does not say since when it waits, or is another program's, (id, ref,
-- {whole, task, payload, sum, attempt, meta, since or '', fields})*. What has no body is dropped and counted, what is no
-- hash is buried raw; the rest of the batch goes on.
local function hand_out(base, active, id, priority, worker, now, new, jobs)
  local job, at = base .. ':job:' .. id, #jobs
  local read = hand_out_new(job, id, priority, worker, jobs)
  if not read then return end
  local own = read.err and {} or redis.call('HMGET', job, 'task', 'payload', 'sum')
  -- What has no payload is another program's, and all of its fields are its message.
  local fields = not read.err and not read[2] and not own[2] and redis.call('HGETALL', job)
  local why = unfit(read, fields, new)
  if why then return let_go(base, active, id, priority, now, why) end
  local rest = redis.call('HMGET', job, 'attempt', 'meta', 'due_ms', 'priority', 'created_ms')
  redis.call('HSET', job, 'state', 'active', 'worker', worker)
  if (rest[4] or '0') ~= priority then redis.call('HSET', job, 'priority', priority) end
  jobs[at + 1], jobs[at + 2] = id, priority
  jobs[at + 3] = { read[2], own[1] or '', own[2], own[3] or '', rest[1] or '0', rest[2] or '', rest[3] or rest[5] or '',
    fields or '' }
end

local function priority_of(base, id)
  local priority = redis.pcall('HGET', base .. ':job:' .. id, 'priority')
  return valid_priority(type(priority) == 'string' and priority)
end

-- Read the lists to which jobs may be handed back, before anything is taken out of another: one of another type fails here.
local function look_at_places(base, priorities)
  for _, priority in ipairs(priorities) do redis.call('LLEN', base .. ':waiting:' .. priority) end
  redis.call('LLEN', base .. ':alone')
end

-- Where a job waits that is handed back: a suspect apart from the rest.
local function push_back(base, id, suspects_exist)
  local list = base .. ':waiting:' .. priority_of(base, id)
  if suspects_exist and is_suspect(base .. ':suspects', id) then list = base .. ':alone' end
  redis.call('RPUSH', list, id)
  redis.call('HSET', base .. ':job:' .. id, 'state', 'waiting')
end

-- A job that is no suspect any more: apart -> waiting, in front. Returns whether it was apart.
local function free(base, id)
  local apart = redis.call('LREM', base .. ':alone', 1, id) == 1
  if apart then redis.call('RPUSH', base .. ':waiting:' .. priority_of(base, id), id) end
  return apart
end

-- Scheduled and due -> waiting, at most `limit`. Returns how many, and whether more are due.
local function promote(base, now, limit)
  local scheduled = base .. ':scheduled'
  local due = redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, limit + 1)
  local promoted, suspects = 0, base .. ':suspects'
  local some = #due > 0 and redis.call('EXISTS', suspects) == 1
  for i = 1, math.min(#due, limit) do
    local id = due[i]
    local when = redis.call('ZSCORE', scheduled, id)
    redis.call('ZREM', scheduled, id)
    local job = base .. ':job:' .. id
    local state = redis.pcall('HGET', job, 'state')
    if not state then
      redis.call('HINCRBY', base .. ':meta', 'missing', 1)
    elseif type(state) == 'table' then
      bury_raw(base, id, now, '0')
    else
      local list = base .. ':waiting:' .. priority_of(base, id)
      if some and is_suspect(suspects, id) then list = base .. ':alone' end
      redis.call('LPUSH', list, id)
      redis.call('HSET', job, 'state', 'waiting', 'due_ms', when)
      promoted = promoted + 1
    end
  end
  return promoted, #due > limit
end

-- How many jobs may be claimed, and how many of them wait apart as suspects.
local function count_all(base, priorities)
  local alone = redis.call('LLEN', base .. ':alone')
  local waiting = alone
  for _, priority in ipairs(priorities) do
    waiting = waiting + redis.call('LLEN', base .. ':waiting:' .. priority)
  end
  return waiting, alone
end

-- Where a job is and what it is, in any state; nil when there is none.
local function describe(base, id)
  local job = base .. ':job:' .. id
  local state = redis.pcall('HGET', job, 'state')
  if type(state) == 'table' then return with_marks(base, { 'id', id, 'state', 'waiting' }) end
  if state then return with_marks(base, hash_record(base, id, said_state(state))) end
  if redis.call('EXISTS', job) == 1 then return with_marks(base, hash_record(base, id, 'waiting')) end
  return ended_record(base, id)
end

-- Take one waiting job out of its queue. Returns whether it waited.
local function take_waiting(base, id)
  if redis.call('LREM', base .. ':waiting:' .. priority_of(base, id), 1, id) == 1 then return true end
  return redis.call('LREM', base .. ':alone', 1, id) == 1
end

-- Whether ids are the oldest of an active list, which are told newest first; mostly they are in the order of claims.
local function are_oldest(ids, oldest)
  local count, in_order = #ids, true
  for n = 1, count do in_order = in_order and oldest[count + 1 - n] == ids[n] end
  if in_order then return true end
  local there = {}
  for _, id in ipairs(oldest) do there[id] = true end
  for _, id in ipairs(ids) do
    if not there[id] then return false end
    there[id] = nil
  end
  return true
end

-- Take ids out of a worker's active list. Returns, side by side with them, whether each was there. When they are
-- its oldest, as after runs in the order of their claims, they leave together.
local function taken_out(active, ids)
  local count, there = #ids, {}
  if count == 0 then return there end
  for n = 1, count do there[n] = true end
  if are_oldest(ids, redis.call('LRANGE', active, -count, -1)) then
    redis.call('LTRIM', active, 0, -count - 1)
    return there
  end
  for n, id in ipairs(ids) do there[n] = redis.call('LREM', active, -1, id) == 1 end
  return there
end
