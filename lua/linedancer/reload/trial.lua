--- reload/trial: says what came of a version that some new connections have been given.
--
-- The worker that was asked for the trial watches it: each second it adds up, over all workers, how many connections
-- the new version has had, and how many of them it failed. Too many end the trial at once; else it is good when its
-- time is over. If that worker dies, the supervisor ends the trial.
local core = require("linedancer.api").core
local gateway = require "linedancer.gateway"
local gather = require "linedancer.control.gather"
local log = require "linedancer.log"
local reload = require "linedancer.reload"
local tasks = require "linedancer.task"

local M = {}

local TICK = 1 -- seconds

gather.on("trial", function()
  local made, failed = 0, 0
  for _, machine in ipairs(gateway.trial() or {}) do
    made, failed = made + core.made(machine.handle), failed + machine.errors
  end
  return { made = made, failed = failed }
end)

local function count()
  local made, failed = 0, 0
  for _, one in ipairs((gather.all("trial", {}))) do
    made, failed = made + one.result.made, failed + one.result.failed
  end
  return made, failed
end

local function watch(version, seconds, most)
  local made, failed = 0, 0
  for _ = 1, math.ceil(seconds / TICK) do
    tasks.sleep(math.min(TICK, seconds))
    if not gateway.trial() then return end -- somebody has judged
    made, failed = count()
    if failed > made * most then
      return reload.tell(false, ("it failed %d of %d connections, more than %g %%"):format(failed, made, most * 100))
    end
  end
  log.info("trial passed", { version = version, connections = made, failed = failed })
  reload.tell(true)
end

--- VERSION is tried for SECONDS; it may fail MOST of its connections, a fraction of 1.
function M.watch(version, seconds, most) tasks.spawn(watch, version, seconds, most) end

return M
