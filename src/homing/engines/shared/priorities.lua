-- The priorities in use, highest first, as kept in meta ('5 0 -3').
local function priorities_of(kept)
  local found = {}
  for priority in string.gmatch(kept or '0', '%S+') do found[#found + 1] = priority end
  return found
end

-- Keep further priorities (a table priority -> true) in meta, highest first.
local function add_priorities(meta, kept, more)
  local known, grown = ' ' .. (kept or '0') .. ' ', {}
  for priority in pairs(more) do
    if not string.find(known, ' ' .. priority .. ' ', 1, true) then grown[#grown + 1] = priority end
  end
  if kept and #grown == 0 then return end
  local all = priorities_of(kept)
  for _, priority in ipairs(grown) do all[#all + 1] = priority end
  table.sort(all, function(a, b) return tonumber(a) > tonumber(b) end)
  redis.call('HSET', meta, 'priorities', table.concat(all, ' '))
end
