--- control/trace: shows what one connection does, as it does it.
--
-- A connection that is traced is of a machine of its own, like the one it had, but its states and methods say what they
-- do: so it costs those that are not traced nothing. What it was reading at that time is not shown. It keeps that
-- machine until the trace ends, or it moves to newer code. Events go to the mailbox of the control connection that
-- wants them: { at = seconds, what =, values = }.
--
--   state             it enters a state: its name, and the values for it
--   unpack, read...   what a read returned, by the method's name
--   write, pack...    what it writes
--   moved, closed     the version, or the reason; the trace is over
--
-- Bytes are shown as text where they are, else in hex, 256 at most; or just how many there are, if nobody is to see
-- them.
local alarm = require "linedancer.alarm"
local api = require "linedancer.api"
local bus = require "linedancer.bus"
local bytes = require "linedancer.bytes"
local class = require "linedancer.class"
local conns = require "linedancer.conn.all"
local gather = require "linedancer.control.gather"
local id = require "linedancer.id"
local mailbox = require "linedancer.mailbox"

local M = {}

local core, leaf, W = api.core, api.struct, api.vm
local SHOWN_MAX = 256 -- bytes
local READS = { "unpack", "expect", "peek", "try", "read", "read_some", "read_line", "read_until", "packet", "slice" }
local WRITES = { "write", "pack", "relay", "pipe", "close", "reset", "shutdown" }

local LATER = 1 -- seconds

local traces = {} -- by connection: { machine = its own, base = the one it had, watcher = an id, hidden, alarm }

local function now() return tonumber(leaf.now(W)) end

local function forget(machine)
  if core.users(machine.handle) == 0 then return core.forget_machine(machine.handle) end
  alarm.set(LATER, forget, machine)
end

local function show(trace, value)
  if bytes.is(value) then value = tostring(value) end
  if type(value) ~= "string" then return type(value) == "number" and value or tostring(value) end
  if trace.hidden then return ("<%d bytes>"):format(#value) end
  local part = value:sub(1, SHOWN_MAX)
  local tail = #value > SHOWN_MAX and (" and %d bytes"):format(#value - SHOWN_MAX) or ""
  if not part:find "[^\32-\126\r\n\t]" then return ("%q"):format(part):gsub("\\\n", "\\n"):gsub("\r", "\\r") .. tail end
  return "0x" .. part:gsub(".", function(c) return ("%02x"):format(c:byte()) end) .. tail
end

local function deliver(to, event)
  local conn = id.here[to]
  if conn then mailbox.deliver(conn, nil, event) end
end

bus.on("trace", function(_, to, event) deliver(to, event) end)

local function tell(trace, what, ...)
  local event = { what = what, at = now(), values = {} }
  local count = select("#", ...)
  while count > 1 and select(count, ...) == nil do count = count - 1 end -- a state is always given seven
  for i = 1, count do event.values[i] = show(trace, (select(i, ...))) end
  local slot = id.parse(trace.watcher)
  if slot == bus.slot then deliver(trace.watcher, event) else bus.tell(slot, "trace", trace.watcher, event) end
end

local function stop(conn)
  local trace = traces[conn]
  if not trace then return end
  traces[conn] = nil
  alarm.cancel(trace.alarm)
  if conn.machine == trace.machine and not trace.base.forgotten then
    core.rehouse(conn[1], trace.base.handle, trace.states)
  end
  forget(trace.machine)
end

-- What a traced method returned. It is no code that has to be fast, and LuaJIT 2.1 of 2022 now and then loses some of
-- a list of many lengths that goes through several functions.
local function returned(trace, what, ...)
  tell(trace, what, ...)
  return ...
end

local function methods_of(trace)
  local methods = {}
  for name, method in pairs(conns.methods) do methods[name] = method end
  for _, name in ipairs(READS) do
    local method = conns.methods[name]
    methods[name] = function(conn, ...) return returned(trace, name, method(conn, ...)) end
    jit.off(methods[name])
  end
  for _, name in ipairs(WRITES) do
    local method = conns.methods[name]
    methods[name] = function(conn, ...)
      tell(trace, name, ...)
      return method(conn, ...)
    end
    jit.off(methods[name])
  end
  return methods
end

local function states_of(trace, base)
  local states = {}
  for name, state in pairs(base.states) do
    local function run(conn, ...)
      tell(trace, "state", name, ...)
      return state.run(conn, ...)
    end
    jit.off(run)
    states[name] = { run = run, index = state.index, enter = state.enter }
  end
  return states
end

-- A machine like BASE that tells what it does.
local function machine_for(trace, base)
  local machine = setmetatable({ base = base, states = states_of(trace, base) }, { __index = base })
  function machine.on_close(conn, reason, err)
    if base.on_close then base.on_close(conn, reason, err) end
    tell(trace, "closed", reason)
    traces[conn] = nil
    alarm.cancel(trace.alarm)
    forget(machine)
  end
  machine.handle = core.machine {
    class = class.new(machine, methods_of(trace), conns.facts, "conn"), timeouts = base.timeouts,
    frame = base.limits.frame, output = base.limits.output, linger = base.limits.linger, watches_end = true,
    lifetime = base.limits.lifetime, stall = base.limits.stall, native = base.native,
  }
  return machine
end

local function start(conn, args)
  local base = conn.machine
  local trace = { base = base, watcher = args.watcher, hidden = args.hidden, states = {} }
  for i = 1, #base.names do trace.states[i] = i end
  trace.machine = machine_for(trace, base)
  if not core.rehouse(conn[1], trace.machine.handle, trace.states) then return nil, "no memory" end
  traces[conn] = trace
  trace.alarm = alarm.set(args.seconds, stop, conn)
  tell(trace, "state", conn.state or "-")
  return { conn.id }
end

jit.off(tell)
jit.off(returned)

-- Has CONN, which was traced, moved to newer code? Then the trace is over.
local function look()
  for conn, trace in pairs(traces) do
    if conn.machine ~= trace.machine then
      tell(trace, "moved", conn.version)
      stop(conn)
    end
  end
end

gather.on("trace.start", function(args)
  for _, conn in ipairs(core.conns()) do
    if conn.id == args.id then
      if traces[conn] then return nil, "it is traced already" end
      return start(conn, args)
    end
  end
  return {}
end)

gather.on("trace.look", function()
  look()
  return {}
end)

gather.on("trace.stop", function(args)
  for conn, trace in pairs(traces) do
    if trace.watcher == args.watcher then stop(conn) end
  end
  return {}
end)

--- Trace the connection with ARGS.id for ARGS.seconds, with bytes ARGS.hidden or not: FN(event) is called for each, in
-- CONN, the one that runs. Returns how many there were, or nil and why not. Waits.
function M.run(conn, args, fn)
  args.watcher = conn.id
  local found, problems = gather.list("trace.start", args)
  if not found[1] then return nil, problems[1] or ("there is no connection '%s'"):format(args.id) end
  local till, count, over = now() + args.seconds, 0, false
  while not over and now() < till do
    local _, event = mailbox.receive(math.min(1, math.max(0, till - now())))
    if event then
      count = count + 1
      fn(event)
      over = event.what == "moved" or event.what == "closed"
    else
      gather.all("trace.look", {})
    end
  end
  gather.all("trace.stop", { watcher = args.watcher })
  return count
end

return M
