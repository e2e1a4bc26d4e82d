-- Fence a worker and give back what it holds, at most 1,000 jobs a call, in their old order.
--
-- USES clock guard whole bell priorities stats marks replies finish dead
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] worker:worker
-- KEYS[5] active:worker
-- KEYS[6] suspects        hash, id -> 'crashes suspicions acquittals'
-- KEYS[7] bell
-- ARGV[1] now_ms
-- ARGV[2] worker
-- ARGV[3] reason          lapsed (nobody saw it end), died (its supervisor did), left
-- ARGV[4] error           JSON for the dead letters of a job with too many crashes
-- ARGV[5...] started      ids that were running when it died
--
-- Returns {moved, buried, more, 1 when a `lapsed` worker had renewed its lease}.

local MOVE_MAX = 1000

local base, meta, active, now = KEYS[1], KEYS[2], KEYS[5], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', 'crash_max', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local expiry = redis.call('ZSCORE', KEYS[3], ARGV[2])
if not expiry then return { 0, 0, 0, 0 } end
look_around(base, { dead = ARGV[3] ~= 'left' }, true)
look_at_places(base, priorities_of(kept[4]))
local clock = advance_clock(meta, now)
if ARGV[3] == 'lapsed' and tonumber(expiry) >= clock then return { 0, 0, 0, 1 } end

redis.call('ZADD', KEYS[3], -1, ARGV[2])
local started, moved, buried = {}, 0, 0
for i = 5, #ARGV do started[ARGV[i]] = true end
local crash_max = tonumber(kept[3] or 3)

-- The marks a job gets for this death; a lease may also end while worker and job are well.
local function mark(id)
  local crashes, suspicions, acquittals = marks_of(KEYS[6], id)
  if ARGV[3] == 'left' or (ARGV[3] == 'died' and not started[id]) then return crashes, suspicions end
  if ARGV[3] == 'died' then
    crashes = crashes + 1
  else
    suspicions = suspicions + 1
  end
  set_marks(KEYS[6], id, crashes, suspicions, acquittals)
  return crashes, suspicions
end

for _ = 1, MOVE_MAX do
  local id = redis.call('LPOP', active)
  if not id then break end
  local job = base .. ':job:' .. id
  local state = redis.pcall('HGET', job, 'state')
  if not state then
    redis.call('HINCRBY', meta, 'missing', 1)
  elseif type(state) == 'table' then
    bury_raw(base, id, now, '0')
    buried = buried + 1
  else
    if condemned(crash_max, mark(id)) then
      bury(base, id, now, nil, ARGV[4])
      buried = buried + 1
    else
      push_back(base, id, true)
      moved = moved + 1
    end
  end
end

local more = redis.call('LLEN', active) > 0
if not more then
  redis.call('ZREM', KEYS[3], ARGV[2])
  redis.call('DEL', KEYS[4])
end
add_stats(base, now, { reclaimed = moved, buried = buried })
if moved > 0 then ring(KEYS[7]) end
return { moved, buried, more and 1 or 0, 0 }
