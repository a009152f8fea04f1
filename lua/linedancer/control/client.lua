--- control/client: asks a gateway through its control socket, from a program of its own.
local alarm = require "linedancer.alarm"
local core = require("linedancer.api").core
local json = require "linedancer.json"
local ld = require "linedancer"

local M = {}

local FOREVER = 2 ^ 30 -- seconds
local CONNECT = 5        -- seconds
local ANSWER_MAX = 2 ^ 25 -- bytes

-- The next answer that is no event; ON_EVENT(event) is called for those.
local function answer_of(conn, on_event)
  while true do
    local line = conn:read_line(ANSWER_MAX)
    if not line then return nil, "the gateway hung up" end
    local ok, answer = json.decode(line)
    if not ok or type(answer) ~= "table" then return nil, "the gateway answered what is no JSON" end
    if answer.event == nil then return answer end
    on_event(answer.event)
  end
end

local function ask(conn, request, on_event)
  conn:write(json.encode(request), "\n")
  local answer, problem = answer_of(conn, on_event)
  conn:close()
  if not answer then return nil, problem end
  if not answer.ok then return nil, answer.error or "refused" end
  return answer.result == nil and true or answer.result
end

--- Call FN(ask), in which ask(request, on_event), a table, returns what the gateway at PATH answers, or nil and why
-- not; on_event(event), which may be nil, is called for what comes before that. Each time it connects anew, so that FN
-- may take its time in between. Ends the program with what FN returns; or, when there is no gateway, with exit code
-- NONE, after SAY(message).
function M.run(path, none, say, fn)
  local function connect()
    local conn, err = ld.connect("unix:" .. path, { timeout = CONNECT })
    if conn then return conn end
    say(("there is no gateway at %s: %s"):format(path, err.message))
    os.exit(none)
  end
  ld.spawn(function()
    local ok, code = xpcall(fn, debug.traceback, function(request, on_event)
      local fine, result, problem = pcall(ask, connect(), request, on_event or function() end)
      if not fine then return nil, tostring(result) end
      return result, problem
    end)
    if not ok then
      say(tostring(code))
      code = 1
    end
    io.stdout:flush()
    os.exit(code)
  end)
  alarm.set(FOREVER, function() end) -- a loop without timers or sockets would end
  core.run(0, 0)
  return 1
end

return M
