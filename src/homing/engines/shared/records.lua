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

-- A page of the facts of ended jobs, in no order, newest generation first.
local function facts_page(base, finished, finished_old, state, cursor, limit)
  local generation, at = string.match(cursor, '^(%d+):(%d+)$')
  generation, at = tonumber(generation or 1), at or '0'
  local found = redis.call('HSCAN', generation == 1 and finished or finished_old, at, 'COUNT', limit)
  local records = {}
  for i = 1, #found[2], 2 do
    local newer = generation == 2 and redis.call('HEXISTS', finished, found[2][i]) == 1
    if not newer and string.match(found[2][i + 1], '^%a+') == state then
      records[#records + 1] = ended_record(base, found[2][i])
    end
  end
  if found[1] ~= '0' then return { generation .. ':' .. found[1], records } end
  return { generation == 1 and '2:0' or '', records }
end
