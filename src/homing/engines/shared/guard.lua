local byte, sub = string.byte, string.sub
local DATA_VERSION = 1
-- Letters of an id as we make them.
local ID_LENGTH = 21

-- The error reply for a queue that this engine, or this release, must not touch; nil when it may.
local function refusal(mine, engine, version)
  if engine and engine ~= mine then
    return redis.error_reply("WRONGENGINE the queue was made by the '" .. engine .. "' engine, not '" .. mine
      .. "': name engine='" .. engine .. "', or another queue")
  end
  if version and tonumber(version) > DATA_VERSION then
    return redis.error_reply('NEWERDATA the queue has data version ' .. version .. ', this release knows '
      .. DATA_VERSION .. ': upgrade homing')
  end
  return nil
end

-- The error reply for a worker that is no member (any more); nil when it is one.
local function not_a_member(workers, worker)
  local expiry = redis.call('ZSCORE', workers, worker)
  if expiry and tonumber(expiry) >= 0 then return nil end
  return redis.error_reply('LEASELOST the lease of worker ' .. worker .. ' was reclaimed')
end

-- The error reply for a claim or `held` that arrives after a later one; nil when it is the latest.
local function outnumbered(worker_key, number)
  local last = redis.call('HGET', worker_key, 'number')
  if last and tonumber(number) <= tonumber(last) then
    return redis.error_reply('CLAIMREFUSED number ' .. number .. ' is not above ' .. last)
  end
  return nil
end

-- A priority as the queue may use it: what another program wrote there may be anything.
local function valid_priority(written)
  local number = string.match(written or '', '^-?%d%d?%d?$') and tonumber(written)
  return number and number >= -100 and number <= 100 and tostring(number) or '0'
end
