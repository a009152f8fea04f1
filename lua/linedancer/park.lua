--- linedancer.park: suspends the coroutine that runs until somebody wakes it, or for a time.
--
-- What waits for anything but bytes is built on it: sleep, receive, join, call, connect.
local alarm = require "linedancer.alarm"
local api = require "linedancer.api"
local await = require "linedancer.await"
local errors = require "linedancer.errors"

local M = {}

local W, R, PARK = api.vm, api.result, api.PARK
local leaf, by_slot = api.struct, api.core.by_slot
local running, may_wait, unpark, entangle, unsent =
  leaf.running, leaf.may_wait, leaf.unpark, leaf.entangle, leaf.unsent
local HIGH_WATER = api.core.high_water -- bytes of output above which a coroutine is held
local yield = coroutine.yield

local function conn_of(handle)
  return handle ~= 0 and by_slot[handle % 2 ^ 24 + 1] or nil
end

local acting -- the connection whose hook runs though its coroutine is over

--- The connection or task whose coroutine or hook runs, or nil: while code is loaded, and in a plain script.
function M.current()
  return acting or conn_of(running(W))
end

--- CONN (or nil) is current() from now on, as its hook runs. Returns who was.
function M.act(conn)
  local was = acting
  acting = conn
  return was
end

local function waiting()
  local conn = conn_of(may_wait(W))
  if not conn then error(errors.new("hook", "only a state or a task can wait"), 0) end
  return conn
end

--- The connection or task whose coroutine runs, and is about to wait. Raises `hook` where nothing may wait. One with
-- more output than the high watermark is held until its peer has taken that.
function M.waiting()
  local conn = waiting()
  if unsent(W, conn[1]) > HIGH_WATER then conn:flush() end
  return conn
end

local function expired(handle) unpark(W, handle) end

--- Suspend CONN, whose coroutine runs, until it is woken, one of the reads it has recorded is done, or SECONDS (nil:
-- any number) have passed. Returns the handle of the connection that was read, or 0; the status; and whether it was
-- the time. conn[9] is the alarm meanwhile.
function M.suspend(conn, seconds)
  local late = false
  if seconds then
    conn[9] = alarm.set(seconds, expired, conn[1])
    entangle(W, conn[1])
  end
  yield(PARK)
  local source, st = R.source, R.status
  if seconds then
    late = not alarm.is_set(conn[9])
    M.forget(conn)
  end
  return source, st, late
end

--- Suspend the running coroutine until wake() or for SECONDS (nil: for as long as it takes). True when it was woken,
-- maybe for another reason than the caller's, so ask again; false at the time. Raises `hook` where nothing may wait,
-- and the connection's error when it ends meanwhile.
function M.sleep(seconds)
  local conn = waiting()
  local _, st, late = M.suspend(conn, seconds)
  if st ~= 0 then await.raise(conn, st) end
  return not late
end

--- Have CONN's coroutine, if it is parked, go on soon.
function M.wake(conn) unpark(W, conn[1]) end

--- The coroutine of CONN naps no more: it goes on, or was given up.
function M.forget(conn)
  if not conn[9] then return end
  alarm.cancel(conn[9])
  conn[9] = nil
end

local hear = {} -- functions, see on_give_up

--- Call FN(conn) whenever the coroutine of a connection is given up, wherever it waits, for another one.
function M.on_give_up(fn) hear[#hear + 1] = fn end

--- The coroutine of CONN is given up.
function M.give_up(conn)
  M.forget(conn)
  for i = 1, #hear do hear[i](conn) end
end

return M
