-- Records: flat lists of names and values, as Python reads them.

-- Put the fields of a job's hash, or of its entry, behind a record.
local function add_fields(record, fields)
  for i = 1, #fields do record[#record + 1] = fields[i] end
  return record
end

-- An ended job that left a fact or a result, or nil.
local function ended_record(base, id)
  local state, ended, returned = fact_of(base, id)
  local kept = redis.call('GET', base .. ':result:' .. id)
  if not state and not kept then return nil end
  local record = { 'id', id, 'state', state or string.match(kept, '^(%a+)\n') }
  if ended then
    record[#record + 1] = 'ended_ms'
    record[#record + 1] = ended
    add_fields(record, { 'returned', returned == '1' and 1 or 0 })
  end
  if kept then
    record[#record + 1] = 'result'
    record[#record + 1] = string.match(kept, '^%a+\n(.*)$')
  end
  return record
end

-- A job that stands in a hash under its id (scheduled, dead, and all jobs of the lists engine).
local function hash_record(base, id, state)
  local record = { 'id', id, 'state', state }
  local fields = redis.pcall('HGETALL', base .. ':job:' .. id)
  if fields.err then return record end
  return add_fields(record, fields)
end

-- What stands beside every record: the job's marks.
local function with_marks(base, record)
  local crashes, suspicions = marks_of(base .. ':suspects', record[2])
  if crashes + suspicions > 0 then
    add_fields(record, { 'crashes', crashes, 'suspicions', suspicions })
  end
  return record
end

-- A page of a sorted set of ids whose jobs stand in hashes (scheduled by due time, dead by burial).
local function scored_page(base, key, state, offset, limit)
  local ids = redis.call('ZRANGE', key, offset, offset + limit - 1, 'WITHSCORES')
  local records = {}
  for i = 1, #ids, 2 do
    local record = with_marks(base, hash_record(base, ids[i], state))
    records[#records + 1] = add_fields(record, { state == 'dead' and 'ended_ms' or 'due_ms', ids[i + 1] })
  end
  local more = offset + #records < redis.call('ZCARD', key)
  return { more and '1:' .. (offset + #records) or '', records }
end

-- One field may keep the facts of many jobs.
local FACT_SCANS = 16

-- A page of the facts of ended jobs, in no order, newest generation first.
local function facts_page(base, finished, finished_old, state, cursor, limit)
  local generation, at = string.match(cursor, '^(%d+):(%d+)$')
  generation, at = tonumber(generation or 1), at or '0'
  local records = {}
  local function add(id)
    if generation == 1 or not fact_in(finished, id) then records[#records + 1] = ended_record(base, id) end
  end
  for _ = 1, FACT_SCANS do
    local found = redis.call('HSCAN', generation == 1 and finished or finished_old, at, 'COUNT',
      math.ceil(limit / FACT_SCANS))
    for i = 1, #found[2], 2 do
      local field, value = found[2][i], found[2][i + 1]
      if not may_stand_alone(field) then
        for _, id in ipairs(state == 'completed' and shared_ids(value) or {}) do add(id) end
      elseif string.match(value, '^%a+') == state then
        add(field)
      end
    end
    at = found[1]
    if at == '0' then return { generation == 1 and '2:0' or '', records } end
    if #records >= limit then break end
  end
  return { generation .. ':' .. at, records }
end
