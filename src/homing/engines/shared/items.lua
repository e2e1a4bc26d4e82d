-- What a settlement says of jobs, in groups of one kind, of the same times and place.
local WIDTHS = { ack = 2, result = 3, again = 5, dead = 4, back = 2, cancel = 3 }

-- The groups from ARGV[at] on: {what, times, place, first item, past its last, width of an item}; `less` is what an
-- item does not say.
local function read_groups(at, less)
  local groups = {}
  while at < #ARGV do
    local width = WIDTHS[ARGV[at]] - less
    local first = at + 4
    local past = first + width * ARGV[at + 3]
    groups[#groups + 1] = { ARGV[at], ARGV[at + 1], ARGV[at + 2], first, past, width }
    at = past
  end
  return groups
end
