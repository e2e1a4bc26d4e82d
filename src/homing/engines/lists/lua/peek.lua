-- A page of the jobs in one state, in the order in which they will be, or were, handled.
--
-- USES guard whole priorities marks finish records
-- FLAGS no-writes
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] workers
-- KEYS[4] scheduled
-- KEYS[5] dead
-- KEYS[6] finished
-- KEYS[7] finished_old
-- ARGV[1] state
-- ARGV[2] cursor   'place:offset', empty for the first page
-- ARGV[3] limit
--
-- Returns {next cursor or '', records}.

local base, state, limit = KEYS[1], ARGV[1], tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[2], 'engine', 'version', 'priorities')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local place, offset = string.match(ARGV[2], '^(%d+):(%d+)$')
place, offset = tonumber(place or 1), tonumber(offset or 0)

if state == 'completed' or state == 'cancelled' then return facts_page(base, KEYS[6], KEYS[7], state, ARGV[2], limit) end
if state == 'scheduled' or state == 'dead' then
  return scored_page(base, state == 'dead' and KEYS[5] or KEYS[4], state, offset, limit)
end

local lists = {}
if state == 'waiting' then
  lists[1] = base .. ':alone'
  for _, priority in ipairs(priorities_of(kept[3])) do lists[#lists + 1] = base .. ':waiting:' .. priority end
else
  for _, worker in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    lists[#lists + 1] = base .. ':active:' .. worker
  end
end
local records = {}
while lists[place] and #records < limit do
  local wanted = limit - #records
  local ids = redis.call('LRANGE', lists[place], -(offset + wanted), -(offset + 1))
  for i = #ids, 1, -1 do records[#records + 1] = with_marks(base, hash_record(base, ids[i], state)) end
  offset = offset + #ids
  if #ids < wanted then place, offset = place + 1, 0 end
end
return { lists[place] and place .. ':' .. offset or '', records }
