-- The field that holds a new job of ours whole: on lists '<sum> <task>\n<payload>', on streams '<id> ' before it. A job that
-- leaves the plain road (it is due later, runs again, is dead) has the fields `task`, `payload` and `sum` in its place.
local WHOLE = 'homing'

-- Sum, task and payload. Of a job that was damaged between its parts nothing may run: its sum does not match.
local function parted(told)
  local sum, task, payload = string.match(told, '^(%S+) ([^\n]*)\n(.*)$')
  if not sum then return 'damaged', '', told end
  return sum, task, payload
end

-- A job's hash says its parts by their names.
local function unfold(job)
  local told = redis.call('HGET', job, WHOLE)
  if not told then return end
  local sum, task, payload = parted(told)
  redis.call('HSET', job, 'task', task, 'payload', payload, 'sum', sum)
  redis.call('HDEL', job, WHOLE)
end
