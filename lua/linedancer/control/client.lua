--- control/client: asks a gateway through its control socket, from a program of its own.
local alarm = require "linedancer.alarm"
local core = require("linedancer.api").core
local json = require "linedancer.json"
local ld = require "linedancer"

local M = {}

local FOREVER = 2 ^ 30 -- seconds
local CONNECT = 5        -- seconds
local ANSWER_MAX = 2 ^ 25 -- bytes

local function ask(conn, request)
  conn:write(json.encode(request), "\n")
  local line = conn:read_line(ANSWER_MAX)
  if not line then return nil, "the gateway hung up" end
  local ok, answer = json.decode(line)
  if not ok or type(answer) ~= "table" then return nil, "the gateway answered what is no JSON" end
  if not answer.ok then return nil, answer.error or "refused" end
  return answer.result == nil and true or answer.result
end

--- Call FN(ask), in which ask(request), a table, returns what the gateway at PATH answers, or nil and why not. Ends the
-- program with what FN returns, or, with exit code NONE, when there is no gateway: SAY(message) is called first.
function M.run(path, none, say, fn)
  ld.spawn(function()
    local conn, err = ld.connect("unix:" .. path, { timeout = CONNECT })
    if not conn then
      say(("there is no gateway at %s: %s"):format(path, err.message))
      os.exit(none)
    end
    local ok, code = xpcall(fn, debug.traceback, function(request)
      local fine, result, problem = pcall(ask, conn, request)
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
