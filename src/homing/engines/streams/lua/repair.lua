-- Look again at one thing that `verify` named, and mend it when it is still wrong. No job that has a body is
-- deleted, and what a worker holds is left to it. The place of a job is the entry that the index or its id names,
-- else its hash, else an entry; what else bears its id is a copy and goes.
--
-- USES clock guard whole made bell priorities marks replies finish dead records mend
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] scheduled
-- KEYS[5] dead
-- KEYS[6] bell
-- KEYS[7] index
-- ARGV[1] now_ms
-- ARGV[2] dry      1: only say what would be done
-- ARGV[3] subject  'kind:name': job, entry (priority/entry), consumer (priority/name), group (priority), worker,
--                  suspects, ids, replies, counts
--
-- Returns {fine, mended or left; what; 1 when there is more of it}.

local MOVE_MAX = 1000

local base, meta, now, dry = KEYS[1], KEYS[2], now_ms(ARGV[1]), ARGV[2] == '1'
local kept = redis.call('HMGET', meta, 'engine', 'version', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local kind, name = string.match(ARGV[3], '^(%a+):(.*)$')

local function missing(count) redis.call('HINCRBY', meta, 'missing', count) end

local function is_member(worker) return redis.call('ZSCORE', KEYS[3], worker) end

-- Where the index says that a job is, or else its own id, if its entry is there: priority, entry.
local function placed(id, ref) return find_at(base, id, places_of(base, id, ref)) end

-- Whether nobody has seen an entry that is not there: who is delivered one counts it.
local function unseen(ref)
  local priority, entry = parts_of(ref or '')
  if not priority then return true end
  local groups = redis.pcall('XINFO', 'GROUPS', base .. ':stream:' .. priority)
  for _, group in ipairs(groups.err and {} or groups) do
    local fields = by_name(group)
    if fields.name == GROUP then return before(fields['last-delivered-id'], entry) end
  end
  return true
end

-- A job that stands in a hash and in no stream: it belongs into one of the two sets, or back into its stream.
local function mend_hash(id, ref, scheduled, dead)
  local job = base .. ':job:' .. id
  local fields = redis.call('HMGET', job, 'state', 'due_ms', 'dead_ms')
  local said, stands = fields[1], scheduled and 'scheduled' or dead and 'dead'
  if scheduled and dead and said == 'dead' then stands = 'dead' end
  if not ref and (not said or said == stands) and not (scheduled and dead) then return FINE end
  local says = stands and 'job ' .. id .. ' is ' .. stands .. ', and nothing else'
    or 'job ' .. id .. ' said that it is ' .. (said or 'nothing') .. ' and was nowhere: put back'
  return mended(dry, says, function()
    if ref then redis.call('HDEL', KEYS[7], id) end
    if stands then
      if said ~= stands then redis.call('HSET', job, 'state', stands) end
      redis.call('ZREM', stands == 'dead' and KEYS[4] or KEYS[5], id)
    elseif said == 'dead' then
      redis.call('ZADD', KEYS[5], tonumber(fields[3]) or now, id)
    elseif said == 'scheduled' then
      redis.call('ZADD', KEYS[4], tonumber(fields[2]) or now, id)
      ring(KEYS[6])
    elseif said then
      to_entry(base, id, redis.call('HGETALL', job))
      ring(KEYS[6])
    end
  end)
end

local function mend_job(id)
  local job, ref = base .. ':job:' .. id, redis.call('HGET', KEYS[7], id)
  local body = redis.call('TYPE', job).ok
  local scheduled, dead = redis.call('ZSCORE', KEYS[4], id), redis.call('ZSCORE', KEYS[5], id)
  local function leave_sets()
    redis.call('ZREM', KEYS[4], id)
    redis.call('ZREM', KEYS[5], id)
  end
  local stands_at, stands_in = placed(id, ref)
  if stands_at then
    local here = ref_of(stands_at, stands_in)
    local led_astray = ref and ref ~= here
    if body == 'none' and not scheduled and not dead and not led_astray then return FINE end
    if body ~= 'none' and body ~= 'hash' then
      local raw = base .. ':raw:' .. id
      if redis.call('EXISTS', raw) == 1 then return left(job .. ' is no hash, and ' .. raw .. ' is in its way') end
      return mended(dry, 'job ' .. id .. ' stays in its stream; ' .. job .. ', which is no hash, is ' .. raw, function()
        leave_sets()
        if led_astray then redis.call('HDEL', KEYS[7], id) end
        redis.call('RENAME', job, raw)
      end)
    end
    return mended(dry, 'job ' .. id .. ' stays in its stream at ' .. here .. ', and nowhere else', function()
      leave_sets()
      if led_astray then redis.call('HDEL', KEYS[7], id) end
      redis.call('DEL', job)
    end)
  end
  if body == 'hash' then return mend_hash(id, ref, scheduled, dead) end
  if body ~= 'none' then
    return mend_raw(base, id, now, '0', dry, function()
      leave_sets()
      redis.call('HDEL', KEYS[7], id)
    end)
  end
  if not ref and not scheduled and not dead then return FINE end
  local priority, entry = parts_of(ref or '')
  local owner = priority and owner_of(base .. ':stream:' .. priority, entry)
  if owner and is_member(owner) and not read_entry(base, priority, entry) then
    return left('job ' .. id .. ' has no body: ' .. owner .. ' holds it, and will settle it')
  end
  if priority and read_entry(base, priority, entry) and not scheduled and not dead then
    return mended(dry, 'the index named another job\'s entry for ' .. id .. ': dropped', function()
      redis.call('HDEL', KEYS[7], id)
    end)
  end
  return mended(dry, 'job ' .. id .. ' has no body: dropped', function()
    leave_sets()
    redis.call('HDEL', KEYS[7], id)
    if scheduled or dead or unseen(ref) then missing(1) end
    forget_beside(base, id, now)
  end)
end

local function mend_entry(priority, entry)
  local key = base .. ':stream:' .. priority
  local flat, owner = read_entry(base, priority, entry), owner_of(key, entry)
  local at = 'entry ' .. entry .. ' of ' .. key
  if not flat then
    if not owner then return FINE end
    if is_member(owner) then return left(at .. ' has no body: ' .. owner .. ' holds it, and will let it go') end
    return mended(dry, at .. ' has no body: dropped', function()
      redis.call('XACK', key, GROUP, entry)
      missing(1)
    end)
  end
  local id, here = id_of(priority, entry, flat), ref_of(priority, entry)
  local ref = redis.call('HGET', KEYS[7], id)
  local stands_at, stands_in = placed(id, ref)
  if stands_at and ref_of(stands_at, stands_in) == here then return mend_job(id) end
  if stands_at or redis.call('EXISTS', base .. ':job:' .. id) == 1 then
    if owner and is_member(owner) then return left(at .. ' bears the id of another job, and ' .. owner .. ' runs it') end
    return mended(dry, at .. ' bears the id of another job, ' .. id .. ': dropped', function()
      drop_entries(base, priority, { entry }, {})
      redis.call('HINCRBY', meta, 'taken', 1)
    end)
  end
  if not ref and waits(owner) then return FINE end -- another program's, which a claim will enter
  return mended(dry, 'job ' .. id .. ' is in the index at ' .. here, function() redis.call('HSET', KEYS[7], id, here) end)
end

-- A consumer that is no worker (any more): what it holds goes back, in its old order and uncharged, and then it goes.
local function mend_consumer(priority, consumer)
  local key = base .. ':stream:' .. priority
  if waits(consumer) or is_member(consumer) then return FINE end
  local holds
  local consumers = redis.pcall('XINFO', 'CONSUMERS', key, GROUP)
  for _, one in ipairs(consumers.err and {} or consumers) do
    local fields = by_name(one)
    if fields.name == consumer then holds = fields.pending end
  end
  if not holds then return FINE end
  local says = 'consumer ' .. consumer .. ' of ' .. key .. ' is no worker: its ' .. holds .. ' jobs go back, and it goes'
  return mended(dry, says, function()
    local back, apart = {}, {}
    for _, one in ipairs(pending_now(key, '-', MOVE_MAX, consumer)) do
      local flat = read_entry(base, priority, one[1])
      if not flat then
        redis.call('XACK', key, GROUP, one[1])
        missing(1)
      else
        local suspect = is_suspect(base .. ':suspects', id_of(priority, one[1], flat))
        table.insert(suspect and apart or back, one[1])
      end
    end
    if #back > 0 then hand_back(base, { [priority] = back }, 'returned') end
    if #apart > 0 then hand_back(base, { [priority] = apart }, 'alone') end
    if #back + #apart > 0 then ring(KEYS[6]) end
    if #pending_now(key, '-', 1, consumer) > 0 then return true end
    redis.call('XGROUP', 'DELCONSUMER', key, GROUP, consumer)
    return false
  end)
end

local function mend_group(priority)
  local key = base .. ':stream:' .. priority
  if redis.call('HEXISTS', meta, 'group:' .. priority) == 0 or redis.call('EXISTS', key) == 0 or has_group(key) then
    return FINE
  end
  return mended(dry, 'the group of ' .. key .. ' is made again: what was held there waits', function()
    make_group(key)
    ring(KEYS[6])
  end)
end

if kind == 'job' then return mend_job(name) end
if kind == 'worker' then return mend_worker(base, name, dry) end
if kind == 'suspects' or kind == 'ids' or kind == 'replies' then return mend_beside(base, describe, kind, name, now, dry) end
if kind == 'group' then return mend_group(name) end
if kind == 'counts' then
  local length = 0
  for _, priority in ipairs(priorities_of(kept[3])) do length = length + redis.call('XLEN', base .. ':stream:' .. priority) end
  if redis.call('HLEN', KEYS[7]) <= length then return FINE end
  return left('the index has more jobs than the streams: those that are nowhere are named one by one')
end
local priority, rest = string.match(name or '', '^(-?%d+)/(.*)$')
if kind == 'entry' and priority then return mend_entry(priority, rest) end
if kind == 'consumer' and priority then return mend_consumer(priority, rest) end
return redis.error_reply('ERR ' .. ARGV[3] .. ' is nothing that can be mended')
