-- Store jobs, waiting or scheduled. The same lane and number again adds nothing and answers as before.
--
-- USES clock guard lanes priorities bell stats ids
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] lanes      hash, lane -> last number and its answer
-- KEYS[4] lanes_old  the generation before
-- KEYS[5] scheduled  sorted set, id -> due (ms)
-- KEYS[6] ids        sorted set, id a caller chose -> time until which it is taken (ms)
-- KEYS[7] replies    hash, id -> processes that wait for its end
-- KEYS[8] bell       list, at most one token
-- KEYS[9] index      hash, id -> 'priority/entry' of the jobs in the streams
-- ARGV[1] now_ms
-- ARGV[2] lane
-- ARGV[3] number
-- ARGV[4...] jobs    (id, task, payload, sum, meta, priority, delay_ms, own, reply)*
--
-- Returns the positions (from 1, with commas) of the jobs whose id was taken.

local base, meta, now = KEYS[1], KEYS[2], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', 'priorities', 'lanes_ms', 'ids_max')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local last, answer = lane_last(KEYS[3], KEYS[4], ARGV[2])
if last and last >= tonumber(ARGV[3]) then
  keep_lane(KEYS[3], ARGV[2], last, answer)
  return answer
end

-- Every read that may fail on a key of the wrong type stands before the first write.
local soonest = earliest_due(KEYS[5])
redis.call('HLEN', KEYS[9])
local used, own, seen, taken = {}, {}, {}, {}
for i = 4, #ARGV, 9 do
  local id, priority = ARGV[i], ARGV[i + 5]
  if not used[priority] then
    used[priority] = true
    redis.call('XLEN', base .. ':stream:' .. priority)
  end
  if ARGV[i + 7] == '1' then
    local free_at = redis.call('ZSCORE', KEYS[6], id)
    if seen[id] or (free_at and tonumber(free_at) > now) or redis.call('HEXISTS', KEYS[9], id) == 1
      or redis.call('EXISTS', base .. ':job:' .. id) == 1 then
      taken[#taken + 1] = (i - 4) / 9 + 1
      seen[i] = true
    else
      seen[id] = true
      own[#own + 1] = id
    end
  end
end
local ids_max = tonumber(kept[5] or 1000000)
-- What has expired makes room first: a tick may not have come by for a while.
if #own > 0 and redis.call('ZCARD', KEYS[6]) + #own > ids_max then free_ids(KEYS[6], now) end
if #own > 0 and redis.call('ZCARD', KEYS[6]) + #own > ids_max then
  return redis.error_reply('QUEUEFULL as many ids that callers chose are kept as ids_max allows')
end

local index, stored, earlier = {}, 0, false
for i = 4, #ARGV, 9 do
  if not seen[i] then
    local id, priority, delay = ARGV[i], ARGV[i + 5], tonumber(ARGV[i + 6])
    if delay > 0 then
      local job = { 'state', 'scheduled', 'created_ms', now, 'attempt', '0', 'priority', priority,
        'task', ARGV[i + 1], 'payload', ARGV[i + 2], 'sum', ARGV[i + 3] }
      if ARGV[i + 4] ~= '' then append(job, 'meta', ARGV[i + 4]) end
      redis.call('HSET', base .. ':job:' .. id, unpack(job))
      redis.call('ZADD', KEYS[5], now + delay, id)
      if not soonest or now + delay < soonest then earlier = true end
    else
      local at
      if ARGV[i + 4] == '' then
        at = redis.call('XADD', base .. ':stream:' .. priority, '*', 'id', id, 'task', ARGV[i + 1],
          'payload', ARGV[i + 2], 'sum', ARGV[i + 3], 'attempt', '0')
      else
        at = redis.call('XADD', base .. ':stream:' .. priority, '*', 'id', id, 'task', ARGV[i + 1],
          'payload', ARGV[i + 2], 'sum', ARGV[i + 3], 'attempt', '0', 'meta', ARGV[i + 4])
      end
      append(index, id, priority .. '/' .. at)
    end
    if ARGV[i + 8] ~= '' then redis.call('HSET', KEYS[7], id, ARGV[i + 8]) end
    stored = stored + 1
  end
end
if #index > 0 then redis.call('HSET', KEYS[9], unpack(index)) end
for _, id in ipairs(own) do redis.call('ZADD', KEYS[6], '+inf', id) end

if not kept[1] then redis.call('HSET', meta, 'engine', ENGINE, 'version', DATA_VERSION) end
add_priorities(meta, kept[3], used)
rotate_lanes(meta, KEYS[3], KEYS[4], kept[4], now)
answer = table.concat(taken, ',')
keep_lane(KEYS[3], ARGV[2], ARGV[3], answer)
add_stats(base, now, { enqueued = stored })
if #index > 0 or earlier then ring(KEYS[8]) end
return answer
