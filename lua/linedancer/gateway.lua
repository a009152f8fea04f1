--- linedancer.gateway: turns a config into listeners and serves until it is stopped.
--
-- The same config goes through here three times when there are workers: once in a process that only looks whether it is
-- good, and describes it to the supervisor, and once in each worker.
local api = require "linedancer.api"
local handler = require "linedancer.handler"
local log = require "linedancer.log"
local machine = require "linedancer.machine"
local plan = require "linedancer.plan"
require "linedancer" -- so that all of it hears what the supervisor says, from the first word

local JOIN_SECONDS = 30 -- for the supervisor's word; it is there when a worker starts

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
  loaded[#loaded + 1] = definition
  return definition
end

-- { definition =, machine = } for each listener of CONFIG, and the definitions; or nil and a message.
local function load_all(config)
  local parts, loaded = {}, {}
  for i, listener in ipairs(config.listen) do
    local definition, message = definition_of(listener, loaded)
    if not definition then return nil, message end
    local options
    options, message = handler.options(definition, listener.options)
    if not options then return nil, message end
    local limits = handler.limits(definition, merged(listener.limits, config.limits))
    parts[i] = { definition = definition, machine = machine.new(definition, options, limits, listener.name) }
  end
  return parts, loaded
end

-- The options of each listener in PARTS whose handler is DEFINITION.
local function options_of(definition, parts)
  local list = {}
  for _, part in ipairs(parts) do
    if part.definition == definition then list[#list + 1] = part.machine.options end
  end
  return list
end

-- A handler's start is given an array: the options of each of its listeners.
local function start(definitions, parts)
  for _, definition in ipairs(definitions) do
    if definition.start then
      local ok, err = pcall(definition.start, options_of(definition, parts))
      if not ok then return nil, ("%s: start: %s"):format(definition.file, tostring(err)) end
    end
  end
  return true
end

-- A worker's share of COUNT, so that all of them together have no less.
local function share(count)
  local _, _, slots = core.worker()
  return count and math.ceil(count / math.max(slots, 1))
end

-- The address with the port that was really bound.
local function bound(address, port)
  if address.family == "unix" then return "unix:" .. address.path end
  return (address.family == "ipv6" and "[%s]:%d" or "%s:%d"):format(address.host, port)
end

-- In a worker the supervisor has bound the address, and said so.
local function open(listener, part)
  local address = listener.address
  local index, port = core.listen {
    family = address.family, host = address.host, port = address.port, path = address.path,
    backlog = listener.backlog or plan.BACKLOG, machine = part.machine.handle,
    max = share(listener.max_connections),
  }
  if not index then return nil, ("cannot listen on %s: %s"):format(address.text, port) end
  if core.role() == "alone" then
    log.info("listening", { address = bound(address, port), handler = part.definition.name })
  end
  return true
end

local function prepare(config)
  if core.role() == "alone" and (config.workers or 0) > 0 then
    return nil, ("workers = %d: only the program linedancer starts processes; here, set workers = 0"):format(
      config.workers)
  end
  local parts, definitions = load_all(config)
  if not parts then return nil, definitions end
  if core.role() == "worker" then core.join(JOIN_SECONDS) end
  local ok, message = start(definitions, parts)
  for i, listener in ipairs(config.listen) do
    if ok then ok, message = open(listener, parts[i]) end
  end
  return ok, message
end

local function set_log_level(config)
  if config.log and config.log.level then core.log_level(config.log.level) end
end

--- Open every listener of CONFIG (of linedancer.config) and serve until the gateway is told to stop. Returns the exit
-- code: 0, or 1 when a listener or a handler was refused, which the log says.
function M.run(config)
  set_log_level(config)
  local ok, message = prepare(config)
  if not ok then
    log.error(message)
    return 1
  end
  core.run(config.drain or 30, share(config.limits.connections))
  if core.role() == "alone" then log.info "stopped" end
  return 0
end

--- Describe CONFIG to the supervisor if it is good: see linedancer.plan. Returns the exit code, as run() does.
function M.plan(config, handlers_path, files)
  set_log_level(config)
  local parts, message = load_all(config)
  if not parts then
    log.error(message)
    return 1
  end
  local names = {}
  for i, part in ipairs(parts) do names[i] = part.definition.name end
  core.propose(plan.encode(config, names, handlers_path, files))
  return 0
end

return M
