-- Ends, together for a batch: `ends` is a flat list (id, state, body)* of jobs that are completed or cancelled.

-- Keep an end that somebody may look up: the oldest of `result_max` makes room.
local function store_result(base, results, id, state, body, ttl, max)
  if tonumber(ttl) <= 0 or max <= 0 then return end
  redis.call('SET', base .. ':result:' .. id, state .. '\n' .. body, 'PX', ttl)
  redis.call('LPUSH', results, id)
  redis.call('PEXPIRE', results, ttl)
  if redis.call('LLEN', results) > max then
    redis.call('DEL', base .. ':result:' .. redis.call('RPOP', results))
  end
end

-- An id that a caller chose stays taken for `id_ttl` after its job's end; marks go with the job. Returns whether
-- callers chose any.
local function release_ids(base, ids_of_jobs, until_ms)
  local ids, suspects = base .. ':ids', base .. ':suspects'
  local chosen = redis.call('EXISTS', ids) == 1
  if chosen then
    for _, id in ipairs(ids_of_jobs) do redis.call('ZADD', ids, 'XX', until_ms, id) end
  end
  if redis.call('EXISTS', suspects) == 1 then redis.call('HDEL', suspects, unpack(ids_of_jobs)) end
  return chosen
end

-- Bare facts of the newest ends, in two generations of one hash: 'state ended_ms', and ' 1' behind it when
-- there was a result, whether or not it is kept. Of an id that ends twice, which only a chosen one does, the
-- last end is the fact.
local function store_facts(base, ends, ids, now, max, chosen)
  local finished, facts, said = base .. ':finished', {}, {}
  local ended, n = string.format(' %.0f', now), 0
  for i = 1, #ends, 3 do
    local state = ends[i + 1]
    local fact = said[state]
    if not fact then
      fact = state .. ended
      said[state] = fact
    end
    facts[n + 1] = ends[i]
    facts[n + 2] = ends[i + 2] == '' and fact or fact .. ' 1'
    n = n + 2
  end
  redis.call('HSET', finished, unpack(facts))
  if chosen then redis.call('HDEL', finished .. ':old', unpack(ids)) end
  if redis.call('HLEN', finished) < max then return end
  -- The server frees thousands of facts beside its work, not within it.
  redis.call('UNLINK', finished .. ':old')
  redis.call('RENAME', finished, finished .. ':old')
end

-- Everything an end leaves behind. `lean` keeps no fact and no result.
local function finish(base, meta, ends, now, lean)
  if #ends == 0 then return end
  local kept = redis.call('HMGET', meta, 'id_ttl_ms', 'result_ttl_ms', 'result_max', 'facts_max')
  local ttl, replies = kept[2] or 600000, base .. ':replies'
  local awaited = redis.call('EXISTS', replies) == 1
  local ids, count = {}, 0
  for i = 1, #ends, 3 do
    local id, body = ends[i], ends[i + 2]
    count = count + 1
    ids[count] = id
    local told = awaited and reply(base, replies, id, ends[i + 1], body, ttl)
    if not lean and (told or body ~= '') then
      store_result(base, base .. ':results', id, ends[i + 1], body, ttl, tonumber(kept[3] or 10000))
    end
  end
  local chosen = release_ids(base, ids, now + tonumber(kept[1] or 3600000))
  if not lean then store_facts(base, ends, ids, now, tonumber(kept[4] or 20000), chosen) end
end

-- The fact of an ended job: its state, its end (ms), '1' when it had a result; or nil.
local function fact_of(base, id)
  local fact = redis.call('HGET', base .. ':finished', id) or redis.call('HGET', base .. ':finished:old', id)
  if not fact then return nil end
  return string.match(fact, '^(%a+) (%d+) ?(1?)$')
end
