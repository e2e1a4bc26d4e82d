local PRUNE_MAX = 100

-- What time has passed over: dead letters too old or too many, ids that may be used again. Returns
-- whether there may be more of it.
local function prune(base, meta, now)
  local kept = redis.call('HMGET', meta, 'dead_ttl_ms', 'dead_max', 'id_ttl_ms')
  local dead, ids = base .. ':dead', base .. ':ids'
  local until_ms = now + tonumber(kept[3] or 3600000)
  local old = redis.call('ZRANGEBYSCORE', dead, '-inf', now - tonumber(kept[1] or 2592000000),
    'LIMIT', 0, PRUNE_MAX)
  local over = redis.call('ZCARD', dead) - #old - tonumber(kept[2] or 100000)
  if over > 0 then
    local most = redis.call('ZRANGE', dead, #old, #old + math.min(over, PRUNE_MAX) - 1)
    for _, id in ipairs(most) do old[#old + 1] = id end
  end
  for _, id in ipairs(old) do forget_dead(base, id, until_ms) end
  return free_ids(ids, now) or #old >= PRUNE_MAX
end
