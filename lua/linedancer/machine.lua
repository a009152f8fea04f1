--- linedancer.machine: runs a handler's states.
--
-- A machine is a handler's definition with the options of one listener. Its class is the metatable of its connections.
-- The core calls run() in a connection's coroutine, finish() when that is over, closed() when the transport is too,
-- and drain() to have connections come to their end.
local api = require "linedancer.api"
local class = require "linedancer.class"
local conns = require "linedancer.conn.all"
local counter = require "linedancer.counter"
local errors = require "linedancer.errors"
local log = require "linedancer.log"
local mailbox = require "linedancer.mailbox"
local migrate = require "linedancer.migrate"
local pace = require "linedancer.pace"
local park = require "linedancer.park"
local raise, failure = require("linedancer.await").raise, require("linedancer.await").failure
local release = require "linedancer.release"
local shape = require "linedancer.shape"
local suggest = require "linedancer.suggest"
require "linedancer.coroutines"

local M = {}

local W, R, core, leaf, status = api.vm, api.result, api.core, api.struct, api.status
local set_hook = leaf.hook
local AGAIN, MOVED, WAIT = status.AGAIN, status.MOVED, api.WAIT
local yield = coroutine.yield
local methods, facts = conns.methods, conns.facts

-- Assigned once, so that a trace knows which function it is.
local enter_state = api.jit and leaf.enter or function(_, handle, index) return core.enter(handle, index) end

--- A machine for DEFINITION (of linedancer.handler) with OPTIONS (complete) and LIMITS { frame, output: bytes; linger:
-- seconds }. LISTENER, a string, is what conn.listener says; VERSION (1), a number, what conn.version does.
function M.new(definition, options, limits, listener, version)
  local machine = {
    name = definition.name or "?", initial = definition.initial, names = definition.state_names, states = {},
    options = options, limits = limits, version = version or 1, listener = listener, failures = 0, errors = 0,
    native = definition.native,
    successor = false, -- a field that is there is found faster, at each transition
    on_error = definition.on_error, on_close = definition.on_close, on_drain = definition.on_drain,
    on_message = definition.on_message, on_timer = definition.on_timer, upgrade = definition.upgrade,
  }
  local timeouts = {}
  for index, name in ipairs(machine.names) do
    machine.states[name] = {
      run = definition.states[name], index = index - 1, enter = definition.enter and definition.enter[name] or false,
    }
    timeouts[index] = definition.timeouts[name] or {}
  end
  machine.timeouts = timeouts
  machine.handle = core.machine {
    class = class.new(machine, methods, facts, "conn"), timeouts = timeouts,
    frame = limits.frame, output = limits.output, linger = limits.linger, lifetime = limits.lifetime,
    stall = limits.stall, watches_end = machine.on_close ~= nil or definition.native ~= nil,
    native = definition.native, in_bursts = true,
  }
  return machine
end

-- Run a hook of CONN: it may write, not wait. Returns what pcall returns.
local function call_hook(fn, conn, ...)
  local was, actor = set_hook(W, 1), park.act(conn)
  local function done(...)
    set_hook(W, was)
    park.act(actor)
    return ...
  end
  return done(pcall(fn, conn, ...))
end

-- Only on_error can name a state when there is none to come FROM.
local function who(from) return from and "state " .. from or "on_error" end

local function unknown_state(machine, from, name)
  if type(name) ~= "string" then
    error(("%s returned %s: a state returns the name of the next one, or nothing"):format(who(from),
      shape.describe(name)), 0)
  end
  error(("%s returned '%s', which is no state%s"):format(who(from), name, suggest.hint(name, machine.names)), 0)
end

local function too_many(from)
  error(who(from) .. " returned more than 7 values for the next state: use a table", 0)
end

local function run_enter(state, conn, from)
  local ok, err = call_hook(state.enter, conn, from)
  if not ok then error(err, 0) end
end

-- A hook has named the state after this one.
local function moved(conn)
  local next_state = conn[7]
  conn[7] = nil
  return unpack(next_state, 1, table.maxn(next_state))
end

-- Enter state NAME: one call into the core, which starts its deadlines. Returns its function, or MOVED when a hook
-- wants another state.
local function enter(conn, name)
  local machine = conn.machine
  if machine.successor then
    name = migrate.move(conn, machine, name, call_hook)
    if not name then return MOVED end
    machine = conn.machine
  end
  local state = machine.states[name]
  if not state then unknown_state(machine, conn.state, name) end
  local from = state.enter and conn.state
  local st = enter_state(W, conn[1], state.index)
  if st ~= 0 then
    if st == MOVED then return MOVED end
    if st ~= AGAIN then raise(conn, st) end
  end
  if state.enter then run_enter(state, conn, from or nil) end
  if st == AGAIN then
    yield(WAIT)
    if R.status ~= 0 then raise(conn, R.status) end
    if conn[7] then return MOVED end
  end
  return state.run
end

-- A state that was given values cannot be entered again without them.
local function are_values(a, b, c, d, e, f, g)
  return a ~= nil or b ~= nil or c ~= nil or d ~= nil or e ~= nil or f ~= nil or g ~= nil
end

-- A coroutine's body: from state NAME (the initial one when nil) until a state returns nothing. Its frame stays below
-- every wait, so it has few locals: a thread begins with 40 slots, and doubling them costs 440 bytes.
local function run(conn, name, a, b, c, d, e, f, g, extra)
  if name == nil then
    name = conn.machine.initial
  else
    conn[2], conn[3] = nil, nil -- on_error goes on: it has not ended after all
    conn[11] = nil
  end
  local has_values = false
  while name ~= nil do
    if extra ~= nil then too_many(conn.state) end
    local state = enter(conn, name)
    if state ~= MOVED then
      if are_values(a, b, c, d, e, f, g) ~= has_values then
        has_values = not has_values
        rawset(conn, 11, has_values or nil)
      end
      name, a, b, c, d, e, f, g, extra = state(conn, a, b, c, d, e, f, g)
    end
    if (state == MOVED or name == nil) and conn[7] then
      name, a, b, c, d, e, f, g = moved(conn)
    end
  end
end

local function describe(conn)
  return { conn = conn.id, peer = conn.peer, handler = conn.machine.name }
end

local function report(conn, err)
  local fields = describe(conn)
  fields.state, fields.code, fields.limit = err.state or conn.state, err.code, err.limit
  fields.error = err.message
  fields.traceback = err.traceback
  log[err.traceback and "error" or "info"]("connection failed", fields)
end

-- What the end of a connection is called: the text given, else an error code.
local function reason_of(err)
  if err.code == "fail" then return err.message end
  return err.code
end

-- What is the peer's or the network's doing, and no mistake of the code.
local BY_PEER = { timeout = true, reset = true, closed = true, truncated = true }

local function failed(conn, err)
  local machine = conn.machine
  if not BY_PEER[err.code] then machine.errors = machine.errors + 1 end
  if err.limit then counter.get("limit." .. err.limit):add() end
  report(conn, err)
  if not machine.on_error then return nil end
  local result = { call_hook(machine.on_error, conn, err) }
  if result[1] then
    if result[2] ~= nil then park.give_up(conn) end
    return unpack(result, 2, table.maxn(result))
  end
  local fields = describe(conn)
  fields.error = tostring(result[2])
  log.error("on_error failed", fields)
end

--- The coroutine of CONN is over: ERR is nil, or the name of a status when the core gave up on it, in FIELD of a
-- frame, or, with a TRACEBACK, what it raised. May return a state to go on in, and its values.
local function finish(conn, err, traceback, field)
  if conn.machine.finish then return conn.machine.finish(conn, err, traceback) end
  if err == nil and not traceback then
    conn[2] = conn[2] or "done"
    if core.logs "debug" then
      local fields = describe(conn)
      fields.reason = conn[2]
      log.debug("connection ended", fields)
    end
    return nil
  end
  err = traceback and errors.wrap(err, conn, traceback) or failure(conn, err, field)
  if err.code == "closed" and conn[2] then return nil end -- as the handler asked for
  conn[2], conn[3] = reason_of(err), err
  return failed(conn, err)
end

local function call_on_close(conn)
  local ok, err = call_hook(conn.machine.on_close, conn, conn[2] or "done", conn[3])
  if ok then return end
  local fields = describe(conn)
  fields.error = tostring(err)
  log.error("on_close failed", fields)
end

--- The transport of CONN has closed.
local function closed(conn)
  if conn.machine.on_close then call_on_close(conn) end
  park.forget(conn)
  release.run(conn, conn[2] or "done")
end

local function tell_to_drain(conn, left)
  if conn[4] then return end
  conn[4] = true
  mailbox.drain(conn, left)
end

-- Called again and again while the gateway drains, LEFT seconds before it gives up: tell each connection once, end some
-- of those that are between frames, and at last all.
local function drain(left)
  local idle = {}
  for _, conn in ipairs(core.conns()) do
    if left <= 0 then
      conn:close "drain"
    elseif conn.machine.on_drain then
      tell_to_drain(conn, left)
    elseif pace.is_idle(conn) then
      idle[#idle + 1] = conn
    end
  end
  for i = 1, pace.share(#idle, left) do idle[i]:close "drain" end
end

core.boot { run = run, finish = finish, closed = closed, drain = drain }

M.drain = drain

return M
