--- config: a config file, checked and brought into one form.
--
-- Handlers are found but not loaded: whether their options fit is for whoever loads them (gateway, check) to say.
--
--   file, base_dir, control (the path of a socket, or nil), workers (nil: one per processor), drain (seconds)
--   watch (boolean), retire (seconds, or nil), log = { level = }, path = { directory... }
--   user, group (or nil), no_new_privs, seccomp (booleans): see linedancer.gateway.confine
--   limits = { turn = (seconds that Lua may compute without waiting; 0: any), frame =, output =, connections =,
--              linger =, mailbox =, heartbeat =, memory = (bytes of a worker; 0: any),
--              lifetime = (seconds of a connection), stall = (seconds in which its peer takes nothing of what waits),
--              per_source = { connections =, rate = (new ones a second), bytes = (a second), v4 =, v6 = (bits) } }
--   listen = { { address = see linedancer.address, name =, handler = as given, module =, file =, options = as given,
--                limits = as given, max_connections =, backlog =, tls = see linedancer.tls,
--                proxy_protocol = see linedancer.proxy_protocol, sandbox = see linedancer.sandbox }... }
local address = require "linedancer.address"
local confine = require "linedancer.gateway.confine"
local handler = require "linedancer.handler"
local native = require "linedancer.native"
local shape = require "linedancer.shape"
local source = require "linedancer.handler.source"
local suggest = require "linedancer.suggest"

--- What a config file returns.
---@class linedancer.Config
---@field listen linedancer.Listener[] what is served
---@field workers? integer processes, up to 256 (one per processor); 0: everything in one process
---@field limits? linedancer.Limits of a worker and its connections
---@field control? string path of a socket, for `linedancer status` and others
---@field path? string[] directories in which handlers and modules are looked for
---@field log? { level: "debug"|"info"|"warn"|"error" } what is logged ("info")
---@field drain? number seconds that a gateway that stops gives its connections (30)
---@field watch? boolean reload when a file changes (false); not with workers = 0
---@field retire? number seconds after a reload when connections on older code end (never)
---@field user? string who runs handlers (who started it)
---@field group? string of user
---@field no_new_privs? boolean programs that a handler executes get no more rights than it has (true)
---@field seccomp? boolean handlers cannot execute programs, nor do what else no gateway needs (false)

--- One address that is listened on.
---@class linedancer.Listener
---@field [1] string address: "127.0.0.1:7000", ":7000", "[::1]:7000" or "unix:/path"
---@field handler string|linedancer.Handler name of a module, path of a file, or a handler itself
---@field name? string by which others know it (the address)
---@field options? table of the handler
---@field limits? linedancer.HandlerLimits before those of the config
---@field max_connections? integer at a time
---@field backlog? integer connections that wait to be accepted
---@field tls? linedancer.ListenerTls over TLS
---@field proxy_protocol? linedancer.ListenerProxy behind proxies
---@field sandbox? boolean|{ connect: boolean } for a handler that somebody else wrote; whether it may connect (false)

--- Limits of a worker, and of each of its connections.
---@class linedancer.Limits: linedancer.HandlerLimits
---@field turn? number seconds that Lua may compute without waiting (0.1); 0: any
---@field connections? integer of all workers together (10,000)
---@field heartbeat? number seconds in which a worker answers (10)
---@field memory? integer bytes of a worker (2 GB); 0: any
---@field per_source? linedancer.PerSource of each source of clients

--- Limits of each source of clients: an address, or a network.
---@class linedancer.PerSource
---@field connections? integer at a time
---@field rate? number new connections a second
---@field bytes? number bytes a second
---@field v4? integer bits of an IPv4 address that make a source
---@field v6? integer bits of an IPv6 address that make a source

local M = {}

local refuse, typed, at = shape.refuse, shape.typed, shape.at

local function set(names)
  local known = {}
  for name in names:gmatch "%S+" do known[name] = true end
  return known
end

local KEYS = set [[workers watch retire limits listen control admin cluster path log drain user group no_new_privs
  seccomp]]
local LISTEN_KEYS = set "handler options limits max_connections backlog tls proxy_protocol sandbox name"
LISTEN_KEYS[1] = true
local LIMITS = {
  turn = "seconds or 0", frame = "whole", output = "whole", connections = "whole", linger = "seconds",
  mailbox = "whole", heartbeat = "seconds", memory = "memory or 0", lifetime = "seconds", stall = "seconds",
}
local PER_SOURCE = {
  connections = "whole", rate = "number or 0", bytes = "number or 0", v4 = "whole or 0", v6 = "whole or 0",
}
local DEFAULT_LIMITS = {
  turn = 0.1, frame = 2^20, output = 2^20, connections = 10000, linger = 5, mailbox = 1000,
  heartbeat = 10, memory = 2^31,
}
local MOST_WORKERS = 256
local LEAST_HEARTBEAT = 0.1 -- seconds
local LEVELS = { "debug", "info", "warn", "error" }
local ABSENT = {
  admin = "the admin listener", cluster = "clustering",
}

M.KEYS, M.DEFAULT_LIMITS, M.LEVELS = KEYS, DEFAULT_LIMITS, LEVELS

-- ITEM = an array without holes or other keys; EXAMPLE shows what was meant.
local function array(value, path, example)
  typed(value, "table", path)
  for key in pairs(value) do
    if type(key) ~= "number" or key < 1 or key > #value or key % 1 ~= 0 then
      refuse("%s must be an array, such as %s; it has the key '%s'", path, example, tostring(key))
    end
  end
  return value
end

-- A handler that is in no file, the table or function itself, or one of the host's in C: what makes its definition.
local function definition_of(spec, path)
  if type(spec) == "string" then return native.find(spec) end
  if type(spec) ~= "table" and type(spec) ~= "function" then return nil end
  local definition, message = handler.define(spec, path)
  if not definition then refuse("%s", message) end
  definition.file = path
  return function() return definition end
end

local function resolve(spec, path, context)
  if spec == nil then refuse("%s is missing: name the handler of this listener, such as \"echo\"", path) end
  if type(spec) ~= "string" then
    refuse("%s must be a module name, the path of a file or a handler's table, not %s", path, shape.describe(spec))
  end
  local file, message = context.resolve(spec, context.base_dir, context.path, context.bundled)
  if not file then refuse("%s: %s", path, message) end
  return file
end

-- What ENTRY, a listener at PATH, says of its handler.
local function handler_of(entry, path, context)
  local spec, where = entry.handler, at(path, "handler")
  local definition = definition_of(spec, where)
  if definition then
    if entry.sandbox then refuse("%s: only a handler in a file can be sandboxed", path) end
    local name = type(spec) == "string" and spec or where
    return { handler = name, module = name, file = name, definition = definition }
  end
  local file = resolve(spec, where, context)
  local by_path = spec:find("/", 1, true) or spec:find("%.lua$")
  return { handler = spec, module = by_path and source.module_name(file) or spec, file = file }
end

local function listener(entry, path, context)
  typed(entry, "table", path)
  shape.known_keys(entry, LISTEN_KEYS, path)
  if entry[1] == nil then refuse("%s lacks its address: { \"127.0.0.1:7000\", handler = \"echo\" }", path) end
  local where, message = address.parse(entry[1], context.base_dir)
  if not where then refuse("%s: %s", at(path, 1), message) end
  local tls = entry.tls and require("linedancer.tls").check(entry.tls, at(path, "tls"), context.base_dir) or nil
  local found = handler_of(entry, path, context)
  return {
    address = where,
    handler = found.handler,
    definition = found.definition,
    module = found.module,
    file = found.file,
    name = entry.name and typed(entry.name, "string", at(path, "name")) or where.text,
    options = shape.copy(typed(entry.options or {}, "table", at(path, "options"))),
    limits = shape.limits(entry.limits or {}, handler.LIMITS, at(path, "limits")),
    tls = tls,
    proxy_protocol = entry.proxy_protocol
      and require("linedancer.proxy_protocol").check(entry.proxy_protocol, at(path, "proxy_protocol")),
    max_connections = entry.max_connections
      and shape.whole(entry.max_connections, 1, at(path, "max_connections")),
    sandbox = entry.sandbox and require("linedancer.sandbox").check(entry.sandbox, at(path, "sandbox")) or nil,
    backlog = entry.backlog and shape.whole(entry.backlog, 1, at(path, "backlog")),
  }
end

-- Port 0 asks for any free port, so it clashes with nothing.
local function refuse_twins(listeners, given)
  local addresses, names = {}, {}
  for i, one in ipairs(listeners) do
    local path, key = at("listen", i), one.address.key
    if one.address.port ~= 0 then
      if addresses[key] then
        refuse("%s: address %s is taken by %s; give each listener its own", path, one.address.text,
          at("listen", addresses[key]))
      end
      addresses[key] = i
    end
    if given[i].name then
      if names[one.name] then
        refuse("%s: the name '%s' is taken by %s", at(path, "name"), one.name, at("listen", names[one.name]))
      end
      names[one.name] = i
    end
  end
end

local function listeners(given, context)
  local example = '{ { "127.0.0.1:7000", handler = "echo" } }'
  if given == nil then refuse("listen is missing: listen = %s", example) end
  typed(given, "table", "listen")
  if type(given[1]) == "string" then
    refuse("listen must be an array of listeners, each a table of its own: listen = %s", example)
  end
  array(given, "listen", example)
  if #given == 0 then refuse("listen is empty: listen = %s", example) end
  local checked = {}
  for i, entry in ipairs(given) do checked[i] = listener(entry, at("listen", i), context) end
  refuse_twins(checked, given)
  return checked
end

local function paths(given, base_dir)
  local dirs = {}
  for i, dir in ipairs(array(given or {}, "path", '{ "handlers", "/usr/share/my/handlers" }')) do
    dirs[i] = source.join(base_dir, typed(dir, "string", at("path", i)))
  end
  return dirs
end

local function log_of(given)
  given = typed(given or {}, "table", "log")
  shape.known_keys(given, { level = true }, "log")
  local level = given.level or "info"
  for _, known in ipairs(LEVELS) do
    if level == known then return { level = level } end
  end
  refuse("log.level must be one of %s, not %s%s", table.concat(LEVELS, ", "), shape.describe(level),
    suggest.nearest(level, LEVELS) and suggest.hint(level, LEVELS) or "")
end

local function watch_of(given, workers)
  if given == nil then return false end
  typed(given, "boolean", "watch")
  if given and workers == 0 then refuse("watch takes workers above 0; a single process reloads at SIGHUP") end
  return given
end

local function control_of(given, base_dir)
  if given == nil or given == false then return nil end
  local where, message = address.parse("unix:" .. typed(given, "string", "control"), base_dir)
  if not where then refuse("control: %s", message) end
  return where.path
end

local function workers_of(given)
  if given == nil then return nil end
  shape.whole(given, 0, "workers")
  if given > MOST_WORKERS then refuse("workers must be at most %d, not %s", MOST_WORKERS, shape.describe(given)) end
  return given
end

-- Limits of each source of clients: see core/source.h.
local function per_source_of(given)
  local limits = shape.limits(given, PER_SOURCE, "limits.per_source")
  for key, most in pairs { v4 = 32, v6 = 128 } do
    if limits[key] and limits[key] > most then refuse("limits.per_source.%s is of %d bits", key, most) end
  end
  return limits
end

local function limits_of(given)
  local rest = {}
  for key, value in pairs(typed(given, "table", "limits")) do rest[key] = value end
  rest.per_source = nil
  local limits = shape.limits(rest, LIMITS, "limits")
  if given.per_source ~= nil then limits.per_source = per_source_of(given.per_source) end
  return limits
end

local function validate(given, base_dir, bundled)
  if type(given) ~= "table" then
    refuse("a config returns a table, not %s: return { listen = { { \"127.0.0.1:7000\", handler = \"echo\" } } }",
      shape.describe(given))
  end
  shape.known_keys(given, KEYS, "")
  for _, key in ipairs(suggest.keys(ABSENT)) do
    if given[key] ~= nil and given[key] ~= false then
      typed(given[key], "string", key)
      refuse("%s: %s is not available in this build; remove the key", key, ABSENT[key])
    end
  end
  local config = { base_dir = base_dir or "." }
  config.workers = workers_of(given.workers)
  config.watch = watch_of(given.watch, config.workers)
  config.retire = given.retire and shape.positive(given.retire, "retire") or nil
  config.drain = shape.seconds(given.drain == nil and 30 or given.drain, "drain")
  config.log = log_of(given.log)
  config.control = control_of(given.control, config.base_dir)
  config.path = paths(given.path, config.base_dir)
  confine.check(given, config)
  config.limits = limits_of(given.limits or {})
  for name, default in pairs(DEFAULT_LIMITS) do
    config.limits[name] = config.limits[name] or default
  end
  if config.limits.heartbeat < LEAST_HEARTBEAT then
    refuse("limits.heartbeat must be %s seconds or more, not %s", LEAST_HEARTBEAT, config.limits.heartbeat)
  end
  config.listen = listeners(given.listen, {
    base_dir = config.base_dir, path = config.path, bundled = bundled, resolve = shape.guard(source.resolve),
  })
  return config
end

--- The config that table GIVEN describes, or nil and a message. Relative paths are below BASE_DIR; BUNDLED is the
-- directory of the handlers that come with Linedancer.
M.validate = shape.guard(validate)

--- What the config text returned, unchecked: true and the value, or false and a message. It sees every global, or those
-- of SPACE, but those that it sets stay its own.
function M.run_string(text, chunkname, space)
  local chunk, message = source.compile(text, chunkname, setmetatable({}, { __index = space and space.env or _G }))
  if not chunk then return false, message end
  return source.call(chunk)
end

--- The config that TEXT returns, or nil and a message; CHUNKNAME is "@" and its file, as for load().
function M.load_string(text, chunkname, base_dir, bundled, space)
  chunkname = chunkname or "=config"
  local ok, value = M.run_string(text, chunkname, space)
  if not ok then return nil, value end
  local config, message = M.validate(value, base_dir, bundled)
  local file = chunkname:sub(2)
  if not config then return nil, file .. ": " .. message end
  config.file = file
  return config
end

--- The config in FILENAME, or nil and a message; what it requires below its directory is in SPACE, when given.
function M.load(filename, bundled, space)
  local text, message = source.read(filename)
  if not text then return nil, message end
  local dir = source.directory(filename)
  if space then space:add(dir) end
  return M.load_string(text, "@" .. filename, dir, bundled, space)
end

return M
