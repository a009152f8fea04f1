--- gateway/load: loads the handlers that a config names, and describes it to the supervisor.
local confine = require "linedancer.gateway.confine"
local core = require("linedancer.api").core
local handler = require "linedancer.handler"
local limits = require "linedancer.gateway.limits"
local log = require "linedancer.log"
local machine = require "linedancer.machine"
local plan = require "linedancer.plan"

local M = {}

-- The listeners of CONFIG, and the control socket's.
local function listeners_of(config)
  if not config.control then return config.listen end
  local list = {}
  for i, listener in ipairs(config.listen) do list[i] = listener end
  list[#list + 1] = require("linedancer.control").listener(config.control)
  return list
end

-- One load per file: listeners that share a handler share its module.
local function definition_of(listener, loaded, space)
  local sandboxed = listener.sandbox
  local key = sandboxed and ("%s sandboxed %s"):format(listener.file, tostring(sandboxed.connect)) or listener.file
  local known = loaded[key]
  if known then return known end
  local definition, message
  if listener.definition then
    definition = listener.definition()
  elseif sandboxed then
    definition, message = require("linedancer.sandbox").load(listener)
  else
    definition, message = handler.load(listener.file, listener.module, nil, space)
  end
  if not definition then return nil, message end
  loaded[key] = definition
  loaded[#loaded + 1] = definition
  return definition
end

local function load_one(listener, config, loaded, space, version)
  local definition, message = definition_of(listener, loaded, space)
  if not definition then return nil, message end
  local options
  options, message = handler.options(definition, listener.options)
  if not options then return nil, message end
  local tls, warning
  if listener.tls then
    tls, warning = require("linedancer.tls").context(listener.tls)
    if not tls then return nil, ("listener %s: %s"):format(listener.name, warning) end
    if warning then log.warn(warning) end
  end
  return {
    listener = listener, definition = definition, tls = tls,
    machine = machine.new(definition, options, limits.of(definition, listener, config), listener.name, version),
  }
end

--- Forget PARTS, of load(), which nothing uses.
function M.discard(parts)
  for _, part in ipairs(parts) do core.forget_machine(part.machine.handle) end
end

--- Load the handlers of CONFIG in SPACE, as VERSION: { listener =, definition =, machine = } for each listener, and the
-- definitions; or nil and a message.
function M.load(config, space, version)
  local parts, loaded = {}, {}
  for i, listener in ipairs(listeners_of(config)) do
    local part, message = load_one(listener, config, loaded, space, version)
    if not part then
      M.discard(parts)
      return nil, message
    end
    parts[i] = part
  end
  return parts, loaded
end

-- What `linedancer check` says is wrong with the handlers of PARTS, or nil.
local function mistake_in(parts, handlers_path)
  local check = require "linedancer.check" -- here alone: a gateway that runs should not hold it
  for _, part in ipairs(parts) do
    local found = not part.listener.definition and check.listener(part.listener, handlers_path).errors[1]
    if found then return check.format(found, "error") end
  end
end

-- Be who runs the handlers of CONFIG; what only the one who starts it may read is read before that. Returns who that
-- is, or nil and why not.
local function enter(config)
  local identity, message = confine.identity(config)
  if not identity then return nil, message end
  local ok
  for _, listener in ipairs(config.listen) do
    if listener.tls then
      ok, message = require("linedancer.tls").read(listener.tls)
      if not ok then return nil, ("listener %s: %s"):format(listener.name, message) end
    end
  end
  ok, message = confine.enter(config, identity)
  return ok and identity, message
end

-- What CONFIG describes, or nil and why it is not good.
local function load_as_user(config, space)
  local parts, message = M.load(config, space, 1)
  if parts or not config.user or not message:find("Permission denied", 1, true) then return parts, message end
  return nil, ("%s (handlers are read as user '%s')"):format(message, config.user)
end

--- Describe CONFIG to the supervisor if it is good: see linedancer.plan. SHARED is the gateway's secret. AGAIN: it is
-- for a gateway that runs, so mistakes that would show later are refused, too. Returns the exit code: 1 when something
-- was refused, which the log says.
function M.plan(config, handlers_path, files, space, shared, again)
  if config.log and config.log.level then core.log_level(config.log.level) end
  local identity, message = enter(config)
  local parts
  if identity then parts, message = load_as_user(config, space) end
  if parts and again then
    message = mistake_in(parts, handlers_path)
    parts = not message and parts
  end
  if not parts then
    log.error(message)
    return 1
  end
  local names = {}
  for i, part in ipairs(parts) do names[i] = part.definition.name end
  core.propose(plan.encode(config, listeners_of(config), names, handlers_path, shared, files, identity))
  return 0
end

return M
