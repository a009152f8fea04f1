--- linedancer.message.answer: waiting for one answer, for a limited time.
local api = require "linedancer.api"
local park = require "linedancer.park"

local M = {}

local W, now = api.vm, api.struct.now

--- Suspend the running coroutine until RECORD.done is true, for at most SECONDS. Returns whether it is.
function M.await(record, seconds)
  local till = tonumber(now(W)) + seconds
  while not record.done do
    local left = till - tonumber(now(W))
    if left <= 0 then return false end
    park.sleep(left)
  end
  return true
end

--- RECORD is done: have CONN, which awaits it, go on.
function M.give(record, conn)
  record.done = true
  park.wake(conn)
end

return M
