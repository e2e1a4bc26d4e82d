-- Ask for the ends of jobs: what has ended is answered at once, the rest is pushed when it ends.
--
-- USES guard whole made priorities marks finish records
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] replies
-- KEYS[4] scheduled
-- ARGV[1] process   whose reply list it goes to
-- ARGV[2...] jobs   ids
--
-- Returns a record each, empty for a job that does not exist.

local refused = refusal(ENGINE, unpack(redis.call('HMGET', KEYS[2], 'engine', 'version')))
if refused then return refused end

local records = {}
for i = 2, #ARGV do
  local record = describe(KEYS[1], ARGV[i]) or {}
  local state = record[4]
  if state == 'scheduled' then add_fields(record, { 'due_ms', redis.call('ZSCORE', KEYS[4], ARGV[i]) }) end
  if state == 'waiting' or state == 'active' or state == 'scheduled' then
    local waiting = redis.call('HGET', KEYS[3], ARGV[i])
    if not waiting then
      redis.call('HSET', KEYS[3], ARGV[i], ARGV[1])
    elseif not string.find(',' .. waiting .. ',', ',' .. ARGV[1] .. ',', 1, true) then
      redis.call('HSET', KEYS[3], ARGV[i], waiting .. ',' .. ARGV[1])
    end
  end
  records[#records + 1] = record
end
return records
