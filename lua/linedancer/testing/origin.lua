--- linedancer.testing.origin: where a handler comes from, so that another worker can load one of its own.
--
-- A worker shares nothing with others, upvalues included. So a handler is sent to it as the name of a module, or of the
-- file that its functions were written in, and loaded afresh there.
local shape = require "linedancer.shape"
local source = require "linedancer.handler.source"
local suggest = require "linedancer.suggest"

local M = {}

-- The name under which VALUE was required, or nil.
local function module_of(value)
  local found
  for name, loaded in pairs(package.loaded) do
    if rawequal(loaded, value) and type(name) == "string" and (not found or name < found) then found = name end
  end
  return found
end

local function states_of(value)
  if type(value) == "function" then return { main = value } end
  return type(value) == "table" and type(value.states) == "table" and value.states or {}
end

local function file_of(value)
  local states = states_of(value)
  local name = suggest.keys(states)[1]
  if type(states[name]) ~= "function" then
    shape.refuse("a handler is what its module returned, or the module's name, not %s", shape.describe(value))
  end
  local where = debug.getinfo(states[name], "S").source
  if where:sub(1, 1) ~= "@" then
    shape.refuse "a handler for another worker comes from a file: this one was made from a string"
  end
  return where:sub(2)
end

--- { module = name } or { file = path, states = names } for VALUE, what a handler's module returned or, as a string,
-- that module's name or path; or nil and a message.
M.of = shape.guard(function(value)
  if type(value) == "string" then
    if value:find "/" or value:find "%.lua$" then return { file = value } end
    return { module = value }
  end
  local name = module_of(value)
  if name then return { module = name } end
  return { file = file_of(value), states = suggest.keys(states_of(value)) }
end)

local function same_names(expected, value)
  local names = suggest.keys(states_of(value))
  return table.concat(names, "\n") == table.concat(expected, "\n")
end

local loaded = {} -- handlers by path

local function load_file(origin)
  if loaded[origin.file] then return loaded[origin.file] end
  local ok, value = source.run(origin.file, source.module_name(origin.file))
  if not ok then
    error(("%s cannot be run in another worker; write the handler into a file of its own. %s"):format(origin.file,
      value), 0)
  end
  if origin.states and not same_names(origin.states, value) then
    error(("%s returns another handler, or none: for another worker, write a handler into a file of its own"):format(
      origin.file), 0)
  end
  loaded[origin.file] = value
  return value
end

--- What the module of ORIGIN, of of(), returns in this worker. Raises a message.
function M.load(origin)
  if origin.module then return require(origin.module) end
  return load_file(origin)
end

return M
