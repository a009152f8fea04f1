--- handler: what a handler module returned, checked and brought into one form.
--
-- A definition is plain data and functions; it knows nothing of files (handler/source.lua does) or connections.
--
--   name, initial, states = { [state] = function }, state_names = { initial, the others sorted }
--   options, as given: their defaults, each of the type that a config has to give. A default that is a function makes a
--   hook of the config's: options = { on_publish = function(request) return true end }
--   limits = { frame=, output=, linger=, mailbox=, lifetime=, stall= }, as given
--   timeouts = { [state] = { idle=, total= } } for every state; untimed = { states that were given none }
--   enter = { [state] = function }, on_message, on_timer, on_drain, on_error, on_close, upgrade, start, commands
local shape = require "linedancer.shape"
local source = require "linedancer.handler.source"
local suggest = require "linedancer.suggest"

--- What a handler's module returns. Or a function, which is then the one state, "main".
---@class linedancer.Handler
---@field initial? string name of the first state; may be left out when there is but one
---@field states table<string, linedancer.State> by name
---@field options? table<string, any> names, types and defaults of what a config may set; a function is a hook of the
--   config's
---@field limits? linedancer.HandlerLimits within those of the config
---@field timeouts? table<string|1, number|linedancer.Timeout|false> by state; [1] is for the others, false for no
--   timeout
---@field enter? table<string, fun(conn: linedancer.Conn, from: string?)> by state, called as it is entered; FROM is
--   the state before
---@field start? fun(options: table[]) called once in each worker, for each version, with the options of its listeners
---@field on_message? linedancer.OnMessage|table<string, linedancer.OnMessage> called with each message; or by state
---@field on_timer? fun(conn: linedancer.Conn, name: any, value: any): string?, ... called when a timer of conn:timer()
--   goes off
---@field on_drain? fun(conn: linedancer.Conn, seconds: number): string?, ... called when the gateway drains, SECONDS
--   before it gives up
---@field on_error? fun(conn: linedancer.Conn, err: linedancer.Error): string?, ... last words; may name a state to go
--   on in
---@field on_close? fun(conn: linedancer.Conn, reason: string, err: linedancer.Error?) called once, when the transport
--   has closed
---@field upgrade? fun(conn: linedancer.Conn, from_version: integer): string?, ... called as a connection moves to this
--   version of the code
---@field commands? table<string, fun(...: any): any> by name, for `linedancer call HANDLER COMMAND`

--- A state: returns the name of the next one, and up to 7 values for it; or nothing, and the connection ends.
---@alias linedancer.State fun(conn: linedancer.Conn, ...: any): string?, ...

--- A hook for messages: may return the name of a state, and up to 7 values for it, or ld.postpone.
---@alias linedancer.OnMessage fun(conn: linedancer.Conn, from: string?, message: any, topic: string?):
--   string|linedancer.Postpone|nil, ...

--- Seconds, at least one of the two.
---@class linedancer.Timeout
---@field idle? number since the last byte came
---@field total? number since the state was entered

--- Limits of a connection.
---@class linedancer.HandlerLimits
---@field frame? integer bytes of a frame (1 MB)
---@field output? integer bytes that are queued (1 MB)
---@field linger? number seconds in which output is flushed at the end (5)
---@field mailbox? integer messages, postponed ones included (1000)
---@field lifetime? number seconds of a connection (any)
---@field stall? number seconds in which the peer takes nothing of what waits (any)

local HOOKS = { "start", "on_timer", "on_drain", "on_error", "on_close", "upgrade" }
local LIMITS = {
  frame = "whole", output = "whole", linger = "seconds", mailbox = "whole", lifetime = "seconds", stall = "seconds",
}
local KEYS = {
  initial = true, states = true, options = true, limits = true, timeouts = true, enter = true, on_message = true,
  commands = true,
}
for _, name in ipairs(HOOKS) do KEYS[name] = true end

local OPTION = { string = true, number = true, boolean = true, table = true, ["function"] = true }

local M = { KEYS = KEYS, LIMITS = LIMITS }

local refuse, typed, at = shape.refuse, shape.typed, shape.at

local function functions(value, path)
  typed(value, "table", path)
  for key, fn in pairs(value) do
    if type(key) ~= "string" or key == "" then
      refuse("%s has a key that is %s, not a name", path, shape.describe(key))
    end
    typed(fn, "function", at(path, key))
  end
  return value
end

local function by_state(value, states, path)
  functions(value, path)
  for _, key in ipairs(suggest.keys(value)) do
    if not states[key] then refuse("%s names no state%s", at(path, key), suggest.hint(key, suggest.keys(states))) end
  end
  return value
end

local function initial_of(initial, states)
  local names = suggest.keys(states)
  if initial == nil then
    if #names == 1 then return names[1] end
    refuse("initial is missing: name the first state, one of %s", table.concat(names, ", "))
  end
  typed(initial, "string", "initial")
  if not states[initial] then refuse("initial = '%s' names no state%s", initial, suggest.hint(initial, names)) end
  return initial
end

local function state_names(initial, states)
  local names = { initial }
  for _, name in ipairs(suggest.keys(states)) do
    if name ~= initial then names[#names + 1] = name end
  end
  return names
end

-- false means that no timeout is wanted, and says so to readers and to the checker.
local function timeout(value, path)
  if value == false then return {} end
  if type(value) == "number" then return { total = shape.positive(value, path) } end
  if type(value) ~= "table" then
    refuse("%s must be seconds, { idle =, total = } or false, not %s", path, shape.describe(value))
  end
  shape.known_keys(value, { idle = true, total = true }, path)
  if next(value) == nil then refuse("%s is empty: give idle or total seconds, or false for no timeout", path) end
  return {
    idle = value.idle and shape.positive(value.idle, at(path, "idle")),
    total = value.total and shape.positive(value.total, at(path, "total")),
  }
end

local function timeouts_of(given, states, names)
  if given == nil then given = {} end
  if type(given) ~= "table" then
    refuse("timeouts must be a table such as { 60, %s = 5 }, not %s", names[1], shape.describe(given))
  end
  for key in pairs(given) do
    if key ~= 1 and not states[key] then
      refuse("%s names no state%s", at("timeouts", key), suggest.hint(key, suggest.keys(states)))
    end
  end
  local all, untimed = {}, {}
  for _, name in ipairs(names) do
    local key = given[name] == nil and 1 or name
    if given[key] == nil then
      all[name], untimed[#untimed + 1] = {}, name
    else
      all[name] = timeout(given[key], at("timeouts", key))
    end
  end
  if given[1] ~= nil then timeout(given[1], "timeouts[1]") end
  return all, untimed
end

local function options_of(options)
  if options == nil then return {} end
  typed(options, "table", "options")
  for name, default in pairs(options) do
    if type(name) ~= "string" then
      refuse("options must be named: { greeting = \"OK\" }; it has a key that is %s", shape.describe(name))
    end
    if not OPTION[type(default)] then
      refuse("%s must have a string, number, boolean, table or function as its default, not %s", at("options", name),
        shape.describe(default, name))
    end
  end
  return options
end

local function define_table(value, name)
  shape.known_keys(value, KEYS, "")
  if value.states == nil then refuse "states is missing: a table of functions, one for each state" end
  local states = functions(value.states, "states")
  if next(states) == nil then refuse "states is empty: a handler needs at least one state" end
  local initial = initial_of(value.initial, states)
  local names = state_names(initial, states)

  local definition = { name = name, initial = initial, states = states, state_names = names }
  definition.options = options_of(value.options)
  definition.limits = shape.limits(value.limits or {}, LIMITS, "limits")
  definition.timeouts, definition.untimed = timeouts_of(value.timeouts, states, names)
  definition.enter = by_state(value.enter or {}, states, "enter")
  for _, hook in ipairs(HOOKS) do
    definition[hook] = value[hook] and typed(value[hook], "function", hook)
  end
  if type(value.on_message) == "table" then
    definition.on_message = by_state(value.on_message, states, "on_message")
  elseif value.on_message ~= nil then
    definition.on_message = typed(value.on_message, "function", "on_message")
  end
  definition.commands = value.commands and functions(value.commands, "commands")
  return definition
end

local function define(value, name)
  if type(value) == "function" then return define_table({ states = { main = value } }, name) end
  if type(value) ~= "table" then
    refuse("returned %s: a handler file ends with `return { initial = ..., states = ... }`", shape.describe(value))
  end
  return define_table(value, name)
end

local function subject(_, name) return ("handler '%s': "):format(name or "?") end

--- The definition of what handler module NAME returned, or nil and a message.
M.define = shape.guard(define, subject)

local function options(definition, given)
  if given ~= nil then typed(given, "table", "options") end
  local defaults, merged = definition.options, {}
  for name, default in pairs(defaults) do merged[name] = shape.copy(default) end
  local names = given and suggest.keys(given) or {}
  for key in pairs(given or {}) do
    if type(key) ~= "string" then refuse("options must be named; there is a key that is %s", shape.describe(key)) end
  end
  for _, name in ipairs(names) do
    if next(defaults) == nil then refuse("it has no options, so '%s' cannot be set", name) end
    if defaults[name] == nil then
      refuse("%s", suggest.unknown("option", name, suggest.keys(defaults)))
    end
    merged[name] = shape.copy(typed(given[name], type(defaults[name]), "option '" .. name .. "'"))
  end
  return merged
end

local function owner(definition) return subject(nil, definition.name) end

--- GIVEN over the defaults that DEFINITION declares, sharing no table with either, or nil and a message. Functions are
-- those given: each worker has its own, as it runs the config itself.
M.options = shape.guard(options, owner)

--- The limits a connection has: the handler's own, but never above ALLOWED.
function M.limits(definition, allowed)
  local merged = {}
  for name in pairs(LIMITS) do
    local own, most = definition.limits[name], allowed[name]
    merged[name] = own and most and math.min(own, most) or own or most
  end
  return merged
end

--- The file that SPEC, a path or a module name, stands for; or nil and a message that lists where it looked.
M.resolve = shape.guard(source.resolve)

--- Add directories to where `require` looks, behind what is there.
M.search = source.search

--- What the handler file returned, unchecked; or nil and a message. Globals come from ENV, or SPACE, when given.
function M.run(filename, name, env, space)
  local ok, result = source.run(filename, name or source.module_name(filename), env, space)
  if not ok then return nil, result end
  return result
end

--- Read, run and define the handler in FILENAME; NAME is its module name. Globals come from ENV when given; all that it
-- requires is in SPACE (of linedancer.handler.space) when given.
function M.load(filename, name, env, space)
  name = name or source.module_name(filename)
  local value, message = M.run(filename, name, env, space)
  if message then return nil, message end
  local definition
  definition, message = M.define(value, name)
  if not definition then return nil, filename .. ": " .. message end
  definition.file = filename
  return definition
end

return M
