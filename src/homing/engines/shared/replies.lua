local REPLY_MAX, REPLY_MIN_MS = 1000, 60000

-- Tell the processes that wait for these ends, a flat list (id, state, body)*, and forget that they do. Returns a table,
-- id -> true, of those that somebody waited for.
--
-- A list of replies is a process's own, and no job waits for it: where another program took its key for something else,
-- who waits looks at the job by itself, as it does when a reply is lost.
local function reply(base, replies, ends, ttl)
  local ids, texts_of, gone, told = {}, {}, {}, {}
  for n = 1, #ends / 3 do ids[n] = ends[n * 3 - 2] end
  for n, waiting in ipairs(redis.call('HMGET', replies, unpack(ids))) do
    local id = ids[n]
    if waiting then
      told[id], gone[#gone + 1] = true, id
      local text = id .. '\n' .. ends[n * 3 - 1] .. '\n' .. ends[n * 3]
      for process in string.gmatch(waiting, '[^,]+') do
        local texts = texts_of[process] or {}
        texts_of[process], texts[#texts + 1] = texts, text
      end
    end
  end
  for process, texts in pairs(texts_of) do
    local list = base .. ':reply:' .. process
    local length = redis.pcall('RPUSH', list, unpack(texts))
    if type(length) == 'number' then
      if length > REPLY_MAX then redis.call('LTRIM', list, -REPLY_MAX, -1) end
      redis.call('PEXPIRE', list, math.max(tonumber(ttl), REPLY_MIN_MS))
    end
  end
  if gone[1] then redis.call('HDEL', replies, unpack(gone)) end
  return told
end

-- The same for jobs that left their queue without a run.
local function reply_cancelled(base, replies, ids)
  local ends = {}
  for n, id in ipairs(ids) do ends[n * 3 - 2], ends[n * 3 - 1], ends[n * 3] = id, 'cancelled', '' end
  reply(base, replies, ends, 600000)
end
