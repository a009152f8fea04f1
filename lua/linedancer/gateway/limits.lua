--- gateway/limits: the limits of a config that serves: told to the core, changed while it runs, and counted when they
-- are met.
local core = require("linedancer.api").core
local counter = require "linedancer.counter"
local handler = require "linedancer.handler"
local ports = require "linedancer.gateway.ports"
local shape = require "linedancer.shape"

local M = {}

local WHOLE = { connections = "whole", turn = "seconds or 0", memory = "memory or 0" } -- of the whole worker
local PER_SOURCE = { connections = "whole or 0", rate = "number or 0", bytes = "number or 0" }
local COUNTED = { "turn", "frame", "output", "lifetime", "stall", "idle", "total" } -- by linedancer.machine

--- The limits of connections of DEFINITION on LISTENER, of CONFIG: those that a listener sets come before the config's.
function M.of(definition, listener, config)
  local merged = {}
  for key, value in pairs(config.limits) do merged[key] = value end
  if listener.exempt then merged.lifetime, merged.stall = nil, nil end
  for key, value in pairs(listener.limits or {}) do merged[key] = value end
  return handler.limits(definition, merged)
end

--- Tell the core what CONFIG limits; DRAIN instead of its own seconds.
function M.heed(config, drain)
  core.limit_sources(config.limits.per_source or {})
  core.heed(M.terms(config, drain))
end

--- What core.run() and core.heed() take for CONFIG.
function M.terms(config, drain)
  local limits = config.limits
  return drain or config.drain or 30, ports.share(limits.connections), limits.turn or 0, limits.memory or 0
end

local function check(kinds, name, value) return shape.limits({ [name] = value }, kinds, "limits")[name] end

-- Limits of connections hold for those that there are, too.
local function set_for_connections(config, parts, name, value)
  config.limits[name] = check(handler.LIMITS, name, value)
  for _, part in ipairs(parts) do
    if not part.listener.exempt then
      local limits = M.of(part.definition, part.listener, config)
      part.machine.limits[name] = limits[name]
      core.limit(part.machine.handle, part.machine.limits)
    end
  end
end

local function set_of_source(config, name, value)
  config.limits.per_source = config.limits.per_source or {}
  config.limits.per_source[name] = check(PER_SOURCE, name, value)
end

local function set_of_listener(parts, name, value)
  for i, part in ipairs(parts) do
    if part.listener.name == name then
      part.listener.max_connections = shape.whole(value, 1, "max_connections")
      ports.reopen(part, i)
      return
    end
  end
  shape.refuse("no listener is called '%s'", name)
end

--- What can be set while the gateway runs, besides max_connections.LISTENER, in order.
function M.names()
  local names = { "drain" }
  for _, kinds in ipairs { WHOLE, handler.LIMITS } do
    for name in pairs(kinds) do names[#names + 1] = "limits." .. name end
  end
  for name in pairs(PER_SOURCE) do names[#names + 1] = "limits.per_source." .. name end
  table.sort(names)
  return names
end

local function set(config, parts, name, value)
  local of_source, of_listener = name:match "^limits%.per_source%.(.+)$", name:match "^max_connections%.(.+)$"
  local limit = name:match "^limits%.([^.]+)$"
  if name == "drain" then
    config.drain = shape.seconds(value, name)
  elseif of_listener then
    set_of_listener(parts, of_listener, value)
  elseif of_source and PER_SOURCE[of_source] then
    set_of_source(config, of_source, value)
  elseif limit and WHOLE[limit] then
    config.limits[limit] = check(WHOLE, limit, value)
  elseif limit and handler.LIMITS[limit] then
    set_for_connections(config, parts, limit, value)
  else
    shape.refuse("'%s' cannot be set while the gateway runs; these can: %s, max_connections.LISTENER", name,
      table.concat(M.names(), ", "))
  end
  return value
end

--- Set what is called NAME to VALUE, a number, in CONFIG, whose listeners are PARTS, until the next reload. Returns the
-- value, or nil and a message.
M.set = shape.guard(set)

--- How often each limit has been met in this worker, by name.
function M.met()
  local met = core.met()
  for _, name in ipairs(COUNTED) do met[name] = counter.get("limit." .. name).value end
  for name, count in pairs(met) do
    if count == 0 then met[name] = nil end
  end
  return met
end

return M
