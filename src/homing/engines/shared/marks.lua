-- What a job did to its workers: crashes that were seen, deaths that nobody saw, and how many of those
-- were taken back.
local function marks_of(suspects, id)
  local kept = redis.call('HGET', suspects, id)
  if not kept then return 0, 0, 0 end
  local crashes, suspicions, acquittals = string.match(kept, '^(%d+) (%d+) ?(%d*)$')
  return tonumber(crashes or 0), tonumber(suspicions or 0), tonumber(acquittals) or 0
end

local function set_marks(suspects, id, crashes, suspicions, acquittals)
  local taken_back = acquittals > 0 and ' ' .. acquittals or ''
  redis.call('HSET', suspects, id, crashes .. ' ' .. suspicions .. taken_back)
end

-- With two marks a job is delivered alone, to a worker with nothing else.
local function is_suspect(suspects, id)
  local crashes, suspicions = marks_of(suspects, id)
  return crashes + suspicions >= 2
end

-- It crashed too often; or, alone by its second mark, it took as many workers with it that nobody saw end.
local function condemned(crash_max, crashes, suspicions)
  return crashes >= crash_max or crashes + suspicions >= crash_max + 2
end
