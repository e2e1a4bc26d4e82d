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
-- KEYS[9] index      hash, id -> ref of the jobs in the streams whose id does not say it: 'priority/entry', of
--                    priority 0 'entry'
-- ARGV[1] now_ms
-- ARGV[2] lane
-- ARGV[3] number
-- ARGV[4...] runs    of neighbours that are alike: (task, more, how many, whole*)*; more is '' for plain jobs, else
--                    'priority delay_ms own reply meta'; a whole job is '<id> <sum> <task>\n<payload>'
--
-- Returns the positions (from 1, with commas) of the jobs whose id was taken.

-- One plain job for a queue in use, which is what most calls bring, needs few shared functions: it goes before the
-- others are made. What it does is what the rest would do with it.
if #ARGV == 7 and ARGV[5] == '' then
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
    redis.call('HLEN', KEYS[9])  -- as a read that may fail on a key of the wrong type stands before the first write
    local whole, stream = ARGV[7], base .. ':stream:0'
    local made, at = ms_of(whole), nil
    if math.abs(now - made) <= ASIDE_MS and byte(whole, ID_LENGTH + 1) == 32 then
      at = redis.pcall('XADD', stream, place_at(whole, made), WHOLE, whole)
    end
    if not at or at.err then
      redis.call('HSET', KEYS[9], string.match(whole, '^%S*'), redis.call('XADD', stream, '*', WHOLE, whole))
    end
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

local runs, many, delayed = read_runs(4, 1)

-- Every read that may fail on a key of the wrong type stands before the first write.
local soonest = delayed and earliest_due(KEYS[5])
redis.call('HLEN', KEYS[9])
local used, own, seen, taken, skipped = {}, {}, {}, {}, {}
local function is_taken(id)
  local free_at = redis.call('ZSCORE', KEYS[6], id)
  if seen[id] or (free_at and tonumber(free_at) > now) or redis.call('HEXISTS', KEYS[9], id) == 1
    or redis.call('EXISTS', base .. ':job:' .. id) == 1 then return true end
  -- A job of ours may have the id that somebody chose; who may put jobs in alone may not look.
  local looked, priority = pcall(find_at, base, id, places_of(base, id))
  return looked and priority
end
for _, run in ipairs(runs) do
  if not used[run[5]] then
    used[run[5]] = true
    redis.call('XLEN', base .. ':stream:' .. run[5])
  end
  for i = run[2], run[7] and run[3] - 1 or 0 do
    local id = string.match(ARGV[i], '^%S*')
    if is_taken(id) then
      taken[#taken + 1] = run[4] + i - run[2] + 1
      skipped[i] = true
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

local index, indexed, stored, earlier = {}, 0, 0, false

-- A job that is due later stands in a hash until then.
local function schedule(whole, run)
  local fields, due = by_name(unfolded({ WHOLE, whole })), now + run[6]
  local job = { 'state', 'scheduled', 'created_ms', now, 'priority', run[5], 'task', fields.task,
    'payload', fields.payload, 'sum', fields.sum }
  if run[9] ~= '' then append(job, 'meta', run[9]) end
  redis.call('HSET', base .. ':job:' .. fields.id, unpack(job))
  redis.call('ZADD', KEYS[5], due, fields.id)
  if run[8] ~= '' then redis.call('HSET', KEYS[7], fields.id, run[8]) end
  if not soonest or due < soonest then earlier = true end
end

-- Ids made now say where their jobs stand, when that is behind the last entry; of others the server says it, and the
-- index knows.
local past, earliest, latest = '', now - ASIDE_MS, now + ASIDE_MS

local function add(call, stream, at, whole, job_meta)
  if job_meta == '' then return call('XADD', stream, at, WHOLE, whole) end
  return call('XADD', stream, at, WHOLE, whole, 'meta', job_meta)
end

local function add_behind(stream, priority, whole, job_meta)
  local at = add(redis.call, stream, '*', whole, job_meta)
  past = sub(at, 1, 14) .. '~' -- above all of this millisecond
  index[indexed + 1], index[indexed + 2] = string.match(whole, '^%S*'), ref_of(priority, at)
  indexed = indexed + 2
end

-- The jobs of a run that are due now.
local function add_run(stream, run)
  local priority, chosen, process, job_meta = run[5], run[7], run[8], run[9]
  past = ''
  for i = run[2], run[3] - 1 do
    if not skipped[i] then
      local whole, done = ARGV[i], false
      if not chosen and byte(whole, ID_LENGTH + 1) == 32 then
        local letter7, letter8, letter9 = byte(whole, 7, 9)
        if letter8 ~= eighth or letter7 ~= seventh or sub(whole, 1, 6) ~= six then look_at(whole, letter7, letter8) end
        if head > past and made >= earliest and made <= latest then
          done = not add(redis.pcall, stream, head .. (tails[letter9] or tail_of(letter9)), whole, job_meta).err
        end
      end
      if not done then add_behind(stream, priority, whole, job_meta) end
      if process ~= '' then redis.call('HSET', KEYS[7], string.match(whole, '^%S*'), process) end
      stored = stored + 1
    end
  end
end

for _, run in ipairs(runs) do
  if run[6] == 0 then
    add_run(base .. ':stream:' .. run[5], run)
  else
    for i = run[2], run[3] - 1 do
      if not skipped[i] then schedule(ARGV[i], run) end
    end
  end
end
if indexed > 0 then redis.call('HSET', KEYS[9], unpack(index)) end
for _, id in ipairs(own) do redis.call('ZADD', KEYS[6], '+inf', id) end

if not kept[1] then redis.call('HSET', meta, 'engine', ENGINE, 'version', DATA_VERSION) end
add_priorities(meta, kept[3], used)
rotate_lanes(meta, KEYS[3], KEYS[4], kept[4], now)
answer = table.concat(taken, ',')
keep_lane(KEYS[3], ARGV[2], ARGV[3], answer)
add_stats(base, now, { enqueued = many - #taken })
if stored > 0 or earlier then ring(KEYS[8]) end
return answer
