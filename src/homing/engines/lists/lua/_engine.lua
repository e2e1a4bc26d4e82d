local ENGINE, PLACE = 'lists', ':waiting:'

local function append(list, name, value)
  list[#list + 1] = name
  list[#list + 1] = value
end

-- Values that a claim hands out for each job.
local JOB = 6

-- Why a job is not handed out: nil and what is wrong with it. Of a job that is `new` to its worker the state
-- shows that it waited, or is another program's; that program may have named a taken id.
local function unfit(flat, state, new)
  if flat.err then return 'raw' end
  if #flat == 0 then return 'missing' end
  if new and state and state ~= 'waiting' then return 'taken' end
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

-- A fresh job's hash, as `enqueue` wrote it.
local function is_fresh(flat)
  return flat[1] == 'state' and flat[3] == 'created_ms' and flat[5] == 'task' and flat[7] == 'payload'
    and flat[9] == 'sum' and not flat[11]
end

local function by_name(flat)
  local fields = {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

-- A claimed job as Python reads it, behind those in the flat list `jobs`: (id, ref, task, payload, sum, rest)*;
-- `rest` is the time since which it waits when a job runs for the first time and has no meta, else
-- {attempt, meta, since, fields}. What has no body is dropped and counted, what is no hash is buried raw; the
-- rest of the batch goes on.
local function hand_out(base, active, id, priority, worker, now, new, jobs)
  local job, at = base .. ':job:' .. id, #jobs
  local flat = redis.pcall('HGETALL', job)
  if is_fresh(flat) and priority == '0' and flat[2] == 'waiting' then
    redis.call('HSET', job, 'state', 'active', 'worker', worker)
    jobs[at + 1], jobs[at + 2], jobs[at + 3], jobs[at + 4] = id, priority, flat[6], flat[8]
    jobs[at + 5], jobs[at + 6] = flat[10], flat[4]
    return
  end
  local fields = flat.err and {} or by_name(flat)
  local why = unfit(flat, fields.state, new)
  if why then return let_go(base, active, id, priority, now, why) end
  redis.call('HSET', job, 'state', 'active', 'worker', worker)
  if (fields.priority or '0') ~= priority then redis.call('HSET', job, 'priority', priority) end
  jobs[at + 1], jobs[at + 2], jobs[at + 3], jobs[at + 4] = id, priority, fields.task or '', fields.payload or false
  jobs[at + 5] = fields.sum or ''
  jobs[at + 6] = { fields.attempt or '0', fields.meta or '', fields.due_ms or fields.created_ms or now,
    fields.payload and '' or flat }
end

local function priority_of(base, id)
  local priority = redis.pcall('HGET', base .. ':job:' .. id, 'priority')
  return valid_priority(type(priority) == 'string' and priority)
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
  if state then return with_marks(base, hash_record(base, id, state)) end
  if redis.call('EXISTS', job) == 1 then return with_marks(base, hash_record(base, id, 'waiting')) end
  return ended_record(base, id)
end

-- Take one waiting job out of its queue. Returns whether it waited.
local function take_waiting(base, id)
  if redis.call('LREM', base .. ':waiting:' .. priority_of(base, id), 1, id) == 1 then return true end
  return redis.call('LREM', base .. ':alone', 1, id) == 1
end

-- Take ids out of a worker's active list. Returns, side by side with them, whether each was there. When they are
-- its oldest, as after runs in the order of their claims, they leave together.
local function taken_out(active, ids)
  local count, oldest, there = #ids, {}, {}
  if count == 0 then return there end
  for _, id in ipairs(redis.call('LRANGE', active, -count, -1)) do oldest[id] = true end
  local together = true
  for n, id in ipairs(ids) do
    together = together and oldest[id]
    oldest[id] = nil
    there[n] = true
  end
  if together then
    redis.call('LTRIM', active, 0, -count - 1)
    return there
  end
  for n, id in ipairs(ids) do there[n] = redis.call('LREM', active, -1, id) == 1 end
  return there
end
