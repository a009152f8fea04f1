-- build/linedancer run --listen 127.0.0.1:7010 --handler examples/tasks.lua
-- printf 'count 1000000\ncount 5000\nstop 1000000\ncount 100\n' | nc -N 127.0.0.1 7010
--
-- Work in the background: tasks count primes, piece by piece, while their connection goes on reading commands.
--
--   count N LF    how many primes are there up to N?     N: COUNT LF when it is known, or N: not now LF
--   where N LF    how far is it?                         N: at PLACE LF while it counts
--   stop N LF     never mind                             nothing
--
--   command --> command ...     until the peer ends its side; what is being counted is still answered
local ld = require "linedancer"

local TASKS, N_MAX, PIECE = 4, 10 ^ 6, 1000

local states, commands = {}, {}

local function forget(conn, n) conn.tasks[n], conn.free = nil, conn.free + 1 end

-- A task. It sleeps for no time between pieces, so that everybody else has a turn.
local function count(conn, n)
  local primes, task = n > 1 and 1 or 0, conn.tasks[n]
  for candidate = 3, n, 2 do
    local divisor = 3
    while divisor * divisor <= candidate and candidate % divisor ~= 0 do divisor = divisor + 2 end
    if divisor * divisor > candidate then primes = primes + 1 end
    task.at = candidate
    if candidate % PIECE == 1 then ld.sleep(0) end
  end
  forget(conn, n)
  conn:write(n, ": ", primes, "\n")
end

function commands.count(conn, n, task)
  if task then return end
  if conn.free == 0 or n > N_MAX then return conn:write(n, ": not now\n") end
  conn.tasks[n], conn.free = conn:spawn(count, conn, n), conn.free - 1
end

function commands.where(conn, n, task)
  if task then conn:write(n, ": at ", task.at or 0, "\n") end
end

function commands.stop(conn, n, task)
  if not task then return end
  task:cancel()
  forget(conn, n)
end

function states.command(conn)
  conn.tasks, conn.free = conn.tasks or {}, conn.free or TASKS
  local line = conn:read_line(20)
  if not line then return conn:join() end
  local verb, digits = line:match "^(%a+) (%d+)$"
  if not commands[verb] then conn:fail "count, where or stop, and a number" end
  local n = tonumber(digits)
  commands[verb](conn, n, conn.tasks[n])
  return "command"
end

return { initial = "command", states = states, timeouts = { { idle = 60 } } }
