--- linedancer.park: suspends the coroutine that runs until somebody wakes it, or for a time.
--
-- What waits for anything but bytes is built on it: sleep, receive, join, call, connect.
local alarm = require "linedancer.alarm"
local api = require "linedancer.api"
local errors = require "linedancer.errors"

local M = {}

local W, R, PARK = api.vm, api.result, api.PARK
local leaf, by_slot = api.struct, api.core.by_slot
local running, may_wait, unpark, entangle = leaf.running, leaf.may_wait, leaf.unpark, leaf.entangle
local yield = coroutine.yield

local function conn_of(handle)
  return handle ~= 0 and by_slot[handle % 2 ^ 24 + 1] or nil
end

--- The connection or task whose coroutine or hook runs, or nil: while code is loaded, and in a plain script.
function M.current()
  return conn_of(running(W))
end

--- The connection or task whose coroutine runs. Raises `hook` where nothing may wait.
function M.waiting()
  local conn = conn_of(may_wait(W))
  if not conn then error(errors.new("hook", "only a state or a task can wait"), 3) end
  return conn
end

-- conn[9] is what ends the nap early if CONN ends: see M.forget.
local function expired(handle) unpark(W, handle) end

--- Suspend the running coroutine until wake() or for SECONDS (nil: for as long as it takes). True when it was woken,
-- maybe for another reason than the caller's, so ask again; false at the time. Raises `hook` where nothing may wait,
-- and the connection's error when it ends meanwhile.
function M.sleep(seconds)
  local conn = M.waiting()
  local handle = conn[1]
  if seconds then
    conn[9] = alarm.set(seconds, expired, handle)
    entangle(W, handle)
  end
  yield(PARK)
  local st, late = R.status, false
  if seconds then
    late = not alarm.is_set(conn[9])
    M.forget(conn)
  end
  if st ~= 0 then require("linedancer.await").raise(conn, st) end
  return not late
end

--- Have CONN's coroutine, if it is parked, go on soon.
function M.wake(conn) unpark(W, conn[1]) end

--- The coroutine of CONN naps no more: it goes on, or was abandoned.
function M.forget(conn)
  if not conn[9] then return end
  alarm.cancel(conn[9])
  conn[9] = nil
end

return M
