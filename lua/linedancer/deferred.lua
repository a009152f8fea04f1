--- linedancer.deferred: a coroutine waits for what the core answers later, by a function.
local park = require "linedancer.park"
local release = require "linedancer.release"

local M = {}

local pending = {} -- by connection or task: what its coroutine waits for

-- CONN has ended, or its coroutine has been given up: nobody waits.
local function abandon(conn)
  local wait = pending[conn]
  if not wait then return end
  pending[conn] = nil
  if not wait.over then
    wait.cancel(wait.request)
  elseif wait.value then
    wait.drop(wait.value)
  end
end

park.on_give_up(abandon)

--- Wait, as SELF, whose coroutine runs, for what START(done) asks for: that returns a request, or nil, a code and a
-- message, and calls done(value) or done(nil, code, message) later, once. Returns the same. When nobody waits any more
-- CANCEL(request) is called, or, when the answer was there, DROP(value).
function M.wait(self, start, cancel, drop)
  abandon(self)
  local wait = { cancel = cancel, drop = drop }
  local function done(value, code, message)
    wait.over, wait.value, wait.code, wait.message = true, value, code, message
    park.wake(self)
  end
  local code, message
  wait.request, code, message = start(done)
  if not wait.request then return nil, code, message end
  pending[self] = wait
  release.add(self, abandon)
  while not wait.over do park.sleep() end
  pending[self] = nil
  return wait.value, wait.code, wait.message
end

return M
