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

-- A page of all keys of the queue, whatever places say: `check_body(id, state)` for each body, `check_active`
-- for each list of what a worker holds. A body without a state is another program's, which is about to push
-- its id. Returns where to go on, nil at the end.
local function check_keys(base, cursor, limit, problem, check_body, check_active)
  local found = redis.call('SCAN', cursor == '' and '0' or cursor, 'MATCH', base .. ':*', 'COUNT', 10 * limit)
  for _, key in ipairs(found[2]) do
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
  return found[1] ~= '0' and found[1] or nil
end
