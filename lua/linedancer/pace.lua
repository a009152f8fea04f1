--- linedancer.pace: how many connections a drain ends at a time, so that their clients do not all come back at once.
local core = require("linedancer.api").core

local M = {}

--- Seconds between two looks at who has become idle.
M.TICK = 0.1

local AT_ONCE = 100 -- so many clients may come back together

--- How many of COUNT idle connections to end now, LEFT seconds before the drain gives up: all would be ended in half of
-- that time.
function M.share(count, left)
  return math.min(count, math.max(AT_ONCE, math.ceil(count * M.TICK / math.max(left / 2, M.TICK))))
end

local QUIET = 0.5 -- seconds after which one that waits is no client that is about to ask

--- May CONN be ended as idle: is it between frames, has it been for a while, and is nothing on its way?
function M.is_idle(conn)
  local handle = conn[1]
  if not core.is_idle(handle) or not core.is_untouched(handle) then return false end
  local _, in_state, silent = core.times(handle)
  return in_state >= QUIET and silent >= QUIET
end

return M
