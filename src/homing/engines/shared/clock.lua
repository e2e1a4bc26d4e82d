-- Milliseconds of the server's clock, or the time that a test passed.
local function now_ms(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The queue's counted clock goes on by the time since anybody looked, but never by more than a
-- quarter of a lease at once: a pause, a restart or a jump of the server's clock expires nobody.
-- Returns the counted clock and the lease, both in ms.
local function advance_clock(meta, now)
  local kept = redis.call('HMGET', meta, 'seen_ms', 'clock_ms', 'lease_ms')
  local lease = tonumber(kept[3] or 10000)
  local passed = 0
  if kept[1] then passed = math.min(math.max(now - tonumber(kept[1]), 0), math.floor(lease / 4)) end
  local clock = tonumber(kept[2] or 0) + passed
  redis.call('HSET', meta, 'seen_ms', now, 'clock_ms', clock)
  return clock, lease
end

-- A number that grows with every delivery: last + 1, or the server's microseconds when those are more. (In
-- whole milliseconds two primaries, one of which does not know yet that it was replaced, would meet.)
local function next_token(meta, now, given)
  local last = tonumber(redis.call('HGET', meta, 'token') or 0)
  local micros = given == '' and tonumber(redis.call('TIME')[2]) % 1000 or 0
  local token = string.format('%.0f', math.max(last + 1, now * 1000 + micros))
  redis.call('HSET', meta, 'token', token)
  return token
end
