-- The priorities in use, highest first, as kept in meta ('5 0 -3').
local function priorities_of(kept)
  local found = {}
  for priority in string.gmatch(kept or '0', '%S+') do found[#found + 1] = priority end
  return found
end

-- Keep further priorities (a table priority -> true) in meta, highest first.
local function add_priorities(meta, kept, more)
  local known, all = {}, priorities_of(kept)
  for _, priority in ipairs(all) do known[priority] = true end
  local grown = kept == false
  for priority in pairs(more) do
    if not known[priority] then
      all[#all + 1] = priority
      grown = true
    end
  end
  if not grown then return end
  table.sort(all, function(a, b) return tonumber(a) > tonumber(b) end)
  redis.call('HSET', meta, 'priorities', table.concat(all, ' '))
end
