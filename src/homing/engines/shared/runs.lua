-- The runs of an enqueue, of jobs of `width` words each, from ARGV[place] on: {task, first job, past the last, how many
-- went before, priority, delay, own, reply, meta, whether nothing is told but jobs}. Returns them, how many jobs they are,
-- and whether any is delayed.
local function read_runs(place, width)
  local runs, many, delayed = {}, 0, false
  while place < #ARGV do
    local count, told = tonumber(ARGV[place + 2]), ARGV[place + 1]
    local first = place + 3
    place = first + width * count
    local run = { ARGV[first - 3], first, place, many, '0', 0, false, '', '', told == '' }
    if told ~= '' then
      local priority, delay, chosen, process, job_meta = string.match(told, '^(%S+) (%d+) ([01]) (%S*) (.*)$')
      run[5], run[6], run[7], run[8], run[9] = priority, tonumber(delay), chosen == '1', process, job_meta
      delayed = delayed or run[6] > 0
    end
    runs[#runs + 1] = run
    many = many + count
  end
  return runs, many, delayed
end
