-- Promote what is due, then deliver waiting entries to the worker, in the order of claiming.
--
-- USES clock guard whole made bell plain priorities marks replies finish dead records
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] worker:worker
-- KEYS[5] scheduled
-- KEYS[6] bell
-- KEYS[7] suspects       hash, id -> 'crashes suspicions acquittals'
-- ARGV[1] now_ms
-- ARGV[2] worker
-- ARGV[3] limit
-- ARGV[4] number         grows with every claim and `held`
--
-- Returns {server time, ms until something is due or -1, paused, more, token, alone, jobs}.

local base, meta, worker = KEYS[1], KEYS[2], ARGV[2]
local now, micros = now_ms(ARGV[1])
local limit, jobs = tonumber(ARGV[3]), {}
local kept = redis.call('HMGET', meta, 'engine', 'version', 'priorities', 'paused', 'seen_ms', 'clock_ms', 'lease_ms', 'token')

-- A plain one, where no suspect is known and nothing was handed back.
local due, read = limit > 0 and plain_due(kept, KEYS[3], worker, KEYS[4], ARGV[4], KEYS[5], KEYS[7], now), nil
if due then
  local stream = base .. ':stream:0'
  local back = redis.pcall('XPENDING', stream, GROUP, '-', '+', 1, 'returned')
  if not back.err and not back[1] then
    read = redis.call('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', limit, 'STREAMS', stream, '>')
    read = read and read[1][2]
    if not read or not hand_out_placed('0', read, jobs) then
      local token, waiting, apart = note_plain(meta, kept, KEYS[4], ARGV[4], now, micros, read), 0, 0
      if read and #read == limit then waiting, apart = count_all(base, { '0' }) end
      if waiting > apart then ring(KEYS[6]) end
      return { now, due, 0, waiting > apart and 1 or 0, token, 0, jobs }
    end
    jobs = {}
  end
end

-- FUNCTIONS

local refused = refusal(ENGINE, kept[1], kept[2]) or not_a_member(KEYS[3], worker)
  or outnumbered(KEYS[4], ARGV[4])
if refused then return refused end

redis.call('HSET', KEYS[4], 'number', ARGV[4])
advance_clock(meta, now)
if kept[4] then return { now, due_in(KEYS[5], now), 1, 0, '0', 0, {} } end

local function count() return #jobs / JOB end
local _, more = promote(base, now, math.max(limit, 100))
local priorities = priorities_of(kept[3])

-- Take over entries that wait under a consumer's name; whose body is gone is let go and counted.
local function take_over(priority, from, count)
  local key = base .. ':stream:' .. priority
  local pending, entries = pending_of(key, '-', count, from), {}
  if #pending == 0 then return false end
  for i, one in ipairs(pending) do entries[i] = one[1] end
  local claimed, found = redis.call('XCLAIM', key, GROUP, worker, 0, unpack(entries)), {}
  for _, one in ipairs(claimed) do
    if one and one[2] then found[#found + 1] = one end
  end
  if #found < #entries then
    local there = {}
    for _, one in ipairs(found) do there[one[1]] = true end
    for _, entry in ipairs(entries) do
      -- Newer servers do this themselves.
      if not there[entry] then redis.call('XACK', key, GROUP, entry) end -- server: redis-6.2
    end
    redis.call('HINCRBY', meta, 'missing', #entries - #found)
  end
  if #found > 0 then hand_out(base, priority, found, jobs) end
  return #pending == count
end

-- What was read without the suspects, which are put apart: a retry is a new entry, like any other.
local suspects_exist, put_apart = redis.call('EXISTS', KEYS[7]) == 1, false
local function without_suspects(priority, entries)
  if not suspects_exist then return entries end
  local rest, apart = {}, {}
  for _, one in ipairs(entries) do
    if is_suspect(KEYS[7], id_of(priority, one[1], one[2])) then
      apart[#apart + 1] = one[1]
    else
      rest[#rest + 1] = one
    end
  end
  if #apart > 0 then
    hand_back(base, { [priority] = apart }, 'alone')
    put_apart = true
  end
  return rest
end

local function deliver(priority, count)
  local key, entries = base .. ':stream:' .. priority, read
  read = nil
  if not entries then
    if redis.call('EXISTS', key) == 0 then return false end
    local answer = redis.call('XREADGROUP', 'GROUP', GROUP, worker, 'COUNT', count, 'STREAMS', key, '>')
    if not answer then return false end
    entries = answer[1][2]
  end
  local found = without_suspects(priority, entries)
  if #found > 0 then hand_out(base, priority, found, jobs) end
  return #entries == count
end

local function holds_nothing()
  for _, priority in ipairs(priorities) do
    if #pending_now(base .. ':stream:' .. priority, '-', 1, worker) > 0 then return false end
  end
  return true
end

local alone, idle = 0, true
if redis.call('HGET', KEYS[4], 'alone') or suspects_exist then idle = holds_nothing() end
local function take_alone()
  for _, priority in ipairs(priorities) do
    if #jobs == 0 then take_over(priority, 'alone', 1) end
  end
  local told = jobs[2]
  if told then
    redis.call('HSET', KEYS[4], 'alone', type(told) == 'table' and told[1] or string.match(told, '^%S*'))
    alone, limit = 1, 0
  end
end

-- A worker that holds a suspect gets nothing beside it.
if redis.call('HGET', KEYS[4], 'alone') then
  if idle then redis.call('HDEL', KEYS[4], 'alone') else limit = 0 end
end
if limit > 0 and suspects_exist and idle then take_alone() end
for _, priority in ipairs(priorities) do
  while count() < limit and take_over(priority, 'returned', limit - count()) do end
  while count() < limit and deliver(priority, limit - count()) do end
end
if limit > 0 and #jobs == 0 and put_apart and idle then take_alone() end

local token = '0'
if #jobs > 0 then token = next_token(meta, now, micros) end
-- Whoever got a suspect may take no more, others may; what was put apart is for an idle worker.
if put_apart or (#jobs > 0 and (alone == 1 or count() == limit)) then
  local waiting, apart = count_all(base, priorities)
  more = more or waiting > ((alone == 1 or put_apart) and 0 or apart)
  if more then ring(KEYS[6]) end
end
return { now, due_in(KEYS[5], now), 0, alone == 0 and more and 1 or 0, token, alone, jobs }
