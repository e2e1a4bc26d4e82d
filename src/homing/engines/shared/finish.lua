-- Ends, together for a batch.

-- Keep ends that somebody may look up, a flat list (id, state, body)*: the oldest of `result_max` make room.
local function store_results(base, ends, ttl, max)
  if #ends == 0 or tonumber(ttl) <= 0 or max <= 0 then return end
  local results, ids, oldest = base .. ':results', {}, {}
  for n = 1, #ends / 3 do ids[n] = ends[n * 3 - 2] end
  local kept = redis.call('LPUSH', results, unpack(ids))
  redis.call('PEXPIRE', results, ttl)
  if kept > max then
    -- Twice as many as came at the most: where `result_max` was lowered, that becomes true by and by.
    oldest = redis.call('RPOP', results, math.min(kept - max, 2 * #ids))
    for n, id in ipairs(oldest) do oldest[n] = base .. ':result:' .. id end
    redis.call('DEL', unpack(oldest))
  end
  -- Now only: an id may have been among the oldest, too. Of more than there is room for the first go at once.
  for i = math.max(#oldest - (kept - #ids), 0) * 3 + 1, #ends, 3 do
    redis.call('SET', base .. ':result:' .. ends[i], ends[i + 1] .. '\n' .. ends[i + 2], 'PX', ttl)
  end
end

-- An id that a caller chose stays taken for `id_ttl` after its job's end; marks go with the job. Returns those that
-- callers chose.
local function release_ids(base, ids_of_jobs, until_ms)
  local ids, suspects, chosen = base .. ':ids', base .. ':suspects', {}
  if redis.call('EXISTS', ids, suspects) == 0 then return chosen end
  if redis.call('EXISTS', ids) == 1 then
    for _, id in ipairs(ids_of_jobs) do
      if redis.call('ZADD', ids, 'XX', 'CH', until_ms, id) == 1 then chosen[#chosen + 1] = id end
    end
  end
  redis.call('HDEL', suspects, unpack(ids_of_jobs))
  return chosen
end

-- Bare facts of the newest ends, in two generations of one hash. A fact has a field, id -> 'state ended_ms', and ' 1'
-- behind it when there was a result, whether or not it is kept. Plain ends of jobs whose ids begin alike, as ids do
-- that were made together, share one: the first letters, five (4 s), six (64 ms), seven (a ms) or eight (16 that one process
-- made in a ms), and a line end -> ('ended_ms how_many:ids')*. The field named by a line end alone keeps how many facts there are.
local FACT_LETTERS_MIN, FACT_LETTERS_MAX, FACT_MARK = 5, 8, '\n'
local FACT_SHARED_MIN, FACT_SHARED_BYTES = 4, 4096

-- Whether a fact may have a field of its own: not under an id that another program spelt as shared fields are.
local function may_stand_alone(id) return #id > FACT_LETTERS_MAX + 1 or string.byte(id, -1) ~= 10 end

-- The fields that an id may share.
local function shared_fields(id)
  local fields = {}
  for letters = FACT_LETTERS_MIN, #id == ID_LENGTH and FACT_LETTERS_MAX or 0 do
    fields[#fields + 1] = sub(id, 1, letters) .. FACT_MARK
  end
  return fields
end

-- Gather ids by their first letters: the fields, beside them the ids of each in one text, and the ids that share none;
-- nil when it takes more than `most` fields.
local function gather(ids, letters, most)
  local fields, known, others, many, runs, first, head = {}, {}, {}, 0, {}, 1, nil
  for i = 1, #ids + 1 do
    local id = ids[i]
    local this = id and #id == ID_LENGTH and sub(id, 1, letters)
    if this ~= head then
      if head then
        local n = known[head]
        if not n then
          if many == most then return nil end
          n, many = many + 1, many + 1
          known[head], fields[n] = n, head .. FACT_MARK
        end
        runs[#runs + 1] = { n, first, i - 1 }
      end
      first, head = i, this
    end
    if this == false then others[#others + 1] = id end
  end
  local texts = {}
  for _, run in ipairs(runs) do
    local n = run[1]
    texts[n] = (texts[n] or '') .. table.concat(ids, '', run[2], run[3])
  end
  return fields, texts, others
end

-- Put plain ends that share fields into the flat list `facts` (field, value)*, by as many letters as leave them together
-- in fours. Returns the ids of the others.
local function share(finished, ids, ended, facts)
  local letters, most, fields, texts, others = FACT_LETTERS_MAX, math.floor(#ids / FACT_SHARED_MIN), nil, nil, nil
  repeat
    fields, texts, others = gather(ids, letters, letters > FACT_LETTERS_MIN and most)
    letters = letters - 1
  until fields

  local kept = fields[1] and redis.call('HMGET', finished, unpack(fields))
  for i, text in ipairs(texts) do
    local many, before = #text / ID_LENGTH, kept[i]
    if many < FACT_SHARED_MIN or (before and #before > FACT_SHARED_BYTES) then
      for at = 1, #text, ID_LENGTH do others[#others + 1] = sub(text, at, at + ID_LENGTH - 1) end
    else
      facts[#facts + 1] = fields[i]
      facts[#facts + 1] = (before or '') .. ended .. ' ' .. many .. ':' .. text
    end
  end
  return others
end

-- The part of a shared field that begins at `from`: the ms of its end, where its ids begin, where the next part does,
-- how many ids there are; nil at the end, or where somebody wrote something else.
local function shared_part(text, from)
  local ended, count, ids = string.match(text, '^(%d+) (%d+):()', from)
  local past = ended and ids + count * ID_LENGTH
  if past and past <= #text + 1 then return ended, ids, past, tonumber(count) end
end

-- Where an id stands in a shared field: {ms of its end, where its part begins, where its ids do, where the next part
-- does, how many they are, where the id does}; nil when it does not.
local function shared_place(text, id)
  local found, from = nil, 1
  while true do
    local ended, ids, past, count = shared_part(text, from)
    if not ended then return found end
    for at = ids, past - 1, ID_LENGTH do
      if string.sub(text, at, at + ID_LENGTH - 1) == id then found = { ended, from, ids, past, count, at } end
    end
    from = past
  end
end

-- All ids of a shared field, and beside them the ms of their ends.
local function shared_ids(text)
  local found, ends, many, from = {}, {}, 0, 1
  while true do
    local ended, ids, past = shared_part(text, from)
    if not ended then return found, ends end
    for at = ids, past - 1, ID_LENGTH do
      many = many + 1
      found[many], ends[many] = string.sub(text, at, at + ID_LENGTH - 1), ended
    end
    from = past
  end
end

-- The fact of one generation: as `fact_of`.
local function fact_in(finished, id)
  local kept = redis.call('HMGET', finished, id, unpack(shared_fields(id)))
  local state, ended, returned = string.match(may_stand_alone(id) and kept[1] or '', '^(%a+) (%d+) ?(1?)$')
  for i = 2, #kept do
    local place = kept[i] and shared_place(kept[i], id)
    if place and tonumber(place[1]) > tonumber(ended or -1) then state, ended, returned = 'completed', place[1], '' end
  end
  return state, ended, returned
end

local function count_facts(finished) return tonumber(redis.call('HGET', finished, FACT_MARK) or 0) end

-- Take an id out of a field that it shares, as often as it stands there. Returns how many facts are gone.
local function forget_shared(finished, field, id)
  local text, gone = redis.call('HGET', finished, field) or '', 0
  local place = shared_place(text, id)
  while place do
    local ended, from, ids, past, count, at = unpack(place)
    local left = ''
    if count > 1 then
      left = ended .. ' ' .. count - 1 .. ':' .. string.sub(text, ids, at - 1)
        .. string.sub(text, at + ID_LENGTH, past - 1)
    end
    text, gone = string.sub(text, 1, from - 1) .. left .. string.sub(text, past), gone + 1
    place = shared_place(text, id)
  end
  if gone > 0 and text == '' then
    redis.call('HDEL', finished, field)
  elseif gone > 0 then
    redis.call('HSET', finished, field, text)
  end
  return gone
end

-- Forget the facts of these ids in one generation.
local function forget_facts(finished, ids)
  local gone = 0
  for _, id in ipairs(ids) do
    if may_stand_alone(id) then gone = gone + redis.call('HDEL', finished, id) end
    for _, field in ipairs(shared_fields(id)) do gone = gone + forget_shared(finished, field, id) end
  end
  if gone > 0 then redis.call('HINCRBY', finished, FACT_MARK, -gone) end
end

-- What ids that callers chose left before goes, in both generations: of one that ends twice the last end is the fact.
-- Of plain ends those of chosen ids go to `facts`, into fields of their own. Returns the others.
local function set_apart(finished, plain, facts, ended, chosen)
  forget_facts(finished, chosen)
  forget_facts(finished .. ':old', chosen)
  local is_chosen, others = {}, {}
  for _, id in ipairs(chosen) do is_chosen[id] = true end
  for _, id in ipairs(plain) do
    if is_chosen[id] then
      facts[#facts + 1] = id
      facts[#facts + 1] = 'completed ' .. ended
    else
      others[#others + 1] = id
    end
  end
  return others
end

-- Keep the facts of ids that completed without a result (`plain`), and others as (id, fact)*.
local function store_facts(finished, plain, facts, ended, max)
  local more, shared = 0, {}
  if #plain >= FACT_SHARED_MIN then
    local others = share(finished, plain, ended, shared)
    plain, more = others, #plain - #others
    if more > 0 then redis.call('HSET', finished, unpack(shared)) end
  end
  local n = #facts
  for _, id in ipairs(plain) do
    facts[n + 1], facts[n + 2] = id, 'completed ' .. ended
    n = n + 2
  end
  for i = n - 1, 1, -2 do
    if not may_stand_alone(facts[i]) then
      table.remove(facts, i)
      table.remove(facts, i)
    end
  end
  if facts[1] then more = more + redis.call('HSET', finished, unpack(facts)) end
  if redis.call('HINCRBY', finished, FACT_MARK, more) < max then return end
  -- The server frees thousands of facts beside its work, not within it.
  redis.call('UNLINK', finished .. ':old')
  redis.call('RENAME', finished, finished .. ':old')
end

-- What ends write to is read before anything is written: a key that another program took for something else is met while
-- nothing is done yet. `kinds` is a set of what ends there are. Returns whether anybody waits for the end of a job, and
-- whether there is an id that a caller chose or a mark.
local function look_around(base, kinds, lean)
  local ids, suspects, replies = base .. ':ids', base .. ':suspects', base .. ':replies'
  local there = redis.call('EXISTS', ids, suspects, replies)  -- mostly none is
  local awaited = there > 0 and redis.call('HLEN', replies) > 0
  local marked = there > (awaited and 1 or 0)
  if marked then
    redis.call('ZCARD', ids)
    redis.call('HLEN', suspects)
  end
  if kinds.dead then redis.call('ZCARD', base .. ':dead') end
  if not lean then
    if awaited or kinds.result or kinds.cancel then redis.call('LLEN', base .. ':results') end
    redis.call('HLEN', base .. ':finished')
  end
  return awaited, marked
end

-- What `meta` keeps of how long, and how much, is kept of ends.
local BOUNDS = { 'id_ttl_ms', 'result_ttl_ms', 'result_max', 'facts_max' }

-- Everything an end leaves behind: `ends` is a flat list (id, state, body)* of jobs that are completed or cancelled,
-- `acked` are ids of jobs that completed without a result while nobody waits for any. `lean` keeps no fact and no result;
-- `awaited` and `marked` are what `look_around` said; `kept` is what `meta` has of the engine, the version and `BOUNDS`.
local function finish(base, kept, ends, acked, now, lean, awaited, marked)
  if #ends == 0 and #acked == 0 then return end
  local ids, plain, facts, ended = acked, acked, {}, string.format('%.0f', now)
  if #ends > 0 then
    local ttl, count, looked_up, n = kept[4] or 600000, #acked, {}, 0
    local told = awaited and reply(base, base .. ':replies', ends, ttl) or {}
    ids, plain = { unpack(acked) }, { unpack(acked) }
    for i = 1, #ends, 3 do
      local id, state, body = ends[i], ends[i + 1], ends[i + 2]
      count = count + 1
      ids[count] = id
      if told[id] or body ~= '' then
        looked_up[n + 1], looked_up[n + 2], looked_up[n + 3] = id, state, body
        n = n + 3
      end
      if body == '' and state == 'completed' then
        plain[#plain + 1] = id
      else
        facts[#facts + 1] = id
        facts[#facts + 1] = state .. ' ' .. ended .. (body == '' and '' or ' 1')
      end
    end
    if not lean then store_results(base, looked_up, ttl, tonumber(kept[5] or 10000)) end
  end
  local chosen = marked and release_ids(base, ids, now + tonumber(kept[3] or 3600000)) or {}
  if lean then return end
  local finished = base .. ':finished'
  if chosen[1] then plain = set_apart(finished, plain, facts, ended, chosen) end
  store_facts(finished, plain, facts, ended, tonumber(kept[6] or 20000))
end

-- The fact of an ended job: its state, its end (ms), '1' when it had a result; or nil.
local function fact_of(base, id)
  local state, ended, returned = fact_in(base .. ':finished', id)
  if state then return state, ended, returned end
  return fact_in(base .. ':finished:old', id)
end
