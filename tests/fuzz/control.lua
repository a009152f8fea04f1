--- What the fuzzer of the control socket calls. See support/play.lua.
--
-- What is around a worker, its gateway and the program, is not there: what would end or reload it does nothing.
local play = require "tests.fuzz.support.play"
local commands = require "linedancer.control.commands"
local control = require "linedancer.control"
local core = require("linedancer.api").core
local gateway = require "linedancer.gateway"
local gather = require "linedancer.control.gather"
local handler = require "linedancer.handler"
local reload = require "linedancer.reload"
local t = require "linedancer.testing"

local M = {}

local config = { limits = { connections = 10, turn = 0.1 }, drain = 30 }
local part = {
  number = 0, listener = { name = "door", address = { text = ":1" } },
  definition = { name = "echo", commands = { add = function(a, b) return { a, b } end } },
}

function gateway.current() return 1, config, { part } end
function gateway.heed() end
function reload.reload() return {}, 1 end
reload.try, reload.reload_unconfirmed, reload.judge = reload.reload, reload.reload, function() return 1 end
core.stop, core.ask, core.pause = function() end, function() end, function() end
core.port = function() return 1, 2, false end
core.log_level = function() end
gather.on("eval", function(args) return { args.code } end)

-- The handler as it is written, before it is made ready.
local function written()
  local define, value = handler.define, nil
  handler.define = function(given)
    value = given
    return true
  end
  control.listener("/x").definition()
  handler.define = define
  return value
end

local subject = written()

-- Requests whose answer is not the same each time: what they say of time, memory and themselves.
local VARIES = { status = true, conns = true, kill = true, trace = true, versions = true, drain = true }
for name in pairs(VARIES) do
  local command = commands[name]
  commands[name] = function(...)
    local result, problem = command(...)
    if result == nil then return nil, (problem:gsub("%d+", "N")) end
    return name
  end
end

local function ask(script)
  local world, said = t.world {}, {}
  local peer = world:connect(subject)
  for _, piece in ipairs(script) do peer:send(piece) end
  peer:finish()
  world:advance(7200) -- what waits for events or connections gives up
  said.sent, said.reason = peer:sent(), peer.reason
  play.check(peer.error)
  world:close()
  if said.sent:find "stack traceback" then error(said.sent, 0) end
  return said
end

--- Requests, a line each.
function M.socket(input)
  local bytes, pieces = play.cut(input)
  play.same(ask { bytes }, ask(pieces), { "sent", "reason" })
end

return M
