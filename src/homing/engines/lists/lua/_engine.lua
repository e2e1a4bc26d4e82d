local ENGINE, PLACE = 'lists', ':waiting:'

local function append(list, name, value)
  list[#list + 1] = name
  list[#list + 1] = value
end

-- Read what a claim hands out of one job; nil and a reason when there is nothing to hand out.
local function read_body(base, id)
  local job = base .. ':job:' .. id
  local body = redis.pcall('HMGET', job, 'task', 'payload', 'attempt', 'meta', 'created_ms', 'due_ms',
    'priority', 'state', 'sum')
  if body.err then return nil, 'raw' end
  if body[2] then return body, nil end
  local fields = redis.call('HGETALL', job)
  if #fields == 0 then return nil, 'missing' end
  return body, fields
end

-- Claimed jobs as Python reads them: {id, ref, task, payload, attempt, meta, since, sum, fields}. What
-- has no body is dropped and counted, what is no hash is buried raw; the rest of the batch goes on. A job
-- that is `new` to its worker waited, or is another program's; that program may have named a taken id.
local function hand_out(base, active, id, priority, worker, now, new)
  local body, fields = read_body(base, id)
  if new and body and body[8] and body[8] ~= 'waiting' then
    redis.call('LREM', active, 1, id)
    redis.call('HINCRBY', base .. ':meta', 'taken', 1)
    return nil
  end
  if fields == 'missing' then
    redis.call('LREM', active, 1, id)
    redis.call('HINCRBY', base .. ':meta', 'missing', 1)
    return nil
  end
  if fields == 'raw' then
    redis.call('LREM', active, 1, id)
    bury_raw(base, id, now, priority)
    return nil
  end
  redis.call('HSET', base .. ':job:' .. id, 'state', 'active', 'worker', worker)
  if (body[7] or '0') ~= priority then redis.call('HSET', base .. ':job:' .. id, 'priority', priority) end
  return { id, priority, body[1] or '', body[2], body[3] or '0', body[4] or '', body[6] or body[5] or now,
    body[9] or '', fields or '' }
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
