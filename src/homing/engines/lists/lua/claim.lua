-- Promote what is due, then move waiting jobs to the worker's active list, in the order of claiming.
--
-- USES clock guard whole bell priorities marks replies finish dead
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

local base, meta, active, now = KEYS[1], KEYS[2], KEYS[5], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', 'priorities', 'paused')
local refused = refusal(ENGINE, kept[1], kept[2]) or not_a_member(KEYS[3], ARGV[2])
  or outnumbered(KEYS[4], ARGV[4])
if refused then return refused end

redis.call('HSET', KEYS[4], 'number', ARGV[4])
advance_clock(meta, now)
if kept[4] then return { now, due_in(KEYS[6], now), 1, 0, '0', 0, {} } end

local limit, jobs = tonumber(ARGV[3]), {}
local _, more = promote(base, now, math.max(limit, 100))
local function count() return #jobs / JOB end

-- Move the oldest of a list, at most `most`, to the active list and hand them out. Returns whether there were any.
local function take(list, most, priority)
  local ids = redis.call('LRANGE', list, -most, -1)
  local moved = {}
  for i = #ids, 1, -1 do moved[#moved + 1] = ids[i] end
  if #moved == 0 then return false end
  redis.call('LPUSH', active, unpack(moved))
  redis.call('LTRIM', list, 0, -#moved - 1)
  for _, id in ipairs(moved) do
    hand_out(base, active, id, priority or priority_of(base, id), ARGV[2], now, true, jobs)
  end
  return true
end

-- A worker that holds a suspect gets nothing beside it.
local alone, idle = 0, redis.call('LLEN', active) == 0
if redis.call('HGET', KEYS[4], 'alone') then
  if idle then redis.call('HDEL', KEYS[4], 'alone') else limit = 0 end
end
if limit > 0 and idle and redis.call('EXISTS', base .. ':alone') == 1 then
  take(base .. ':alone', 1, nil)
  if jobs[1] then
    redis.call('HSET', KEYS[4], 'alone', jobs[1])
    alone, limit = 1, 0
  end
end
local priorities = priorities_of(kept[3])
for _, priority in ipairs(priorities) do
  while count() < limit and take(base .. ':waiting:' .. priority, limit - count(), priority) do end
end

local token = '0'
if #jobs > 0 then token = next_token(meta, now, ARGV[1]) end
-- Whoever got a suspect may take no more, others may.
if #jobs > 0 and (alone == 1 or count() == limit) then
  local waiting, apart = count_all(base, priorities)
  more = more or waiting > (alone == 1 and 0 or apart)
  if more then ring(KEYS[7]) end
end
return { now, due_in(KEYS[6], now), 0, alone == 0 and more and 1 or 0, token, alone, jobs }
