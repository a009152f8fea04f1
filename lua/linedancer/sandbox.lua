--- linedancer.sandbox: handlers that somebody else wrote.
--
--   { "[::]:7000", handler = "tenants/a.lua", sandbox = true }
--   { ..., sandbox = { connect = true } }        may connect to other machines
--
-- Such a handler has globals of its own (sandbox/env) and can require `linedancer` and what is below its directory. It
-- cannot reach files, processes, the FFI, bytecode, other handlers' connections, nor, by what it is given, anything
-- that others use: connections, formats and tasks are stand-ins (sandbox/standin), and topics, counters and kept tables
-- have the handler's name before theirs. It has no ids, names and channels, by which it would reach others.
--
-- In a worker that has one, the string functions of all handlers are bounded (sandbox/strings): methods of strings are
-- the same for all. What it computes is bounded by limits.turn, what it holds by limits.memory: for both one that is
-- greedy loses its connection.
local bytes = require "linedancer.bytes"
local crypto = require "linedancer.crypto"
local environment = require "linedancer.sandbox.env"
local handler = require "linedancer.handler"
local library = require "linedancer.sandbox.library"
local logs = require "linedancer.sandbox.log"
local shape = require "linedancer.shape"
local source = require "linedancer.handler.source"
local spaces = require "linedancer.handler.space"
local standin = require "linedancer.sandbox.standin"
local strings = require "linedancer.sandbox.strings"

local M = {}

local TAILS = { ".lua", "/init.lua" }
local HOOKS = { "on_timer", "on_drain", "on_error", "on_close", "upgrade" }

--- GIVEN, a listener's `sandbox` at PATH of its config, in one form; nil for none. Refuses what is wrong.
function M.check(given, path)
  if given == nil or given == false then return nil end
  if given == true then return { connect = false } end
  shape.known_keys(shape.typed(given, "table", path), { connect = true }, path)
  return { connect = given.connect ~= nil and shape.typed(given.connect, "boolean", shape.at(path, "connect")) }
end

local Space = {}
Space.__index = Space

--- As of linedancer.handler.space, for source.run.
function Space:add(dir) self.dirs[#self.dirs + 1] = dir end

local function find(self, name)
  if not name:find "^[%w_][%w_%-]*$" and not name:find "^[%w_][%w_%-%.]*[%w_%-]$" then return nil end
  for _, dir in ipairs(self.dirs) do
    for _, tail in ipairs(TAILS) do
      local filename = source.join(dir, (name:gsub("%.", "/")) .. tail)
      if source.kind(filename) == "file" then return filename end
    end
  end
end

local function require_in(self, name)
  if type(name) ~= "string" then error("a module's name expected, got " .. type(name), 2) end
  local known = spaces.known(self, name)
  if known ~= nil then return known end
  local filename = find(self, name)
  if not filename then error(("module '%s' is not available to a sandboxed handler"):format(name), 2) end
  return spaces.load_module(self, name, filename)
end

--- How names begin, for the others, that the handler of LISTENER gives: it is the file that makes one handler.
function M.prefix(listener)
  local name = listener.module:gsub("[^%w_%-%.]", "_")
  return ("sandbox/%s-%s/"):format(name, crypto.hex(crypto.digest("sha256", listener.file)):sub(1, 16))
end

-- Where the handler of LISTENER lives.
local function new(listener)
  local self = setmetatable({ private = true, dirs = {}, loaded = {} }, Space)
  self.prefix = M.prefix(listener)
  self.stand = standin.new(self.prefix)
  local print
  self.log, print = logs.new(self.prefix:match "/(.*)/")
  self.env = environment.new(function(name) return require_in(self, name) end, print)
  self.loaded.linedancer = library.new(self, listener.sandbox)
  for _, name in ipairs(environment.LIBRARIES) do self.loaded[name] = self.env[name] end
  return self
end

--- The handler of LISTENER, of linedancer.config, loaded in a sandbox: its definition, for check, and its space; or nil
-- and a message.
function M.open(listener)
  strings.install()
  bytes.guard(standin.plain_all) -- buffers are the same for all handlers
  local space = new(listener)
  local definition, message = handler.load(listener.file, listener.module, nil, space)
  if not definition then return nil, message end
  return definition, space
end

local function each(functions, wrap)
  local wrapped = {}
  for name, fn in pairs(functions) do wrapped[name] = wrap(fn) end
  return wrapped
end

-- Messages come under topics that begin with the handler's name.
local function hear(fn, stand)
  return function(conn, from, message, topic)
    return fn(stand:of(conn), type(from) == "string" and from or nil, message, stand:topic(topic))
  end
end

--- DEFINITION, of open(), as linedancer.machine can have it: its functions see stand-ins.
function M.wrap(definition, space)
  local stand, wrapped = space.stand, {}
  local function wrap(fn)
    return function(conn, ...) return fn(stand:of(conn), ...) end
  end
  for key, value in pairs(definition) do wrapped[key] = value end
  wrapped.states, wrapped.enter = each(definition.states, wrap), each(definition.enter, wrap)
  for _, hook in ipairs(HOOKS) do wrapped[hook] = definition[hook] and wrap(definition[hook]) end
  local on_message = definition.on_message
  if type(on_message) == "table" then
    wrapped.on_message = each(on_message, function(fn) return hear(fn, stand) end)
  elseif on_message then
    wrapped.on_message = hear(on_message, stand)
  end
  return wrapped
end

--- Both.
function M.load(listener)
  local definition, space = M.open(listener)
  if not definition then return nil, space end
  return M.wrap(definition, space)
end

return M
