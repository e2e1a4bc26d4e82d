-- Promote what is due, then move waiting jobs to the worker's active list, in the order of claiming.
--
-- USES clock guard whole bell plain priorities marks replies finish dead
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] worker:worker
-- KEYS[5] active:worker  list of the ids this worker holds, the oldest at its right end
-- KEYS[6] scheduled
-- KEYS[7] bell
-- ARGV[1] now_ms
-- ARGV[2] worker
-- ARGV[3] limit
-- ARGV[4] number         grows with every claim and `held`
--
-- Returns {server time, ms until something is due or -1, paused, more, token, alone, jobs}.

local base, meta, active = KEYS[1], KEYS[2], KEYS[5]
local now, micros = now_ms(ARGV[1])
local limit, jobs = tonumber(ARGV[3]), {}
local kept = redis.call('HMGET', meta, 'engine', 'version', 'priorities', 'paused', 'seen_ms', 'clock_ms', 'lease_ms', 'token')

-- Move the oldest of a list, at most `most`, to the active list. Returns them in the order of claiming.
local function move(list, most)
  local ids, moved = redis.call('LRANGE', list, -most, -1), {}
  for i = #ids, 1, -1 do moved[#moved + 1] = ids[i] end
  if not moved[1] then return moved end
  redis.call('LPUSH', active, unpack(moved))
  redis.call('LTRIM', list, 0, -#moved - 1)
  return moved
end

-- A plain one, where no suspect waits apart.
local due = limit > 0 and plain_due(kept, KEYS[3], ARGV[2], KEYS[4], ARGV[4], KEYS[6], base .. ':alone', now)
local moved, told = {}, 0
if due then
  moved = move(base .. ':waiting:0', limit)
  while moved[told + 1] and not hand_out_new(base .. ':job:' .. moved[told + 1], moved[told + 1], '0', ARGV[2], jobs) do
    told = told + 1
  end
  if told == #moved then
    local token = note_plain(meta, kept, KEYS[4], ARGV[4], now, micros, told > 0)
    local more = told == limit and redis.call('EXISTS', base .. ':waiting:0') == 1
    if more then ring(KEYS[7]) end
    return { now, due, 0, more and 1 or 0, token, 0, jobs }
  end
end

-- FUNCTIONS

local refused = refusal(ENGINE, kept[1], kept[2]) or not_a_member(KEYS[3], ARGV[2])
  or outnumbered(KEYS[4], ARGV[4])
if refused then return refused end

redis.call('HSET', KEYS[4], 'number', ARGV[4])
advance_clock(meta, now)
if kept[4] then return { now, due_in(KEYS[6], now), 1, 0, '0', 0, {} } end

local _, more = promote(base, now, math.max(limit, 100))
local function count() return #jobs / JOB end

-- Hand out what was moved, from one position on. Returns whether there was anything.
local function take(ids, from, priority)
  for i = from, #ids do
    hand_out(base, active, ids[i], priority or priority_of(base, ids[i]), ARGV[2], now, true, jobs)
  end
  return ids[1] ~= nil
end

-- A worker that holds a suspect gets nothing beside it.
local alone, idle = 0, redis.call('LLEN', active) == 0
if redis.call('HGET', KEYS[4], 'alone') then
  if idle then redis.call('HDEL', KEYS[4], 'alone') else limit = 0 end
end
if limit > 0 and idle and redis.call('EXISTS', base .. ':alone') == 1 then
  take(move(base .. ':alone', 1), 1, nil)
  if jobs[1] then
    redis.call('HSET', KEYS[4], 'alone', jobs[1])
    alone, limit = 1, 0
  end
end
local priorities = priorities_of(kept[3])
take(moved, told + 1, '0')
for _, priority in ipairs(priorities) do
  while count() < limit and take(move(base .. ':waiting:' .. priority, limit - count()), 1, priority) do end
end

local token = '0'
if #jobs > 0 then token = next_token(meta, now, micros) end
-- Whoever got a suspect may take no more, others may.
if #jobs > 0 and (alone == 1 or count() == limit) then
  local waiting, apart = count_all(base, priorities)
  more = more or waiting > (alone == 1 and 0 or apart)
  if more then ring(KEYS[7]) end
end
return { now, due_in(KEYS[6], now), 0, alone == 0 and more and 1 or 0, token, alone, jobs }
