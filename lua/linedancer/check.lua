--- check: finds mistakes in handlers and configs without serving anything.
--
-- A report is { errors = findings, warnings = findings }; a finding is { file =, line = or nil, message = }. The module
-- in question is run, as loading would; only its states and hooks are not called.
local config = require "linedancer.config"
local handler = require "linedancer.handler"
local lexer = require "linedancer.check.lexer"
local sandbox = require "linedancer.sandbox"
local source = require "linedancer.handler.source"
local states = require "linedancer.check.states"
local suggest = require "linedancer.suggest"

local M = {}

local function report_of() return { errors = {}, warnings = {} } end

local function order(a, b)
  if a.file ~= b.file then return a.file < b.file end
  if a.line ~= b.line then return (a.line or 0) < (b.line or 0) end
  return a.message < b.message
end

local function sorted(report)
  table.sort(report.errors, order)
  table.sort(report.warnings, order)
  return report
end

-- A message that may open with "file:" or "file:line:" as a finding.
local function parse(message, filename)
  if message:sub(1, #filename + 1) ~= filename .. ":" then return { file = filename, message = message } end
  local line, text = message:match("^(%d+): (.*)$", #filename + 2)
  text = text or message:sub(#filename + 2):gsub("^ ", "")
  return { file = filename, line = tonumber(line), message = (text:gsub("^handler '[^']*': ", "", 1)) }
end

-- The key that MESSAGE is about: the one it quotes, or the end of the path that opens it.
local function key_of(message)
  local path = message:match("^unknown key '([^']+)'")
  if not path then
    path = message:match("^[%w_%.%[%]]+")
    local top = path and path:match("^[%a_]+")
    if not (config.KEYS[top] or handler.KEYS[top]) then return nil end
  end
  return path:match("([%a_][%w_]*)[^%a_]*$")
end

-- The line on which FILENAME sets the key that MESSAGE is about; nil when there is not exactly one.
local function locate(message, filename)
  local text, key = source.read(filename), key_of(message)
  if not text or not key then return nil end
  local line
  local tokens = lexer.tokens(text)
  for i, token in ipairs(tokens) do
    local is_key = token.text == key and tokens[i + 1].text == "=" and (i == 1 or tokens[i - 1].text ~= ".")
    if is_key and line then return nil end
    if is_key then line = token.line end
  end
  return line
end

local function failed(report, message, filename)
  local found = parse(message, filename)
  found.line = found.line or locate(found.message, filename)
  table.insert(report.errors, found)
  return report
end

local function check_handler(filename, name, report, listener)
  local definition, message
  if listener and listener.definition then return listener.definition() end
  if listener and listener.sandbox then
    definition, message = sandbox.open(listener)
  else
    definition, message = handler.load(filename, name)
  end
  if not definition then
    failed(report, message, filename)
    return nil
  end
  states.check(definition, filename, report)
  return definition
end

--- Check the handler in FILENAME, loaded as module NAME; PATH holds more directories for `require`.
function M.handler(filename, name, path)
  local report = report_of()
  handler.search(path or {})
  check_handler(filename, name, report)
  return sorted(report)
end

--- Check the handler of LISTENER, of linedancer.config; BUNDLED as for config().
function M.listener(listener, bundled)
  if not listener.sandbox then return M.file(listener.file, bundled) end
  local report = report_of()
  check_handler(listener.file, listener.module, report, listener)
  return sorted(report)
end

-- What the config asks of a handler and what the handler allows.
local function check_listener(i, listener, definition, loaded, report)
  local where = ("listen[%d]"):format(i)
  local merged, message = handler.options(definition, listener.options)
  if not merged then
    failed(report, ("%s: %s.options: %s"):format(loaded.file, where, message), loaded.file)
  end
  for _, limit in ipairs(suggest.keys(handler.LIMITS)) do
    local own, most = definition.limits[limit], listener.limits[limit] or loaded.limits[limit]
    if own and most and own > most then
      table.insert(report.warnings, { file = loaded.file, message =
        ("%s: handler '%s' asks for limits.%s = %g, and gets the %g that the config allows"):format(where,
          listener.handler, limit, own, most) })
    end
  end
end

local function check_tls(i, listener, loaded, report)
  if not listener.tls then return end
  local context, message = require("linedancer.tls").context(listener.tls)
  if not context then
    failed(report, ("%s: listen[%d].tls: %s"):format(loaded.file, i, message), loaded.file)
  elseif message then
    table.insert(report.warnings, { file = loaded.file, message = ("listen[%d].tls: %s"):format(i, message) })
  end
end

--- Check the config in FILENAME and every handler that it names; BUNDLED is where the handlers of Linedancer are.
function M.config(filename, bundled)
  local report = report_of()
  local loaded, message = config.load(filename, bundled)
  if not loaded then return failed(report, message, filename) end
  handler.search(loaded.path)
  local definitions = {}
  for i, listener in ipairs(loaded.listen) do
    local key = listener.file .. (listener.sandbox and " sandboxed" or "")
    if definitions[key] == nil then
      definitions[key] = check_handler(listener.file, listener.module, report, listener) or false
    end
    if definitions[key] then
      check_listener(i, listener, definitions[key], loaded, report)
    end
    check_tls(i, listener, loaded, report)
  end
  return sorted(report)
end

-- How many keys of VALUE are, or look like, those of KNOWN.
local function likeness(value, known)
  local score = 0
  for _, key in ipairs(suggest.keys(value)) do
    score = score + (known[key] and 2 or suggest.nearest(key, suggest.keys(known)) and 1 or 0)
  end
  return score
end

--- "config" or "handler", by what a module returned; nil when it looks like neither.
function M.kind(value)
  if type(value) == "function" then return "handler" end
  if type(value) ~= "table" then return nil end
  local as_config, as_handler = likeness(value, config.KEYS), likeness(value, handler.KEYS)
  if as_config == as_handler then return nil end
  return as_config > as_handler and "config" or "handler"
end

--- Check FILENAME as what it is; BUNDLED as for config().
function M.file(filename, bundled)
  local value, message = handler.run(filename, nil, setmetatable({}, { __index = _G }))
  if message then return failed(report_of(), message, filename) end
  local kind = M.kind(value)
  if kind == "config" then return M.config(filename, bundled) end
  if kind == "handler" then return M.handler(filename) end
  return failed(report_of(), "this is neither a config, which returns { listen = ... }, nor a handler, "
    .. "which returns { states = ... } or a function", filename)
end

--- FOUND as a line for people; SEVERITY is "error" or "warning".
function M.format(found, severity)
  return ("%s:%s %s: %s"):format(found.file, found.line and found.line .. ":" or "", severity, found.message)
end

return M
