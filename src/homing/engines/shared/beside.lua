-- Marks, chosen ids and waiters must belong to a job; the first ones of each are looked at.
local function check_beside(base, describe, problem)
  local marks = redis.call('HSCAN', base .. ':suspects', '0', 'COUNT', 100)[2]
  for i = 1, #marks, 2 do
    if not describe(base, marks[i]) then problem('marks of job ' .. marks[i] .. ' belong to no job') end
  end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. ':ids', '+inf', '+inf', 'LIMIT', 0, 100)) do
    local record = describe(base, id)
    if not record or record[4] == 'completed' or record[4] == 'cancelled' then
      problem('id ' .. id .. ' is taken by a job that has ended or never was')
    end
  end
  local waited = redis.call('HSCAN', base .. ':replies', '0', 'COUNT', 100)[2]
  for i = 1, #waited, 2 do
    if not describe(base, waited[i]) then problem('somebody waits for job ' .. waited[i] .. ', which is not') end
  end
end

-- A page of all bodies, whatever places say: `check(id, state)`. A body without a state is another
-- program's, which is about to push its id. Returns where to go on, nil at the end.
local function check_bodies(base, cursor, limit, check)
  local start = base .. ':job:'
  local found = redis.call('SCAN', cursor, 'MATCH', start .. '*', 'COUNT', 10 * limit)
  for _, key in ipairs(found[2]) do
    local state = redis.pcall('HGET', key, 'state')
    if type(state) == 'string' then check(string.sub(key, #start + 1), state) end
  end
  if found[1] ~= '0' then return found[1] end
  return nil
end
