--- gateway/movers: has connections of former versions look whether they may move at once, a few at a time, so that what
-- others ask is not kept waiting while thousands move.
local alarm = require "linedancer.alarm"
local api = require "linedancer.api"

local M = {}

local BATCH, PAUSE = 50, 0.001 -- connections; seconds

local tell, W, MAIL = api.struct.tell, api.vm, api.MAIL
local pending -- the alarm for the next few, or nil

local function wake(conns, first)
  pending = nil
  local last = math.min(first + BATCH - 1, #conns)
  for i = first, last do
    if conns[i].machine.successor then tell(W, conns[i][1], MAIL) end
  end
  if last < #conns then pending = alarm.set(PAUSE, wake, conns, last + 1) end
end

--- Of CONNS, an array, those that have newer code. What an earlier call has not come to is forgotten.
function M.wake(conns)
  if pending then alarm.cancel(pending) end
  wake(conns, 1)
end

return M
