--- sandbox/standin: what a sandboxed handler has in place of connections, tasks and formats.
--
-- An empty table, whose methods know the one it stands for. A handler that changed the real one's slots could act on
-- another's connection, or have the core read another's memory.
local client = require "linedancer.tls.client"
local conns = require "linedancer.conn.all"
local formats = require "linedancer.format"

local M = {}

local PLACE = 12 -- of a connection: its stand-in
local METHODS = {
  "unpack", "expect", "peek", "try", "read", "read_some", "read_line", "read_until", "lines", "skip", "skip_until",
  "slice", "body", "read_into", "write", "put", "flush", "timeout", "shutdown", "close", "reset", "fail", "packet",
  "quick_ack", "notsent_lowat", "join", "timer", "stale", "release",
}
local FACTS = {
  "id", "peer", "local_address", "unsent", "unread", "tls", "proxy", "state", "listener", "options", "version",
  "handler", "reused",
}
local TASK = { "cancel", "join" }
local DEPTH = 32 -- of tables

--- X with tables that have no metatables: what it reads from them is what is in them.
local function plain(x, depth)
  if type(x) ~= "table" then return x end
  if depth > DEPTH then error("tables are nested too deep", 3) end
  local copy = {}
  for key, value in next, x do copy[key] = plain(value, depth + 1) end
  return copy
end

function M.plain(x) return plain(x, 0) end

--- The same of all values.
function M.plain_all(...)
  local values, n = { ... }, select("#", ...)
  for i = 1, n do values[i] = M.plain(values[i]) end
  return unpack(values, 1, n)
end

local Stand = {}
Stand.__index = Stand

--- The connection or task that X stands for.
function Stand:real(x)
  local found = self.reals[x]
  if not found then error("connection expected, got " .. type(x), 3) end
  return found
end

local function forward(self, names, methods)
  for _, name in ipairs(names) do
    methods[name] = function(x, ...)
      local real = self:real(x)
      local fn = real[name]
      if type(fn) ~= "function" then error(("this one has no %s()"):format(name), 2) end
      return fn(real, ...)
    end
  end
  return methods
end

-- A file would be read with the gateway's rights.
local function check_texts(opts)
  for _, key in ipairs(client.TEXTS) do
    if opts[key] ~= nil and not (type(opts[key]) == "string" and client.is_pem(opts[key])) then
      error(("%s: the PEM text itself is expected in a sandbox"):format(key), 3)
    end
  end
  return opts
end

--- OPTS of TLS, a table or anything else, without names of files.
function M.tls(opts)
  if type(opts) ~= "table" then return opts end
  return check_texts(M.plain(opts))
end

local function conn_methods(self)
  local methods, of = forward(self, METHODS, {}), conns.methods
  function methods.pack(x, format, ...) return of.pack(self:real(x), format, M.plain_all(...)) end
  function methods.relay(x, to, n) return of.relay(self:real(x), self:real(to), n) end
  function methods.pipe(x, other) return of.pipe(self:real(x), self:real(other)) end
  function methods.spawn(x, fn, ...) return self:task(of.spawn(self:real(x), fn, ...)) end
  function methods.starttls(x, opts) return of.starttls(self:real(x), M.tls(opts)) end
  function methods.subscribe(x, pattern) return of.subscribe(self:real(x), self:full(pattern)) end
  function methods.unsubscribe(x, pattern) return of.unsubscribe(self:real(x), self:full(pattern)) end
  return methods
end

local function set_of(...)
  local set = {}
  for _, list in ipairs { ... } do
    for _, name in ipairs(list) do set[name] = true end
  end
  return set
end

-- Fields of the handler's own are kept by the real one: a reload that is taken back restores them.
local function conn_class(self)
  local methods, facts = conn_methods(self), set_of(FACTS)
  local own = set_of(FACTS, { "machine", "follow", "unfollow", "following" })
  return {
    __index = function(x, key)
      if methods[key] then return methods[key] end
      if type(key) ~= "string" then return nil end
      local real = self:real(x)
      if facts[key] then return real[key] end
      return rawget(real, key)
    end,
    __newindex = function(x, key, value)
      if type(key) ~= "string" then error("a field of a connection has a name", 2) end
      if methods[key] or own[key] then
        error(("conn.%s is linedancer's own: choose another name"):format(key), 2)
      end
      self:real(x)[key] = value
    end,
    __tostring = function(x) return "conn " .. self:real(x).id end,
    __metatable = false,
  }
end

local function task_class(self)
  local methods = forward(self, TASK, {})
  return {
    __index = function(x, key)
      if key == "alive" then return self:real(x).alive end
      return methods[key]
    end,
    __newindex = function() error("a task in a sandbox has no fields", 2) end,
    __metatable = false,
  }
end

--- The stand-in of CONN.
function Stand:of(conn)
  local found = rawget(conn, PLACE)
  if found and self.reals[found] == conn then return found end
  found = setmetatable({}, self.conn)
  self.reals[found] = conn
  rawset(conn, PLACE, found)
  return found
end

--- A stand-in of TASK; the task keeps none.
function Stand:task(task)
  local found = setmetatable({}, self.class_of_tasks)
  self.tasks[found], self.reals[found] = task, task
  return found
end

--- NAME, a topic or pattern, as all others know it.
function Stand:full(name)
  if type(name) ~= "string" then error("a topic is a string, not a " .. type(name), 3) end
  return self.prefix .. name
end

--- TOPIC as the handler knows it; nil for one that is not its own.
function Stand:topic(topic)
  if type(topic) ~= "string" or topic:sub(1, #self.prefix) ~= self.prefix then return nil end
  return topic:sub(#self.prefix + 1)
end

local format_class = {
  __tostring = function(x) return tostring(formats.of(x)) end,
  __index = {
    unpack = function(x, text, pos) return formats.of(x):unpack(text, pos) end,
    pack = function(x, ...) return formats.of(x):pack(M.plain_all(...)) end,
  },
  __newindex = function() error("a format has no fields", 2) end,
  __metatable = false,
}

--- The format SOURCE, to pass wherever a format is taken.
function M.format(source)
  local found = setmetatable({}, format_class)
  formats.alias(found, formats.of(source))
  return found
end

--- The stand-ins of one handler, whose topics begin with PREFIX.
function M.new(prefix)
  -- A connection holds its stand-in, which must not hold it in turn: weak tables do not see through such circles.
  local self = setmetatable({ prefix = prefix, reals = setmetatable({}, { __mode = "kv" }) }, Stand)
  self.tasks = setmetatable({}, { __mode = "k" })
  self.conn, self.class_of_tasks = conn_class(self), task_class(self)
  return self
end

return M
