--- gateway/movers: can connections of a former version move, and have them look whether they may at once: a few at a
-- time, so that what others ask is not kept waiting while thousands move.
local alarm = require "linedancer.alarm"
local api = require "linedancer.api"
local suggest = require "linedancer.suggest"

local M = {}

local BATCH, PAUSE = 50, 0.001 -- connections; seconds

local tell, W, MAIL = api.struct.tell, api.vm, api.MAIL
local pending -- the alarm for the next few, or nil

-- States of MACHINE that connections are in, with how many.
local function states_in_use(former)
  local counts = {}
  for _, conn in ipairs(api.core.conns()) do
    local machine = conn.machine.base or conn.machine -- that of one that is traced is its own
    local state = (machine == former or machine.successor == former) and conn.state
    if state then counts[state] = (counts[state] or 0) + 1 end
  end
  return counts
end

--- Could the connections of machine FORMER go on in NEXT_MACHINE? True, or nil and why not.
function M.check(former, next_machine)
  if next_machine.upgrade then return true end
  local counts = states_in_use(former)
  for _, state in ipairs(suggest.keys(counts)) do
    if not next_machine.states[state] then
      return nil, ("%s: there is no state '%s', which %d of its connections %s in, and no upgrade()"):format(
        next_machine.name, state, counts[state], counts[state] == 1 and "is" or "are")
    end
  end
  return true
end

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
