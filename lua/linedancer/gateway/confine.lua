--- gateway/confine: as whom handlers run, with how much less than what the gateway was started with, and with how many
-- descriptors.
--
--   user, group      who runs handlers, once addresses are bound and keys of TLS are read; default: who started it
--   no_new_privs     programs that a handler executes have no more rights than it has (true)
--   seccomp          handlers cannot execute programs, nor do what else no gateway needs: core/syscalls.h (false)
--
-- The config itself is evaluated by who starts the gateway, and then again by who runs handlers.
local core = require("linedancer.api").core
local log = require "linedancer.log"
local shape = require "linedancer.shape"

local M = {}

local KEYS = { "user", "group", "no_new_privs", "seccomp" }
local SPARE = 16 -- descriptors of a worker for what comes and goes, such as questions to name servers

--- Check these keys of GIVEN, a config, into CONFIG; refuses what is wrong.
function M.check(given, config)
  for _, key in ipairs { "user", "group" } do
    config[key] = given[key] ~= nil and shape.typed(given[key], "string", key) or nil
  end
  for _, key in ipairs { "no_new_privs", "seccomp" } do
    if given[key] ~= nil then shape.typed(given[key], "boolean", key) end
  end
  config.no_new_privs = given.no_new_privs ~= false
  config.seccomp = given.seccomp or false
  if config.group and not config.user then shape.refuse "group takes user beside it" end
  if not config.seccomp then return end
  if not core.seccomp then shape.refuse "seccomp: this build is without libseccomp; remove the key" end
  if not config.no_new_privs then
    shape.refuse "no_new_privs = false: seccomp takes new privileges away; remove one of the two keys"
  end
end

--- Who runs the handlers of CONFIG: { user = ("": who we are), uid =, gid = }; or nil and why that cannot be.
function M.identity(config)
  if not config.user then return { user = "", uid = 0, gid = 0 } end
  local uid, gid = core.identity(config.user, config.group)
  if not uid then return nil, gid end
  return { user = config.user, uid = uid, gid = gid }
end

--- Have what CONFIG says hold for this process, which plans, as IDENTITY: true, or nil and why not.
function M.enter(config, identity)
  return core.confine(identity.user, identity.uid, identity.gid, config.no_new_privs, config.seccomp)
end

--- The first of these keys that CONFIG has otherwise than FORMER, which has been entered; or nil.
function M.differs(config, former)
  for _, key in ipairs(KEYS) do
    if config[key] ~= former[key] then return key end
  end
end

--- A key of CONFIG that only the program can heed, as it is about the whole process; or nil.
function M.of_program(config) return config.user and "user" or config.seccomp and "seccomp" or nil end

-- How many connections CONFIG has at most, by all of its listeners.
local function wanted(config)
  local sum = 0
  for _, listener in ipairs(config.listen) do sum = sum + (listener.max_connections or math.huge) end
  return math.min(sum, config.limits.connections)
end

--- Warn if there are too few descriptors for the connections of CONFIG in this process, one of SLOTS.
function M.warn(config, slots)
  local limit, used = core.descriptors()
  local most, used_up = wanted(config), used + SPARE
  local fit = math.max(limit - used_up, 0) * slots
  if fit >= most then return end
  local enough = math.ceil(most / slots) + used_up
  log.warn(("the config allows %d connections, but with at most %d open files for %s only %d fit, and fewer if handlers"
    .. " connect or open files; start it after `ulimit -n %d`, or with LimitNOFILE=%d in its unit, or lower"
    .. " limits.connections"):format(most, limit, slots > 1 and "each worker" or "the process", fit, enough, enough))
end

return M
