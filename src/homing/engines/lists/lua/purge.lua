-- Delete jobs of one state that no worker holds, at most `limit`, in the order in which they would run.
--
-- USES clock guard whole priorities marks replies finish dead
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] scheduled
-- KEYS[4] dead
-- KEYS[5] replies
-- ARGV[1] now_ms
-- ARGV[2] state
-- ARGV[3] limit
--
-- Returns how many.

local base, now, limit = KEYS[1], now_ms(ARGV[1]), tonumber(ARGV[3])
local kept = redis.call('HMGET', KEYS[2], 'engine', 'version', 'priorities', 'id_ttl_ms')
local refused = refusal(ENGINE, kept[1], kept[2])
if refused then return refused end
local until_ms = now + tonumber(kept[4] or 3600000)

if ARGV[2] == 'dead' then
  local ids = redis.call('ZRANGE', KEYS[4], 0, limit - 1)
  for _, id in ipairs(ids) do forget_dead(base, id, until_ms) end
  return #ids
end

redis.call('HLEN', KEYS[5])  -- it may fail on a key of the wrong type: nothing is written yet
local ids = {}
if ARGV[2] == 'scheduled' then
  ids = redis.call('ZRANGE', KEYS[3], 0, limit - 1)
  if #ids > 0 then redis.call('ZREM', KEYS[3], unpack(ids)) end
else
  local lists = { base .. ':alone' }
  for _, priority in ipairs(priorities_of(kept[3])) do lists[#lists + 1] = base .. ':waiting:' .. priority end
  for _, list in ipairs(lists) do
    while #ids < limit do
      local id = redis.call('RPOP', list)
      if not id then break end
      ids[#ids + 1] = id
    end
  end
end
for _, id in ipairs(ids) do redis.call('DEL', base .. ':job:' .. id) end
if #ids > 0 then
  reply_cancelled(base, KEYS[5], ids)
  release_ids(base, ids, until_ms)
end
return #ids
