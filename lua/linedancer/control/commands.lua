--- control/commands: what can be asked of a gateway that runs, by name.
--
-- Each is a function of the request, whose fields are its arguments, and the connection it came by. It returns the
-- result, or nil and why not, and may wait. Commands that ask all workers report those that do not answer as
-- `problems`.
local config = require "linedancer.config"
local core = require("linedancer.api").core
local drains = require "linedancer.control.drains"
local gateway = require "linedancer.gateway"
local gather = require "linedancer.control.gather"
local json = require "linedancer.json"
local reload = require "linedancer.reload"
local suggest = require "linedancer.suggest"
local tasks = require "linedancer.task"
local trace = require "linedancer.control.trace"
require "linedancer.control.facts"

local M = {}

local CONNS = 1000 -- unless the request has a limit
local TRACE, TRACE_MAX = 60, 3600 -- seconds
local TRIAL, TRIAL_MAX, ERRORS = 600, 86400, 1 -- seconds; per cent
local SETTLE, LOOK = 1, 0.01 -- seconds
local began = os.time()

-- Are the fields of REQUEST of the KINDS, a table? Others than those are refused, and of several the first by name.
local function check(request, kinds)
  for _, key in ipairs(suggest.keys(request)) do
    local kind, value = kinds[key], request[key]
    if not kind and key ~= "command" and key ~= "id" then
      return nil, suggest.unknown("argument", key, suggest.keys(kinds))
    end
    if kind and type(value) ~= kind then return nil, ("%s must be a %s"):format(key, kind) end
  end
  return true
end

local function first_problem(problems) return problems[1] and table.concat(problems, "; ") or nil end

--- status: the workers, with their listeners and versions.
function M.status(request)
  local ok, problem = check(request, {})
  if not ok then return nil, problem end
  local results, problems = gather.all("status", {})
  local workers, connections = {}, 0
  for i, one in ipairs(results) do
    workers[i] = one.result
    for _, listener in ipairs(one.result.listeners) do
      if listener.name ~= "control" then connections = connections + listener.connections end
    end
  end
  return {
    program = core.version, uptime = os.time() - began, version = gateway.current(), connections = connections,
    workers = workers, problems = problems[1] and problems or nil,
  }
end

--- conns: open connections. handler, listener, state: only those; version: of the handlers' code; peer: how the address
-- begins; older: at least so many seconds; limit: at most so many (1000).
function M.conns(request)
  local ok, problem = check(request, {
    handler = "string", listener = "string", state = "string", version = "number", peer = "string", older = "number",
    limit = "number",
  })
  if not ok then return nil, problem end
  request.limit = request.limit or CONNS
  local list, problems = gather.list("conns", request)
  for i = #list, request.limit + 1, -1 do list[i] = nil end
  return { conns = list, problems = problems[1] and problems or nil }
end

--- kill: the connection whose id is conn ends, after a flush, with the reason "kill".
function M.kill(request)
  local ok, problem = check(request, { conn = "string" })
  if not ok then return nil, problem end
  if not request.conn then return nil, "conn is missing: the id of a connection, as conns gives it" end
  local list, problems = gather.list("kill", { id = request.conn })
  if not list[1] then return nil, first_problem(problems) or ("there is no connection '%s'"):format(request.conn) end
  return list
end

--- versions: of the handlers' code, with how many connections each has, in each worker.
function M.versions(request)
  local ok, problem = check(request, {})
  if not ok then return nil, problem end
  local results, problems = gather.all("versions", {})
  local sums, list = {}, {}
  for _, one in ipairs(results) do
    for _, machine in ipairs(one.result) do
      local key = ("%s\0%d"):format(machine.listener, machine.version)
      local sum = sums[key]
      if not sum then
        sum = machine
        sums[key], list[#list + 1] = sum, sum
      else
        sum.connections, sum.failures = sum.connections + machine.connections, sum.failures + machine.failures
      end
    end
  end
  return { versions = list, problems = problems[1] and problems or nil }
end

-- A trial: SHARE and ERRORS in per cent.
local function try(request)
  local share, errors = request.canary, request.errors or ERRORS
  if not (share > 0 and share < 100) then return nil, "canary must be above 0 and below 100, in per cent" end
  if not (errors >= 0 and errors <= 100) then return nil, "errors must be from 0 to 100, in per cent" end
  local seconds = math.ceil(request.seconds or TRIAL)
  if not (seconds >= 1 and seconds <= TRIAL_MAX) then return nil, "seconds must be from 1 to " .. TRIAL_MAX end
  local changes, version = reload.try(math.max(1, math.floor(share * 10 + 0.5)), seconds, errors / 100)
  if not changes then return nil, version end
  return { changes = changes, version = version, trial = true }
end

local function do_all_serve(version)
  for _, one in ipairs((gather.all("serving", {}))) do
    if one.result ~= version then return false end
  end
  return true
end

-- Workers switch each when it comes to it: wait until all have, for a second at most.
local function settle(version)
  for _ = 1, SETTLE / LOOK do
    if do_all_serve(version) then return end
    tasks.sleep(LOOK)
  end
end

-- What was before comes back unless it is confirmed.
local function reload_unconfirmed(request)
  local seconds = math.ceil(request.confirm)
  if not (seconds >= 1 and seconds <= TRIAL_MAX) then return nil, "confirm must be from 1 to " .. TRIAL_MAX end
  local changes, version = reload.reload_unconfirmed(seconds)
  if not changes then return nil, version end
  settle(version)
  return { changes = changes, version = version, unconfirmed = seconds }
end

local function judge(request)
  local version, problem = reload.judge(request.promote and not request.revert)
  if not version then return nil, problem end
  settle(version)
  return { changes = {}, version = version, judged = true }
end

--- reload: load the config and the handlers again; dry: only say what would change. canary: have so many per cent of
-- new connections try it for seconds (600) first, and revert if it fails more than errors (1) per cent of them.
-- confirm: revert after so many seconds. promote or revert: end such a trial now, or confirm it or not.
function M.reload(request)
  local ok, problem = check(request, {
    dry = "boolean", canary = "number", seconds = "number", errors = "number", promote = "boolean", revert = "boolean",
    confirm = "number",
  })
  if not ok then return nil, problem end
  if request.promote or request.revert then return judge(request) end
  if request.canary and request.confirm then return nil, "canary and confirm do not go together" end
  if request.canary then return try(request) end
  if request.confirm then return reload_unconfirmed(request) end
  local changes, version, start_problem = reload.reload(request.dry or false)
  if not changes then return nil, version end
  if not request.dry then settle(version) end
  return { changes = changes, version = version, problem = start_problem }
end

--- loglevel: set the level of the log to level.
function M.loglevel(request)
  local ok, problem = check(request, { level = "string" })
  if not ok then return nil, problem end
  for _, level in ipairs(config.LEVELS) do
    if request.level == level then
      local _, problems = gather.all("loglevel", { level = level })
      if problems[1] then return nil, first_problem(problems) end
      return level
    end
  end
  return nil, suggest.unknown("log level", tostring(request.level), config.LEVELS)
end

--- set: what is called name is value until the next reload.
function M.set(request)
  local ok, problem = check(request, { name = "string", value = "number" })
  if not ok then return nil, problem end
  if not request.name or not request.value then return nil, "name and value are needed" end
  local _, problems = gather.all("set", { name = request.name, value = request.value })
  if problems[1] then return nil, problems[1] end
  return request.value
end

--- drain: have connections finish: those of listener or handler, which then accepts no more until cancel; those in the
-- slot worker, whose process is then replaced; without any the whole gateway, which then stops. deadline: seconds until
-- those that are left are ended. Of a listener or handler the answer comes at the end, and lists those that were cut.
function M.drain(request)
  local ok, problem = check(request, {
    listener = "string", handler = "string", worker = "number", deadline = "number", cancel = "boolean",
  })
  if not ok then return nil, problem end
  return drains.drain(request)
end

--- call: the handler's own command, called name, with args, an array: what it returns.
function M.call(request)
  local ok, problem = check(request, { handler = "string", name = "string", args = "table" })
  if not ok then return nil, problem end
  local _, _, parts = gateway.current()
  local names, definition = {}, nil
  for _, part in ipairs(parts) do
    names[#names + 1] = part.definition.name
    if part.definition.name == request.handler then definition = part.definition end
  end
  if not definition then return nil, suggest.unknown("handler", tostring(request.handler), names) end
  local commands = definition.commands or {}
  local command = commands[request.name]
  if not command then
    if not next(commands) then return nil, ("the handler '%s' has no commands"):format(request.handler) end
    return nil, suggest.unknown("command", tostring(request.name), suggest.keys(commands))
  end
  local result = command(unpack(request.args or {}))
  return result == nil and true or result
end

--- trace: what the connection whose id is conn does, for seconds (60, at most 3600): a line { "event": ... } for each
-- thing, see control/trace, and at last how many there were. hidden: without showing bytes.
function M.trace(request, conn)
  local ok, problem = check(request, { conn = "string", seconds = "number", hidden = "boolean" })
  if not ok then return nil, problem end
  if not request.conn then return nil, "conn is missing: the id of a connection, as conns gives it" end
  local seconds = request.seconds or TRACE
  if not (seconds > 0 and seconds <= TRACE_MAX) then return nil, "seconds must be above 0, at most " .. TRACE_MAX end
  return trace.run(conn, { id = request.conn, seconds = seconds, hidden = request.hidden }, function(event)
    conn:write(json.encode { event = event }, "\n")
  end)
end

--- eval: what the Lua in code returns, as texts: in each worker, or in that of the slot worker.
function M.eval(request)
  local ok, problem = check(request, { code = "string", worker = "number" })
  if not ok then return nil, problem end
  if not request.code then return nil, "code is missing" end
  local results, problems = gather.all("eval", { code = request.code, worker = request.worker })
  if problems[1] then return nil, first_problem(problems) end
  return results
end

return M
