--- linedancer.testing.fault: what goes wrong in a world.
local address = require "linedancer.address"
local peers = require "linedancer.testing.peer"
local shape = require "linedancer.shape"

local M = {}

--- What goes wrong in a world.
---@class linedancer.testing.Faults
---@field refuse? string address to which connects are refused
---@field timeout? string address to which connects are not answered
---@field delay? number seconds for ld.connect, and for what goes either way on its connections
---@field split? integer bytes that a connection reads at a time
---@field short_writes? integer bytes that a connection writes at a time
---@field partition? integer[] two workers that do not hear each other

local FAULTS = { refuse = true, timeout = true, delay = true, split = true, short_writes = true, partition = true }

--- The faults of a world in which nothing does.
function M.none() return { refuse = {}, timeout = {}, partitions = {}, delay = 0 } end

local function set_partition(world, value)
  shape.typed(value, "table", "partition")
  local a, b = value[1], value[2]
  for _, slot in ipairs { a or 0, b or 0 } do
    if not shape.finite(slot) or slot < 1 or slot > world.workers or slot % 1 ~= 0 then
      shape.refuse("partition names two workers, such as { 1, 2 }")
    end
  end
  if a == b or not b then shape.refuse("partition names two workers, such as { 1, 2 }") end
  world.core:apart(a, b, true)
  table.insert(world.faults.partitions, value)
end

local function set(world, kind, value)
  if kind == "refuse" or kind == "timeout" then
    local target, message = address.target(value)
    if not target then shape.refuse("%s", message) end
    world.faults[kind][target.key] = true
  elseif kind == "partition" then
    set_partition(world, value)
  elseif kind == "delay" then
    world.faults.delay = shape.positive(value, kind)
  else
    world.faults[kind] = shape.whole(value, 1, kind)
  end
end

local set_all = shape.guard(function(world, faults)
  shape.known_keys(faults, FAULTS, "")
  for kind, value in pairs(faults) do set(world, kind, value) end
  return true
end)

local function repace(world)
  for _, entry in ipairs(world.links) do entry.link:pace(world.faults.split, world.faults.short_writes) end
end

--- From now on things go wrong as FAULTS says, any of: refuse = ADDRESS or timeout = ADDRESS, for connects to it;
-- delay = seconds, for ld.connect, and for what goes either way on its connections; split = bytes that a connection
-- reads at a time; short_writes = bytes that it writes at a time; partition = { A, B }, two workers that do not hear
-- each other.
---@function world:fault
---@param faults linedancer.testing.Faults what goes wrong
---@return linedancer.testing.World world
function M.fault(world, faults)
  local ok, message = set_all(world, faults)
  if not ok then error(message, 2) end
  repace(world)
  return world
end

--- End all faults: what was held back is delivered.
---@function world:heal
---@return linedancer.testing.World world
function M.heal(world)
  for _, pair in ipairs(world.faults.partitions) do world.core:apart(pair[1], pair[2], false) end
  world.faults = M.none()
  repace(world)
  return world:run()
end

--- Worker SLOT, not the first, dies as by kill -9.
---@function world:kill
---@param slot integer worker, from 2 on
---@return linedancer.testing.World world
function M.kill(world, slot)
  if slot == 1 then error("worker 1 is the test itself, and cannot be killed", 2) end
  if not world.core:incarnation(slot) then error("there is no worker " .. tostring(slot) .. " to kill", 2) end
  return world:guarded(function()
    world.network:lose(slot)
    peers.lose(world, slot)
    world.core:kill(slot)
  end)
end

return M
