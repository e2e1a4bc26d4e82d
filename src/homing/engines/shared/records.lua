-- Records: flat lists of names and values, as Python reads them.

-- Put the fields of a job's hash, or of its entry, behind a record.
local function add_fields(record, fields)
  for i = 1, #fields do record[#record + 1] = fields[i] end
  return record
end

-- An ended job of which this fact is known, or none, and perhaps a result.
local function record_of_end(id, state, ended, returned, kept)
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

-- An ended job that left a fact or a result, or nil.
local function ended_record(base, id)
  local state, ended, returned = fact_of(base, id)
  local kept = redis.call('GET', base .. ':result:' .. id)
  if not state and not kept then return nil end
  return record_of_end(id, state, ended, returned, kept)
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

-- The facts of a state in one field: (id, ended_ms, '1' when there was a result)*.
local function facts_in_field(field, value, state)
  if may_stand_alone(field) then
    local said, ended, returned = string.match(value, '^(%a+) (%d+) ?(1?)$')
    return said == state and { field, ended, returned } or {}
  end
  local facts = {}
  local ids, ends = shared_ids(state == 'completed' and value or '')
  for n = 1, #ids do facts[n * 3 - 2], facts[n * 3 - 1], facts[n * 3] = ids[n], ends[n], '' end
  return facts
end

-- Fields and their values, in the order of their names: a hash that grew moves them about between two looks.
local function sorted(flat)
  local names, values = {}, {}
  for i = 1, #flat, 2 do
    names[#names + 1] = flat[i]
    values[flat[i]] = flat[i + 1]
  end
  table.sort(names)
  return names, values
end

-- Looks that a page takes at the most: the first tells how many facts a field has here.
local FACT_SCANS = 16

-- A page of the facts of ended jobs, in no order, newest generation first. A look brings what stands in one bucket of the
-- hash, or more, which may be thousands: a cursor is 'generation:cursor of HSCAN', and where a page ended within a look
-- ':its COUNT:facts that went before in the field:field'. Who goes on while jobs end may meet some twice, or not at all.
local function facts_page(base, finished, finished_old, state, cursor, limit)
  local generation, at, count, past, from = string.match(cursor, '^(%d+):(%d+):?(%d*):?(%d*):?(.*)$')
  generation, at, count, past, from = tonumber(generation or 1), at or '0', tonumber(count), tonumber(past) or 0, from or ''
  local hash, records, fields, told = generation == 1 and finished or finished_old, {}, 0, 0
  for look = 1, FACT_SCANS do
    -- Nothing but looks at this hash: to read a field of it would go on moving the others about.
    local wanted = (limit - #records) / (FACT_SCANS + 1 - look) * fields / math.max(told, 1)
    count = count or math.max(math.ceil(math.min(limit / (FACT_SCANS - 1), wanted)), 1)
    local found = redis.call('HSCAN', hash, at, 'COUNT', count)
    local names, values = sorted(found[2])
    for _, field in ipairs(names) do
      local facts = field >= from and facts_in_field(field, values[field], state) or {}
      for n = field == from and past * 3 + 1 or 1, #facts, 3 do
        local id = facts[n]
        if #records == limit then
          return { table.concat({ generation, at, count, (n - 1) / 3, field }, ':'), records }
        end
        if generation == 1 or not fact_in(finished, id) then
          local kept = redis.call('GET', base .. ':result:' .. id)
          records[#records + 1] = record_of_end(id, state, facts[n + 1], facts[n + 2], kept)
        end
      end
      told = told + #facts / 3
    end
    fields, at, count, from = fields + #names, found[1], nil, ''
    if at == '0' then return { generation == 1 and '2:0' or '', records } end
    if #records >= limit then break end
  end
  return { generation .. ':' .. at, records }
end
