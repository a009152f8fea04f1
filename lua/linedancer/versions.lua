--- linedancer.versions: the machines of this worker, the newest and those that connections still use.
local core = require("linedancer.api").core

local M = {}

local machines = {} -- from the oldest to the newest

--- MACHINE serves from now on, for the listener called KEY, besides what there is.
function M.add(machine, key)
  machine.key = key
  machines[#machines + 1] = machine
end

--- MACHINE takes the place of FORMER, and of those that FORMER took the place of.
function M.supersede(former, machine)
  for _, older in ipairs(machines) do
    if older == former or older.successor == former then older.successor = machine end
  end
end

--- No newer one takes MACHINE's place: its listener is gone.
function M.retire(machine) machine.retired = true end

--- Forget those that nothing uses any more.
function M.sweep()
  local kept = {}
  for _, machine in ipairs(machines) do
    if (machine.successor or machine.retired) and core.users(machine.handle) == 0 then
      core.forget_machine(machine.handle)
      machine.forgotten = true
    else
      kept[#kept + 1] = machine
    end
  end
  machines = kept
end

--- What there is: an array of { listener, handler, version, current (false: superseded, retired, or on trial), trial,
-- connections, failures = of upgrades to it }.
function M.list()
  M.sweep()
  local list = {}
  for i, machine in ipairs(machines) do
    list[i] = {
      listener = machine.key, handler = machine.name, version = machine.version,
      current = not (machine.successor or machine.retired or machine.trial), trial = machine.trial,
      connections = core.users(machine.handle),
      failures = machine.failures,
    }
  end
  return list
end

return M
