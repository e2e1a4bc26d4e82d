-- Plain claims: of new jobs of one priority, where nothing else could be claimed, by a worker that may. Most are such, need
-- few functions, and go before the others are made; what they do is what any claim does. `kept` is what meta has of
-- engine, version, priorities, paused, seen_ms, clock_ms, lease_ms and token.

-- Milliseconds until something is due, -1 when nothing is scheduled; nil when the claim may be no plain one: so when
-- the key `apart` is there.
local function plain_due(kept, workers, worker, worker_key, number, scheduled, apart, now)
  if kept[1] ~= ENGINE or tonumber(kept[2] or 0) ~= DATA_VERSION or kept[3] ~= '0' or kept[4] then return nil end
  local known, expiry = redis.call('HMGET', worker_key, 'number', 'alone'), redis.call('ZSCORE', workers, worker)
  if known[2] or tonumber(known[1] or -1) >= tonumber(number) or tonumber(expiry or -1) < 0 then return nil end
  local there = redis.call('EXISTS', apart, scheduled)  -- mostly neither is
  if there == 0 then return -1 end
  local due = due_in(scheduled, now)
  return due ~= 0 and redis.call('EXISTS', apart) == 0 and due or nil
end

-- Write down that it was one. Returns the token of what it gave, '0' when that is nothing.
local function note_plain(meta, kept, worker_key, number, now, micros, gave)
  redis.call('HSET', worker_key, 'number', number)
  local clock, token = clock_at(now, kept[5], kept[6], kept[7]), '0'
  if gave then
    token = token_after(kept[8], now, micros)
    redis.call('HSET', meta, 'seen_ms', now, 'clock_ms', clock, 'token', token)
  else
    redis.call('HSET', meta, 'seen_ms', now, 'clock_ms', clock)
  end
  return token
end
