-- A page of the jobs in one state, in the order in which they will be, or were, handled.
--
-- USES guard whole made priorities marks finish records
-- FLAGS no-writes
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] scheduled
-- KEYS[4] dead
-- KEYS[5] finished
-- KEYS[6] finished_old
-- ARGV[1] state
-- ARGV[2] cursor   'place:entry' or 'place:offset', empty for the first page
-- ARGV[3] limit
--
-- Returns {next cursor or '', records}.

local base, state, limit = KEYS[1], ARGV[1], tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[2], 'engine', 'version', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local place, from = string.match(ARGV[2], '^(%d+):([%d-]*)$')
place, from = tonumber(place or 1), from or ''

if state == 'completed' or state == 'cancelled' then return facts_page(base, KEYS[5], KEYS[6], state, ARGV[2], limit) end
if state == 'scheduled' or state == 'dead' then
  return scored_page(base, state == 'dead' and KEYS[4] or KEYS[3], state, tonumber(from) or 0, limit)
end

local records, priorities = {}, priorities_of(kept[3])
if state == 'waiting' then
  local places = waiting_places(priorities)
  while places[place] and #records < limit do
    local wanted, priority = limit - #records, places[place][2]
    local entries = waiting_page(base, places[place], from, wanted)
    for _, one in ipairs(entries) do
      from = one[1]
      if one[2] then
        local id = id_of(priority, one[1], one[2])
        records[#records + 1] = entry_record(base, id, 'waiting', priority, one[1], one[2], nil)
      end
    end
    if #entries < wanted then place, from = place + 1, '' end
  end
  return { places[place] and place .. ':' .. from or '', records }
end

while priorities[place] and #records < limit do
  local priority, wanted = priorities[place], limit - #records
  local pending = pending_now(base .. ':stream:' .. priority, from == '' and '-' or '(' .. from, wanted)
  for _, one in ipairs(pending) do
    from = one[1]
    local flat = not waits(one[2]) and read_entry(base, priority, one[1])
    if flat then
      local id = id_of(priority, one[1], flat)
      records[#records + 1] = entry_record(base, id, 'active', priority, one[1], flat, one[2])
    end
  end
  if #pending < wanted then place, from = place + 1, '' end
end
return { priorities[place] and place .. ':' .. from or '', records }
