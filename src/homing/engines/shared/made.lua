-- An id that was made so long (ms) before or after its job comes in (a clock that is wrong, a call that comes late) says
-- nothing of the job: not where it stands, which would push aside those of all others, and not since when it waits.
local ASIDE_MS = 1000

-- What a letter of an id counts: 6 bits, in the order of ASCII.
local function code_of(letter)
  return letter >= 97 and letter - 59 or letter == 95 and 37 or letter >= 65 and letter - 54
    or letter >= 48 and letter - 47 or 0
end

-- The millisecond at which an id was made, from its first seven letters; of six letters, the first of 64 ms.
local function ms_of(id)
  local ms = 0
  for i = 1, 7 do ms = ms * 64 + code_of(byte(id, i) or 45) end
  return ms
end
