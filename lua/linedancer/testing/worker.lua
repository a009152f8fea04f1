--- linedancer.testing.worker: what a world does in one of its workers; see linedancer.testing.world.
--
-- The state of the test calls `ops` itself; the other workers are states of their own, in which the core calls serve()
-- with a call as bytes.
local codec = require "linedancer.codec"
local connect = require "linedancer.connect"
local keep = require "linedancer.keep"
local core = require("linedancer.api").core
local log = require "linedancer.log"
local machine = require "linedancer.machine"
local mailbox = require "linedancer.mailbox"
local origin = require "linedancer.testing.origin"
local stage = require "linedancer.testing.stage"
local tasks = require "linedancer.task"
require "linedancer"

local M = {}

local ops = {}

--- By name; what they take and return is plain data, but that a first result may be a machine.
M.ops = ops

local LOG_TEXT = 500 -- bytes of what goes from one state to another

local plays = {} -- by number
local started = {} -- handlers whose start() has been called
local dials, dial_count = {}, 0 -- by number: { machine, parent, done }
local ask -- tells the world: "dial", number, target; "cancel", number; "log", level, text, fields
local real = { dial = connect.dial, cancel = connect.cancel }

local function dial(target, made, parent, done)
  dial_count = dial_count + 1
  dials[dial_count] = { machine = made, parent = parent, done = done }
  ask("dial", dial_count, target)
  return dial_count
end

local function cancel(number)
  dials[number] = nil
  ask("cancel", number)
end

--- The world begins: it is told by TELL(kind, ...).
function M.begin(tell)
  ask = tell
  connect.dial, connect.cancel = dial, cancel
end

--- The world ends: no handler hears of it.
function M.silence()
  for _, play in pairs(plays) do stage.silence(play) end
  tasks.cancel_all()
end

--- All its connections are gone.
function M.finish()
  connect.dial, connect.cancel = real.dial, real.cancel
  for _, play in pairs(plays) do stage.forget(play) end
  keep.clear()
  plays, started, dials = {}, {}, {}
end

local function start(handler, options)
  local hook = type(handler) == "table" and handler.start
  if not hook or started[handler] then return end
  started[handler] = true
  local ok, err = pcall(hook, { options })
  if not ok then error("start: " .. tostring(err), 0) end
end

--- Make HANDLER ready as play NUMBER: { value = it } or { origin = where it is to be had }. OPTS are those of
-- linedancer.testing.stage. Returns its machine.
function ops.open(number, handler, opts)
  if handler.origin then handler = origin.load(handler.origin) else handler = handler.value end
  local play, message = stage.make(handler, opts)
  if not play then error(message, 0) end
  start(handler, play.machine.options)
  plays[number] = play
  return play.machine.handle
end

local function plain_error(err)
  return err and {
    code = err.code, message = err.message, state = err.state, offset = err.offset, field = err.field,
    conn = err.conn, traceback = err.traceback,
  }
end

--- How play NUMBER is doing, whose connection has HANDLE and STATUS: its reason, state and error.
function ops.facts(number, handle, status)
  local play = plays[number]
  local run, conn = play.run, core.conn_of(handle)
  if status == "ending" and conn then return conn[2], nil, plain_error(conn[3]) end
  local index = status == "open" and core.state_of(handle)
  return run.reason, index and play.machine.names[index] or nil, plain_error(run.error)
end

--- The id of the connection with HANDLE.
function ops.id(handle) return core.conn_of(handle).id end

--- Deliver MESSAGE.
function ops.message(handle, from, message, topic)
  local conn = core.conn_of(handle)
  if not conn then return nil, "gone" end
  return mailbox.deliver(conn, from, message, topic)
end

--- The worker begins to drain, and gives up in SECONDS.
function ops.drain(seconds) machine.drain(seconds) end

--- The machine of dial NUMBER's connection to be, and its parent; nil when nobody wants it any more.
function ops.dialing(number)
  local wanted = dials[number]
  if not wanted or not core.conn_of(wanted.parent) then return nil end
  return wanted.machine, wanted.parent
end

--- Dial NUMBER is over: its connection has HANDLE; or none, and CODE and MESSAGE say why.
function ops.dialed(number, handle, code, message)
  local wanted = dials[number]
  dials[number] = nil
  if not wanted then return end
  if handle then wanted.done(core.conn_of(handle)) else wanted.done(nil, code, message) end
end

-- In a state of its own: the world's test sees what is logged.
local function forward_log()
  for _, level in ipairs { "debug", "info", "warn", "error" } do
    log[level] = function(text, fields)
      local texts = {}
      for name, value in pairs(fields or {}) do texts[tostring(name)] = tostring(value):sub(1, LOG_TEXT) end
      local bytes = codec.encode("log", level, tostring(text), texts)
      core.ask("T" .. (#bytes < 2000 and bytes or codec.encode("log", level, tostring(text):sub(1, LOG_TEXT), {})))
    end
  end
end

local function begun_here()
  M.begin(function(...) core.ask("T" .. codec.encode(...)) end)
  forward_log()
end

local function reply(first, ...)
  if type(first) ~= "userdata" then return (assert(codec.encode(first, ...))) end
  return codec.encode(nil, ...), first
end

local function call(op, ...) return reply(ops[op](...)) end

--- A call, as bytes: its results as bytes, and a machine or nil.
function M.serve(bytes)
  if not ask then begun_here() end
  return call(codec.decode(bytes))
end

return M
