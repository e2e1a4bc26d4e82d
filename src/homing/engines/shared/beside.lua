-- What stands beside jobs (marks, waiters, chosen ids) must belong to one. A page of one of these:
-- `problem(subject, sentence)` for each that does not. Returns where to go on, nil at the end.
local function check_beside(base, describe, kind, cursor, limit, problem)
  if kind == 'ids' then
    local from = tonumber(cursor) or 0
    local ids = redis.call('ZRANGEBYSCORE', base .. ':ids', '+inf', '+inf', 'LIMIT', from, limit)
    for _, id in ipairs(ids) do
      local record = describe(base, id)
      if not record or record[4] == 'completed' or record[4] == 'cancelled' then
        problem('ids:' .. id, 'id ' .. id .. ' is taken by a job that has ended or never was')
      end
    end
    return #ids == limit and tostring(from + limit) or nil
  end
  local found = redis.call('HSCAN', base .. ':' .. kind, cursor == '' and '0' or cursor, 'COUNT', limit)
  for i = 1, #found[2], 2 do
    local id = found[2][i]
    if not describe(base, id) then
      problem(kind .. ':' .. id, kind == 'suspects' and 'marks of job ' .. id .. ' belong to no job'
        or 'somebody waits for job ' .. id .. ', which is not')
    end
  end
  return found[1] ~= '0' and found[1] or nil
end

-- What is wrong with one key, whatever places say.
local function check_key(base, key, problem, check_body, check_active)
  local kind, name = string.match(key, '^:(%a+):(.+)$', #base + 1)
  if kind == 'job' then
    local state = redis.pcall('HGET', key, 'state')
    if type(state) == 'table' then
      problem('job:' .. name, 'job ' .. name .. ' has a body that is no hash')
    elseif state then
      check_body(name, state)
    end
  elseif kind == 'worker' and not redis.call('ZSCORE', base .. ':workers', name) then
    problem('worker:' .. name, key .. ' describes a worker that is not there any more')
  elseif kind == 'active' and check_active then
    check_active(name)
  end
end

local SCANS = 10

-- A page of all keys of the server: of this queue's, `check_body(id, state)` for each body, `check_active(worker)`
-- for each list of what a worker holds. A body without a state is another program's, which is about to push
-- its id. It ends with `limit` keys of this queue: others cost little. Returns where to go on, nil at the end.
local function check_keys(base, cursor, limit, problem, check_body, check_active)
  local seen = 0
  if cursor == '' then cursor = '0' end
  for _ = 1, SCANS do
    local found = redis.call('SCAN', cursor, 'MATCH', base .. ':*', 'COUNT', limit)
    for _, key in ipairs(found[2]) do check_key(base, key, problem, check_body, check_active) end
    cursor, seen = found[1], seen + #found[2]
    if cursor == '0' then return nil end
    if seen >= limit then break end
  end
  return cursor
end
