-- Mending one thing: it is looked at again, and when it is still wrong, `write` does what `says` tells, or,
-- when `dry`, nothing does. What `repair` answers: {fine, mended or left; what; 1 when there is more of it}.
local FINE = { 'fine', '', 0 }

local function left(says) return { 'left', says, 0 } end

local function mended(dry, says, write)
  local more = false
  if not dry then more = write() end
  return { 'mended', says, more and 1 or 0 }
end

-- A job whose body is gone has left no more than its id: what stood beside it goes, its id is free in a while.
local function forget_beside(base, id, now)
  local ttl = redis.call('HGET', base .. ':meta', 'id_ttl_ms') or 3600000
  release_ids(base, { id }, now + tonumber(ttl))
  redis.call('HDEL', base .. ':replies', id)
end

-- Marks, a waiter or a chosen id that belong to no job.
local function mend_beside(base, describe, kind, id, now, dry)
  local record = describe(base, id)
  if kind == 'ids' then
    local taken = redis.call('ZSCORE', base .. ':ids', id) == 'inf'
    if not taken or (record and record[4] ~= 'completed' and record[4] ~= 'cancelled') then return FINE end
    return mended(dry, 'id ' .. id .. ' is free again in id_ttl', function()
      local ttl = redis.call('HGET', base .. ':meta', 'id_ttl_ms') or 3600000
      redis.call('ZADD', base .. ':ids', now + tonumber(ttl), id)
    end)
  end
  if record or redis.call('HEXISTS', base .. ':' .. kind, id) == 0 then return FINE end
  return mended(dry, (kind == 'suspects' and 'the marks of' or 'who waits for') .. ' job ' .. id .. ', which is not: dropped',
    function() redis.call('HDEL', base .. ':' .. kind, id) end)
end

-- What a worker said of itself that is no member any more.
local function mend_worker(base, worker, dry)
  local key = base .. ':worker:' .. worker
  if redis.call('ZSCORE', base .. ':workers', worker) or redis.call('EXISTS', key) == 0 then return FINE end
  return mended(dry, key .. ', of a worker that is not there any more: deleted', function() redis.call('DEL', key) end)
end

-- A body that is no hash, in no worker's hands: to the dead letters, raw; nothing that was kept so before is lost.
local function mend_raw(base, id, now, priority, dry, take_out)
  local job, raw = base .. ':job:' .. id, base .. ':raw:' .. id
  if redis.call('EXISTS', raw) == 1 then return left(job .. ' is no hash, and ' .. raw .. ' is in its way') end
  return mended(dry, 'job ' .. id .. ' has a body that is no hash: buried raw', function()
    take_out()
    bury_raw(base, id, now, priority)
  end)
end
