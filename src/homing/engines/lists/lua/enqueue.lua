-- Store jobs, waiting or scheduled. The same lane and number again adds nothing and answers as before.
--
-- USES clock guard whole made lanes priorities bell stats ids runs
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] lanes      hash, lane -> last number and its answer
-- KEYS[4] lanes_old  the generation before
-- KEYS[5] scheduled  sorted set, id -> due (ms)
-- KEYS[6] ids        sorted set, id a caller chose -> time until which it is taken (ms)
-- KEYS[7] replies    hash, id -> processes that wait for its end
-- KEYS[8] bell       list, at most one token
-- ARGV[1] now_ms
-- ARGV[2] lane
-- ARGV[3] number
-- ARGV[4...] runs    of neighbours that are alike: (task, more, how many, (id, whole)*)*; more is '' for plain
--                    jobs, else 'priority delay_ms own reply meta'
--
-- Returns the positions (from 1, with commas) of the jobs whose id was taken.

-- One plain job for a queue in use, which is what most calls bring, needs few shared functions: it goes before the
-- others are made. What it does is what the rest would do with it.
if #ARGV == 8 and ARGV[5] == '' then
  local base, meta, now = KEYS[1], KEYS[2], tonumber(ARGV[1])
  if not now then
    local time = redis.call('TIME')
    now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  end
  local kept = redis.call('HMGET', meta, 'engine', 'version', 'priorities', 'lanes_ms')
  local last = redis.call('HGET', KEYS[3], ARGV[2]) or redis.call('HGET', KEYS[4], ARGV[2]) or '0'
  local age = now - tonumber(kept[4] or now + 1)
  if kept[1] == ENGINE and tonumber(kept[2] or 0) == DATA_VERSION and age >= 0 and age < LANES_MS
    and string.find(' ' .. (kept[3] or '') .. ' ', ' 0 ', 1, true)
    and (tonumber(last) or math.huge) < tonumber(ARGV[3]) then
    redis.call('LLEN', base .. ':waiting:0')  -- a read that may fail on a key of the wrong type, before the first write
    local job, id = base .. ':job:' .. ARGV[7], ARGV[7]
    if #id == ID_LENGTH and math.abs(now - ms_of(id)) <= ASIDE_MS then
      redis.call('HSET', job, 'state', NEW, WHOLE, ARGV[8])
    else
      redis.call('HSET', job, 'state', 'waiting', 'created_ms', now, WHOLE, ARGV[8])
    end
    redis.call('LPUSH', base .. ':waiting:0', ARGV[7])
    redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
    local minute = base .. ':stats:' .. string.format('%.0f', math.floor(now / 60000))
    if redis.pcall('HINCRBY', minute, 'enqueued', 1) == 1 then redis.call('EXPIRE', minute, STATS_S) end
    if redis.call('EXISTS', KEYS[8]) == 0 then redis.call('LPUSH', KEYS[8], 1) end
    return ''
  end
end

-- FUNCTIONS

local base, meta, now = KEYS[1], KEYS[2], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', 'priorities', 'lanes_ms', 'ids_max')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local last, answer = lane_last(KEYS[3], KEYS[4], ARGV[2])
if last and last >= tonumber(ARGV[3]) then
  keep_lane(KEYS[3], ARGV[2], last, answer)
  return answer
end

local runs, many, delayed = read_runs(4, 2)

-- Every read that may fail on a key of the wrong type stands before the first write.
local soonest = delayed and earliest_due(KEYS[5])
local used, own, seen, taken, skipped = {}, {}, {}, {}, {}
local function is_taken(id)
  local free_at = redis.call('ZSCORE', KEYS[6], id)
  return seen[id] or (free_at and tonumber(free_at) > now) or redis.call('EXISTS', base .. ':job:' .. id) == 1
end
for _, run in ipairs(runs) do
  if not used[run[5]] then
    used[run[5]] = true
    redis.call('LLEN', base .. ':waiting:' .. run[5])
  end
  for i = run[2], run[7] and run[3] - 1 or 0, 2 do
    if is_taken(ARGV[i]) then
      taken[#taken + 1] = run[4] + (i - run[2]) / 2 + 1
      skipped[i] = true
    else
      seen[ARGV[i]] = true
      own[#own + 1] = ARGV[i]
    end
  end
end
local ids_max = tonumber(kept[5] or 1000000)
-- What has expired makes room first: a tick may not have come by for a while.
if #own > 0 and redis.call('ZCARD', KEYS[6]) + #own > ids_max then free_ids(KEYS[6], now) end
if #own > 0 and redis.call('ZCARD', KEYS[6]) + #own > ids_max then
  return redis.error_reply('QUEUEFULL as many ids that callers chose are kept as ids_max allows')
end

local waiting, earlier = {}, false

local job_key, created = base .. ':job:', string.format('%.0f', now)

-- Whether an id of ours says when its job came in: those of the same 64 ms have six letters in common.
local six, six_ms, timely
local function made_now(id)
  if #id ~= ID_LENGTH then return false end
  local start = sub(id, 1, 6)
  if start ~= six then
    six, six_ms = start, ms_of(start)
    timely = six_ms >= now - ASIDE_MS and six_ms + 63 <= now + ASIDE_MS
  end
  return timely or math.abs(now - six_ms - code_of(byte(id, 7))) <= ASIDE_MS
end

local function store(i, priority, delay, job_meta, chosen)
  local timely_id = not chosen and made_now(ARGV[i])
  local plain = timely_id and delay == 0 and job_meta == '' and priority == '0'
  local fields
  if delay > 0 then
    local sum, task, payload = parted(ARGV[i + 1])
    fields = { 'state', 'scheduled', 'task', task, 'payload', payload, 'sum', sum }
  else
    fields = { 'state', plain and NEW or 'waiting', WHOLE, ARGV[i + 1] }
  end
  if not timely_id then append(fields, 'created_ms', created) end
  if job_meta ~= '' then append(fields, 'meta', job_meta) end
  if priority ~= '0' then append(fields, 'priority', priority) end
  redis.call('HSET', job_key .. ARGV[i], unpack(fields))
end

-- Jobs of which nothing else is told, as most are.
local function store_plain(first, past, ids)
  local count = #ids
  for i = first, past - 1, 2 do
    local id = ARGV[i]
    if made_now(id) then
      redis.call('HSET', job_key .. id, 'state', NEW, WHOLE, ARGV[i + 1])
    else
      store(i, '0', 0, '', false)
    end
    count = count + 1
    ids[count] = id
  end
  return count
end

for _, run in ipairs(runs) do
  local priority, delay, process = run[5], run[6], run[8]
  local ids, first = waiting[priority] or {}, run[2]
  local count = #ids
  if run[10] then count, first = store_plain(first, run[3], ids), run[3] end
  for i = first, run[3] - 1, 2 do
    if not skipped[i] then
      local id = ARGV[i]
      store(i, priority, delay, run[9], run[7])
      if delay > 0 then
        redis.call('ZADD', KEYS[5], now + delay, id)
        if not soonest or now + delay < soonest then earlier = true end
      else
        count = count + 1
        ids[count] = id
      end
      if process ~= '' then redis.call('HSET', KEYS[7], id, process) end
    end
  end
  if count > 0 then waiting[priority] = ids end
end
for priority, ids in pairs(waiting) do redis.call('LPUSH', base .. ':waiting:' .. priority, unpack(ids)) end
for _, id in ipairs(own) do redis.call('ZADD', KEYS[6], '+inf', id) end

if not kept[1] then redis.call('HSET', meta, 'engine', ENGINE, 'version', DATA_VERSION) end
add_priorities(meta, kept[3], used)
rotate_lanes(meta, KEYS[3], KEYS[4], kept[4], now)
answer = table.concat(taken, ',')
keep_lane(KEYS[3], ARGV[2], ARGV[3], answer)
add_stats(base, now, { enqueued = many - #taken })
if next(waiting) or earlier then ring(KEYS[8]) end
return answer
