-- Fence a worker and give back what it holds, at most 1,000 jobs a call; entries keep their old order.
--
-- USES clock guard whole made bell priorities stats marks replies finish dead
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] worker:worker
-- KEYS[5] suspects        hash, id -> 'crashes suspicions acquittals'
-- KEYS[6] bell
-- ARGV[1] now_ms
-- ARGV[2] worker
-- ARGV[3] reason          lapsed (nobody saw it end), died (its supervisor did), left
-- ARGV[4] error           JSON for the dead letters of a job with too many crashes
-- ARGV[5...] started      ids that were running when it died
--
-- Returns {moved, buried, more, 1 when a `lapsed` worker had renewed its lease}.

local MOVE_MAX = 1000

local base, meta, worker, now = KEYS[1], KEYS[2], ARGV[2], now_ms(ARGV[1])
local kept = redis.call('HMGET', meta, 'engine', 'version', 'crash_max', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local expiry = redis.call('ZSCORE', KEYS[3], worker)
if not expiry then return { 0, 0, 0, 0 } end
look_around(base, { dead = ARGV[3] ~= 'left' }, true)
redis.call('HLEN', base .. ':index')
local clock = advance_clock(meta, now)
if ARGV[3] == 'lapsed' and tonumber(expiry) >= clock then return { 0, 0, 0, 1 } end

redis.call('ZADD', KEYS[3], -1, worker)
local started, moved, buried, left = {}, 0, 0, MOVE_MAX
for i = 5, #ARGV do started[ARGV[i]] = true end
local crash_max = tonumber(kept[3] or 3)

-- The marks a job gets for this death; a lease may also end while worker and job are well.
local function mark(id)
  local crashes, suspicions, acquittals = marks_of(KEYS[5], id)
  if ARGV[3] == 'left' or (ARGV[3] == 'died' and not started[id]) then return crashes, suspicions end
  if ARGV[3] == 'died' then
    crashes = crashes + 1
  else
    suspicions = suspicions + 1
  end
  set_marks(KEYS[5], id, crashes, suspicions, acquittals)
  return crashes, suspicions
end

local priorities = priorities_of(kept[4])
for _, priority in ipairs(priorities) do
  local key = base .. ':stream:' .. priority
  local back, apart = {}, {}
  for _, one in ipairs(left > 0 and pending_now(key, '-', left, worker) or {}) do
    local entry = one[1]
    local flat = read_entry(base, priority, entry)
    left = left - 1
    if not flat then
      redis.call('XACK', key, GROUP, entry)
      redis.call('HINCRBY', meta, 'missing', 1)
    else
      local id = id_of(priority, entry, flat)
      local crashes, suspicions = mark(id)
      if condemned(crash_max, crashes, suspicions) then
        to_hash(base, id, priority, entry, flat, 'dead', nil, nil)
        bury(base, id, now, nil, ARGV[4])
        drop_entries(base, priority, { entry }, { id })
        buried = buried + 1
      else
        table.insert(crashes + suspicions >= 2 and apart or back, entry)
        moved = moved + 1
      end
    end
  end
  if #back > 0 then hand_back(base, { [priority] = back }, 'returned') end
  if #apart > 0 then hand_back(base, { [priority] = apart }, 'alone') end
end

local more = false
for _, priority in ipairs(priorities) do
  more = more or #pending_now(base .. ':stream:' .. priority, '-', 1, worker) > 0
end
if not more then
  for _, priority in ipairs(priorities) do
    local key = base .. ':stream:' .. priority
    if redis.call('EXISTS', key) == 1 then redis.pcall('XGROUP', 'DELCONSUMER', key, GROUP, worker) end
  end
  redis.call('ZREM', KEYS[3], worker)
  redis.call('DEL', KEYS[4])
end
add_stats(base, now, { reclaimed = moved, buried = buried })
if moved > 0 then ring(KEYS[6]) end
return { moved, buried, more and 1 or 0, 0 }
