-- Look again at one thing that `verify` named, and mend it when it is still wrong. No job that has a body is
-- deleted, and what a worker holds is left to it. The place of a job is the one that its body says; when it
-- says none that is so, the one nearest to its run: held, waiting, scheduled, dead.
--
-- USES clock guard whole bell priorities marks replies finish dead records mend
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] scheduled
-- KEYS[5] dead
-- KEYS[6] bell
-- ARGV[1] now_ms
-- ARGV[2] dry      1: only say what would be done
-- ARGV[3] subject  'kind:name': job, active (what a worker holds), worker, suspects, ids, replies
--
-- Returns {fine, mended or left; what; 1 when there is more of it}.

local MOVE_MAX = 100

local base, meta, now, dry = KEYS[1], KEYS[2], now_ms(ARGV[1]), ARGV[2] == '1'
local kept = redis.call('HMGET', meta, 'engine', 'version', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local kind, name = string.match(ARGV[3], '^(%a+):(.*)$')

-- All places of a job, nearest to its run first: {state, key, how often, worker or priority}.
local function places_of(id)
  local found = {}
  local function look(state, key, of)
    local times = #redis.call('LPOS', key, id, 'COUNT', 0)
    if times > 0 then found[#found + 1] = { state, key, times, of } end
  end
  for _, worker in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    look('active', base .. ':active:' .. worker, worker)
  end
  look('waiting', base .. ':alone', nil)
  for _, priority in ipairs(priorities_of(kept[3])) do
    look('waiting', base .. ':waiting:' .. priority, priority)
  end
  for _, one in ipairs({ { 'scheduled', KEYS[4] }, { 'dead', KEYS[5] } }) do
    if redis.call('ZSCORE', one[2], id) then found[#found + 1] = { one[1], one[2], 1 } end
  end
  return found
end

local function take_out(place, id, but)
  if place[1] == 'scheduled' or place[1] == 'dead' then
    redis.call('ZREM', place[2], id)
  elseif place[3] > (but or 0) then
    redis.call('LREM', place[2], place[3] - (but or 0), id)
  end
end

-- A job without a body: its ids are dropped and counted as one.
local function drop_ids(id, places)
  for _, place in ipairs(places) do take_out(place, id) end
  redis.call('HINCRBY', meta, 'missing', 1)
  forget_beside(base, id, now)
end

-- A body in no place goes where it says that it is, what was held to the front of its queue.
local function restore(id, said, due, died)
  return mended(dry, 'job ' .. id .. ' said that it is ' .. said .. ' and was nowhere: put back', function()
    if said == 'scheduled' then
      redis.call('ZADD', KEYS[4], tonumber(due) or now, id)
    elseif said == 'dead' then
      redis.call('ZADD', KEYS[5], tonumber(died) or now, id)
    else
      push_back(base, id, true)
    end
    ring(KEYS[6])
  end)
end

-- Of several places the one that the body says, with its worker or priority, or the nearest to its run.
local function best_of(places, said, of)
  local best
  for _, place in ipairs(places) do
    if place[1] == said and (not best or place[4] == of) then best = place end
  end
  return best or places[1]
end

-- What the body should say of itself, and does not: names and values.
local function corrections(place, said, worker, priority)
  local fields = {}
  if said and said ~= place[1] then append(fields, 'state', place[1]) end
  if place[1] == 'active' and worker ~= place[4] then append(fields, 'worker', place[4]) end
  if place[1] == 'waiting' and said and place[4] and priority ~= place[4] then append(fields, 'priority', place[4]) end
  return fields
end

local function mend_job(id)
  local job, places = base .. ':job:' .. id, places_of(id)
  local body = redis.call('TYPE', job).ok
  if body ~= 'hash' then
    if body == 'none' and not places[1] then return FINE end
    if places[1] and places[1][1] == 'active' then
      return left('job ' .. id .. ' has no body that can be read: ' .. places[1][4] .. ' holds it, and will settle it')
    end
    if body ~= 'none' then
      return mend_raw(base, id, now, places[1] and places[1][4] or '0', dry, function()
        for _, place in ipairs(places) do take_out(place, id) end
      end)
    end
    return mended(dry, 'job ' .. id .. ' has no body: dropped from ' .. places[1][2], function() drop_ids(id, places) end)
  end

  local fields = redis.call('HMGET', job, 'state', 'worker', 'priority', 'due_ms', 'dead_ms')
  local said, priority = said_state(fields[1]), fields[3] or '0'
  if not places[1] then return said and restore(id, said, fields[4], fields[5]) or FINE end
  local best, spare = best_of(places, said, said == 'active' and fields[2] or priority), {}
  for _, place in ipairs(places) do
    if place ~= best or place[3] > 1 then spare[#spare + 1] = place end
  end
  local corrected = corrections(best, said, fields[2], priority)
  if not spare[1] and not corrected[1] then return FINE end
  local says = 'job ' .. id .. ' stays in ' .. best[2]
  for _, place in ipairs(spare) do says = says .. (place == best and ' once' or ' and leaves ' .. place[2]) end
  for i = 1, #corrected, 2 do says = says .. ', ' .. corrected[i] .. ' ' .. corrected[i + 1] end
  return mended(dry, says, function()
    for _, place in ipairs(spare) do take_out(place, id, place == best and 1 or 0) end
    if corrected[1] then redis.call('HSET', job, unpack(corrected)) end
  end)
end

-- What a worker holds that is no member any more goes back to the front, in its old order, uncharged.
local function mend_active(worker)
  local active = base .. ':active:' .. worker
  if redis.call('ZSCORE', KEYS[3], worker) or redis.call('EXISTS', active) == 0 then return FINE end
  local says = active .. ', of a worker that is not there any more: its ' .. redis.call('LLEN', active)
    .. ' jobs go back'
  return mended(dry, says, function()
    for _ = 1, MOVE_MAX do
      local id = redis.call('LPOP', active)
      if not id then break end
      local body = redis.pcall('HMGET', base .. ':job:' .. id, 'state', 'worker')
      if redis.call('EXISTS', base .. ':job:' .. id) == 0 then
        drop_ids(id, places_of(id))
      elseif not body.err and (not body[1] or (body[1] == 'active' and body[2] == worker)) then
        push_back(base, id, true)
      else
        mend_job(id)
      end
    end
    ring(KEYS[6])
    return redis.call('EXISTS', active) == 1
  end)
end

if kind == 'job' then return mend_job(name) end
if kind == 'active' then return mend_active(name) end
if kind == 'worker' then return mend_worker(base, name, dry) end
if kind == 'suspects' or kind == 'ids' or kind == 'replies' then return mend_beside(base, describe, kind, name, now, dry) end
return redis.error_reply('ERR ' .. ARGV[3] .. ' is nothing that can be mended')
