-- Milliseconds of the server's clock, or the time that a test passed; and the microseconds beyond them.
local function now_ms(given)
  if given ~= '' then return tonumber(given), 0 end
  local time = redis.call('TIME')
  local micros = tonumber(time[2])
  return tonumber(time[1]) * 1000 + math.floor(micros / 1000), micros % 1000
end

-- The queue's counted clock goes on by the time since anybody looked, but never by more than a
-- quarter of a lease at once: a pause, a restart or a jump of the server's clock expires nobody.
-- Returns the counted clock and the lease, both in ms.
local function clock_at(now, seen, clock, lease)
  lease = tonumber(lease or 10000)
  local passed = seen and math.min(math.max(now - tonumber(seen), 0), math.floor(lease / 4)) or 0
  return tonumber(clock or 0) + passed, lease
end

local function advance_clock(meta, now)
  local kept = redis.call('HMGET', meta, 'seen_ms', 'clock_ms', 'lease_ms')
  local clock, lease = clock_at(now, kept[1], kept[2], kept[3])
  redis.call('HSET', meta, 'seen_ms', now, 'clock_ms', clock)
  return clock, lease
end

-- A number that grows with every delivery: last + 1, or the server's microseconds when those are more. (In
-- whole milliseconds two primaries, one of which does not know yet that it was replaced, would meet.)
local function token_after(last, now, micros)
  return string.format('%.0f', math.max(tonumber(last or 0) + 1, now * 1000 + micros))
end

local function next_token(meta, now, micros)
  local token = token_after(redis.call('HGET', meta, 'token'), now, micros)
  redis.call('HSET', meta, 'token', token)
  return token
end
