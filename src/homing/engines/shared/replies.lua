local REPLY_MAX, REPLY_MIN_MS = 1000, 60000

-- Tell the processes that wait for a job's end, and forget that they do. Returns whether any did.
local function reply(base, replies, id, state, body, ttl)
  local waiting = redis.call('HGET', replies, id)
  if not waiting then return false end
  for process in string.gmatch(waiting, '[^,]+') do
    local list = base .. ':reply:' .. process
    redis.call('RPUSH', list, id .. '\n' .. state .. '\n' .. body)
    redis.call('LTRIM', list, -REPLY_MAX, -1)
    redis.call('PEXPIRE', list, math.max(tonumber(ttl), REPLY_MIN_MS))
  end
  redis.call('HDEL', replies, id)
  return true
end
