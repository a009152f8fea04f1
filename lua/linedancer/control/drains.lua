--- control/drains: has the connections of a listener or handler finish, or of the whole gateway.
local bus = require "linedancer.bus"
local core = require("linedancer.api").core
local gather = require "linedancer.control.gather"
local gateway = require "linedancer.gateway"
local log = require "linedancer.log"
local mailbox = require "linedancer.mailbox"
local pace = require "linedancer.pace"
local seat = require "linedancer.seat"
local suggest = require "linedancer.suggest"
local tasks = require "linedancer.task"

local M = {}

local DEADLINE, DEADLINE_MAX = 30, 86400 -- seconds, unless the request has one
local DEFAULT = 2 ^ 32 - 1 -- LD_DRAIN_DEFAULT

local function is_meant(part, args)
  return part.listener.name == args.listener or part.definition.name == args.handler
end

local function each_conn(args, fn)
  for _, conn in ipairs(core.conns()) do
    if conn.listener == args.listener or conn.machine.name == args.handler then fn(conn) end
  end
end

-- Accept no more, or again.
gather.on("drain.hold", function(args)
  local _, _, parts = gateway.current()
  for _, part in ipairs(parts) do
    if is_meant(part, args) then core.pause(part.number, args.on) end
  end
  if args.on then each_conn(args, function(conn)
    if conn.machine.on_drain then mailbox.drain(conn, args.deadline) end
  end) end
  return {}
end)

-- End a share of those that are idle. How many are open.
gather.on("drain.step", function(args)
  local idle, open = {}, 0
  each_conn(args, function(conn)
    open = open + 1
    if not conn.machine.on_drain and pace.is_idle(conn) then idle[#idle + 1] = conn end
  end)
  for i = 1, pace.share(#idle, args.left) do idle[i]:close "drain" end
  return { open = open }
end)

-- End those that are left; how many there were, by state.
gather.on("drain.cut", function(args)
  local states = {}
  each_conn(args, function(conn)
    local state = conn.state or "-"
    states[state] = (states[state] or 0) + 1
    conn:close "drain"
  end)
  return { states = states }
end)

local function open_in(results)
  local open = 0
  for _, one in ipairs(results) do open = open + (one.result and one.result.open or 0) end
  return open
end

local function cut(args)
  local states = {}
  for _, one in ipairs((gather.all("drain.cut", args))) do
    for state, count in pairs(one.result and one.result.states or {}) do
      states[state] = (states[state] or 0) + count
    end
  end
  return states
end

local function check_target(request)
  local _, _, parts = gateway.current()
  local names = {}
  for _, part in ipairs(parts) do
    if is_meant(part, request) then return true end
    names[#names + 1] = request.listener and part.listener.name or part.definition.name
  end
  local kind = request.listener and "listener" or "handler"
  return nil, suggest.unknown(kind, request.listener or request.handler, names)
end

-- All workers, or that in one slot, drain and stop; in the place of that one there will be another. See
-- LD_CONTROL_DRAIN in core/seat.h.
local function drain_workers(slot, seconds)
  if bus.slot == 0 then
    gateway.heed(seconds)
    core.stop()
  else
    core.ask("s" .. seat.u16(slot) .. seat.u32(seconds and math.ceil(seconds) or DEFAULT))
  end
  return { draining = true, worker = slot > 0 and slot or nil }
end

local function drain_worker(request)
  local _, _, slots = core.worker()
  local slot = request.worker
  if request.listener or request.handler or request.cancel then
    return nil, "a worker drains as a whole, and to its end: worker goes with deadline alone"
  end
  if slots == 0 then return nil, "there are no workers" end
  if not (slot >= 1 and slot <= slots and slot % 1 == 0) then return nil, "worker must be from 1 to " .. slots end
  return drain_workers(slot, request.deadline)
end

--- See control/commands. Waits until all have ended, or been cut.
function M.drain(request)
  local seconds = request.deadline
  if seconds and not (seconds >= 0 and seconds <= DEADLINE_MAX) then
    return nil, "deadline must be from 0 to " .. DEADLINE_MAX
  end
  if request.worker then return drain_worker(request) end
  local args = { listener = request.listener, handler = request.handler, deadline = request.deadline or DEADLINE }
  if not args.listener and not args.handler then
    if request.cancel then return nil, "the drain of a whole gateway cannot be cancelled" end
    return drain_workers(0, request.deadline)
  end
  local ok, problem = check_target(request)
  if not ok then return nil, problem end
  args.on = not request.cancel
  gather.all("drain.hold", args)
  if request.cancel then return { cancelled = true } end
  log.info("draining", { listener = args.listener, handler = args.handler, seconds = args.deadline })
  for step = 0, math.ceil(args.deadline / pace.TICK) do
    args.left = args.deadline - step * pace.TICK
    if open_in((gather.all("drain.step", args))) == 0 then return { cut = {} } end
    tasks.sleep(pace.TICK)
  end
  return { cut = cut(args) }
end

return M
