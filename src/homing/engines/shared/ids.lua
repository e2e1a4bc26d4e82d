local FREE_MAX = 1000

-- Forget ids that callers chose and that may be used again. Returns whether there may be more of them.
local function free_ids(ids, now)
  local free = redis.call('ZRANGEBYSCORE', ids, '-inf', now, 'LIMIT', 0, FREE_MAX)
  if #free > 0 then redis.call('ZREM', ids, unpack(free)) end
  return #free == FREE_MAX
end
