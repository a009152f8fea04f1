--- linedancer.control: the control socket, by which people and programs look at a gateway that runs, and change it.
--
-- A unix socket with mode 0600, served by whichever worker accepts. A request is a line with a JSON object, and so is
-- its answer; they come in the order of the requests:
--
--   { "command": "conns", "handler": "rtmp", "id": 7 }
--   { "id": 7, "ok": true, "result": [ ... ] }      or      { "id": 7, "ok": false, "error": "..." }
--
-- The commands and what they take are listed in control/commands.lua. It is served by a handler like any other, but for
-- two things: the gateway's limit of connections does not count it, and it is there while the gateway drains.
local commands = require "linedancer.control.commands"
local handler = require "linedancer.handler"
local json = require "linedancer.json"
local log = require "linedancer.log"
local suggest = require "linedancer.suggest"

local M = {}

local REQUEST_MAX = 2 ^ 16  -- bytes
local ANSWERS_MAX = 2 ^ 25  -- bytes that wait to be read
local CONNECTIONS_MAX = 100 -- of each worker
local IDLE = 300            -- seconds
local MODE = 6 * 64         -- rw for the owner: 0600

local function respond(conn, id, ok, result)
  conn:write(json.encode { id = id, ok = ok, [ok and "result" or "error"] = result }, "\n")
end

local function perform(conn, request)
  if type(request) ~= "table" or type(request.command) ~= "string" then
    return nil, 'a request is a JSON object such as {"command":"status"}'
  end
  local command = commands[request.command]
  if not command then return nil, suggest.unknown("command", request.command, suggest.keys(commands)) end
  log.debug("control", { conn = conn.id, command = request.command })
  local ok, result, problem = xpcall(command, debug.traceback, request, conn)
  if not ok then return nil, result end
  return result, problem
end

local states = {}

function states.request(conn)
  local line = conn:read_line(REQUEST_MAX)
  if not line then return end
  local fine, request = json.decode(line)
  if not fine then
    respond(conn, nil, false, "this is not JSON: " .. request)
    return
  end
  local result, problem = perform(conn, request)
  local id = type(request) == "table" and request.id or nil
  if result == nil and problem then respond(conn, id, false, problem) else respond(conn, id, true, result) end
  return "request"
end

local function on_error(conn, err)
  if err.code == "limit" then respond(conn, nil, false, ("a request has at most %d bytes"):format(REQUEST_MAX)) end
end

local function definition()
  return assert(handler.define({
    initial = "request", states = states, timeouts = { request = { idle = IDLE } }, on_error = on_error,
    limits = { frame = REQUEST_MAX, output = ANSWERS_MAX, linger = 1 },
    on_drain = function() end, -- it is needed until the end
  }, "linedancer.control"))
end

--- The listener at PATH, as those of linedancer.config.
function M.listener(path)
  return {
    address = { family = "unix", path = path, text = "unix:" .. path, key = "unix:" .. path }, name = "control",
    handler = "linedancer.control", file = "linedancer.control", definition = definition, options = {}, limits = {
      frame = REQUEST_MAX, output = ANSWERS_MAX, linger = 1,
    }, max_connections = CONNECTIONS_MAX, exempt = true, mode = MODE,
  }
end

return M
