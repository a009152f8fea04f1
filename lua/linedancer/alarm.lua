--- linedancer.alarm: functions that are called at a time.
--
-- They run from the loop, less than a millisecond late while nothing blocks it, and may not wait. On the virtual clock
-- of tests they run when it comes to their time.
local api = require "linedancer.api"
local errors = require "linedancer.errors"
local log = require "linedancer.log"

local M = {}

local W, core = api.vm, api.core
local alarm, cancel, hook = api.struct.alarm, api.struct.alarm_cancel, api.struct.hook

local set = {} -- by id: { fn, a, b }

--- Call FN(A, B) once, SECONDS from now. Returns an alarm, a number. Raises `nomem`.
function M.set(seconds, fn, a, b)
  local id = alarm(W, seconds > 0 and seconds or 0)
  if id == 0 then error(errors.new "nomem", 2) end
  set[id] = { fn, a, b }
  return id
end

--- Have ALARM not go off. Nothing happens when it has gone off already.
function M.cancel(id)
  if not set[id] then return end
  set[id] = nil
  cancel(W, id)
end

--- Is ALARM still to go off?
function M.is_set(id) return set[id] ~= nil end

local function fire(id)
  local entry = set[id]
  if not entry then return end
  set[id] = nil
  local was = hook(W, 1)
  local ok, err = xpcall(entry[1], debug.traceback, entry[2], entry[3])
  hook(W, was)
  if not ok then log.error("alarm failed", { error = err }) end
end

core.boot { alarm = fire }

return M
