--- linedancer.migrate: moves a connection to a newer version of its handler.
--
-- A machine that has been superseded has a `successor`. Its connections go there at their next transition; or at once,
-- by entering their state again, when they wait in it for a frame and have read and written nothing since they entered
-- it, without values.
--
-- conn[11]: its state was given values; conn[12]: the machine that it could not move to.
local api = require "linedancer.api"
local errors = require "linedancer.errors"
local log = require "linedancer.log"

local M = {}

local core = api.core

-- Of each state of NEXT, which one of MACHINE it was, or 0.
local function former_states(machine, next_machine)
  local index, former = {}, {}
  for i, name in ipairs(machine.names) do index[name] = i end
  for i, name in ipairs(next_machine.names) do former[i] = index[name] or 0 end
  return former
end

local function fields_of(conn)
  local fields = {}
  for key, value in next, conn do
    if type(key) ~= "number" then fields[key] = value end
  end
  return fields
end

local function put_back(conn, fields)
  for key in next, fields_of(conn) do rawset(conn, key, nil) end
  for key, value in next, fields do rawset(conn, key, value) end
end

local function refuse(conn, machine, name, fields, err)
  local next_machine = conn.machine
  put_back(conn, fields)
  core.rehouse(conn[1], machine.handle, former_states(next_machine, machine))
  rawset(conn, 12, next_machine)
  next_machine.failures = next_machine.failures + 1
  log.error("upgrade failed", {
    conn = conn.id, handler = machine.name, state = name, from = machine.version, to = next_machine.version,
    error = tostring(errors.is(err) and err.message or err),
  })
  return name
end

-- What upgrade() returned after OK: the state to go to, in a table with its values when it named one.
local function outcome(name, ok, chosen, ...)
  if not ok then return nil, chosen end
  if chosen == nil then return name end
  return chosen, nil, { chosen, ... }
end

--- Is there newer code that CONN would move to at a transition? For loops within a state, which keep it from that.
---@function conn:stale
---@return boolean is_stale
function M.is_stale(conn)
  local successor = conn.machine.successor
  return successor and rawget(conn, 12) ~= successor or false
end

--- May CONN, which waits, move at once?
function M.may_move(conn)
  return M.is_stale(conn) and not rawget(conn, 11) and core.is_fresh(conn[1])
end

--- CONN, of MACHINE, is about to enter state NAME: have it do so in the successor, unless its upgrade fails. CALL_HOOK
-- runs a hook as pcall does. Returns the state to enter, or nil when upgrade() named another one: conn[7] has it.
function M.move(conn, machine, name, call_hook)
  local successor = machine.successor
  if rawget(conn, 12) == successor then return name end
  local fields = fields_of(conn)
  if not core.rehouse(conn[1], successor.handle, former_states(machine, successor)) then return name end
  local state, err, chosen = name, nil, nil
  if successor.upgrade then state, err, chosen = outcome(name, call_hook(successor.upgrade, conn, machine.version)) end
  if state and not successor.states[state] then
    err = ("there is no state '%s'"):format(tostring(state))
    state = nil
  end
  if not state then return refuse(conn, machine, name, fields, err) end
  if not chosen then return name end
  rawset(conn, 7, chosen)
end

return M
