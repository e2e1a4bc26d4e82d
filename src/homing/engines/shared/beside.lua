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
