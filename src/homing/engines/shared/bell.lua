-- Wake one worker: one token, if there is none.
local function ring(bell)
  if redis.call('EXISTS', bell) == 0 then redis.call('LPUSH', bell, 1) end
end

-- The server time at which the next scheduled job is due, or nil.
local function earliest_due(scheduled)
  local first = redis.call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2])
end

-- Milliseconds until then, -1 when nothing is scheduled.
local function due_in(scheduled, now)
  local due = earliest_due(scheduled)
  return due and math.max(due - now, 0) or -1
end
