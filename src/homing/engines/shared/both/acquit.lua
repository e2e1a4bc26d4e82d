-- Take one suspicion back from each job: it came to no harm in a worker that was only taken for dead.
--
-- USES clock guard whole made priorities bell marks replies finish dead records
-- FLAGS allow-oom
-- KEYS[1] prefix
-- KEYS[2] meta
-- KEYS[3] suspects
-- KEYS[4] bell
-- ARGV[1...] jobs  ids
--
-- Returns from how many it was taken.

-- What comes back so often stops its workers itself, and is a suspect for good.
local ACQUITTALS_MAX = 8

local refused = refusal(ENGINE, unpack(redis.call('HMGET', KEYS[2], 'engine', 'version')))
if refused then return refused end

local acquitted, freed = 0, false
for _, id in ipairs(ARGV) do
  local crashes, suspicions, acquittals = marks_of(KEYS[3], id)
  if suspicions > 0 and acquittals < ACQUITTALS_MAX then
    set_marks(KEYS[3], id, crashes, suspicions - 1, acquittals + 1)
    acquitted = acquitted + 1
    if not is_suspect(KEYS[3], id) then freed = free(KEYS[1], id) or freed end
  end
end
if freed then ring(KEYS[4]) end
return acquitted
