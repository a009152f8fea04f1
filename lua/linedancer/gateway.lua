--- linedancer.gateway: turns a config into listeners and serves until it is stopped.
local api = require "linedancer.api"
local handler = require "linedancer.handler"
local log = require "linedancer.log"
local machine = require "linedancer.machine"

local M = {}

local core = api.core

-- Limits that a listener sets come before the config's.
local function merged(over, under)
  local result = {}
  for key, value in pairs(under) do result[key] = value end
  for key, value in pairs(over or {}) do result[key] = value end
  return result
end

-- One load per file: listeners that share a handler share its module.
local function definition_of(listener, loaded)
  local known = loaded[listener.file]
  if known then return known end
  local definition, message = handler.load(listener.file, listener.module)
  if not definition then return nil, message end
  loaded[listener.file] = definition
  if definition.start then
    local ok, err = pcall(definition.start)
    if not ok then return nil, ("%s: start: %s"):format(listener.file, tostring(err)) end
  end
  return definition
end

-- The address with the port that was really bound.
local function bound(address, port)
  if address.family == "unix" then return "unix:" .. address.path end
  return (address.family == "ipv6" and "[%s]:%d" or "%s:%d"):format(address.host, port)
end

local function open(listener, config, loaded)
  local definition, message = definition_of(listener, loaded)
  if not definition then return nil, message end
  local options
  options, message = handler.options(definition, listener.options)
  if not options then return nil, message end
  local limits = handler.limits(definition, merged(listener.limits, config.limits))
  local made = machine.new(definition, options, limits, listener.name)
  local address = listener.address
  local index, port = core.listen {
    family = address.family, host = address.host, port = address.port, path = address.path,
    backlog = listener.backlog or 1024, machine = made.handle,
    max = listener.max_connections,
  }
  if not index then return nil, ("cannot listen on %s: %s"):format(address.text, port) end
  return bound(address, port), definition.name
end

--- Open every listener of CONFIG (of linedancer.config) and serve until the gateway is told to stop. Returns the exit
-- code: 0, or 1 when a listener or a handler was refused, which the log says.
function M.run(config)
  if config.log and config.log.level then core.log_level(config.log.level) end
  if (config.workers or 0) > 0 then
    log.warn("worker processes are not available: everything runs in this one", { workers = config.workers })
  end
  local loaded = {}
  for _, listener in ipairs(config.listen) do
    local address, name = open(listener, config, loaded)
    if not address then
      log.error(name)
      return 1
    end
    log.info("listening", { address = address, handler = name })
  end
  core.run(config.drain or 30, config.limits.connections)
  log.info "stopped"
  return 0
end

return M
