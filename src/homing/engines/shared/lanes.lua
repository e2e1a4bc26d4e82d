local LANES_MS = 900000

-- The last number a lane was used with and the answer it got; nil for a lane not seen.
local function lane_last(lanes, lanes_old, lane)
  local kept = redis.call('HGET', lanes, lane) or redis.call('HGET', lanes_old, lane)
  if not kept then return nil end
  local number, answer = string.match(kept, '^(%d+) ?(.*)$')
  return tonumber(number), answer
end

-- Also for a repeated call: WAIT tells of the last write of a connection, and one that wrote nothing has
-- none. A call sent again after a lost reply comes on a new connection, and must be asked for like the first.
local function keep_lane(lanes, lane, number, answer)
  redis.call('HSET', lanes, lane, answer == '' and number or number .. ' ' .. answer)
end

-- Lanes live in two generations; the older one is forgotten after 15 to 30 minutes.
local function rotate_lanes(meta, lanes, lanes_old, since, now)
  local age = since and now - tonumber(since)
  if age and age >= 0 and age < LANES_MS then return end
  if age and age >= LANES_MS then
    if redis.call('EXISTS', lanes) == 1 then
      redis.call('RENAME', lanes, lanes_old)
    else
      redis.call('DEL', lanes_old)
    end
  end
  redis.call('HSET', meta, 'lanes_ms', now)
end
