-- The dead letters: a sorted set by the time of burial, and each job's hash, kept whole.

-- Delete a dead job and all that belongs to it.
local function forget_dead(base, id, until_ms)
  if redis.call('ZREM', base .. ':dead', id) == 0 then return 0 end
  redis.call('DEL', base .. ':job:' .. id, base .. ':raw:' .. id)
  release_ids(base, { id }, until_ms)
  return 1
end

-- Bury a job whose hash exists. Two of the oldest make room when there are too many.
local function bury(base, id, now, attempt, error)
  local job = base .. ':job:' .. id
  unfold(job)
  redis.call('HSET', job, 'state', 'dead', 'dead_ms', now, 'error', error)
  if attempt then redis.call('HSET', job, 'attempt', attempt) end
  redis.call('ZADD', base .. ':dead', now, id)
  local kept = redis.call('HMGET', base .. ':meta', 'result_ttl_ms', 'dead_max', 'id_ttl_ms')
  reply(base, base .. ':replies', { id, 'dead', error }, kept[1] or 600000)
  local over = redis.call('ZCARD', base .. ':dead') - tonumber(kept[2] or 100000)
  if over > 0 then
    for _, old in ipairs(redis.call('ZRANGE', base .. ':dead', 0, math.min(over, 2) - 1)) do
      forget_dead(base, old, now + tonumber(kept[3] or 3600000))
    end
  end
end

-- Bury what stands under a job's key though it is no hash; the key is kept beside it.
local function bury_raw(base, id, now, priority)
  local job = base .. ':job:' .. id
  local kind = redis.call('TYPE', job).ok
  redis.call('RENAME', job, base .. ':raw:' .. id)
  redis.call('HSET', job, 'priority', priority, 'raw', kind)
  bury(base, id, now, nil, '{"type":"WrongType","message":"the key of the job holds a ' .. kind
    .. ', not a hash; it is kept as ' .. base .. ':raw:' .. id .. '","reason":"wrong type"}')
end
