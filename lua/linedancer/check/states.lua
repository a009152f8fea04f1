--- check/states: what the source of a definition's states and hooks says about the way from state to state.
--
-- Functions are found by where they were compiled, so states may come from any module and be named in any way. Where
-- a function's source cannot be had, or returns what only running it tells, every state counts as reachable.
local lexer = require "linedancer.check.lexer"
local scan = require "linedancer.check.scan"
local source = require "linedancer.handler.source"
local suggest = require "linedancer.suggest"

local HOOKS = { "on_error", "on_timer", "on_drain", "upgrade" }

local Sources = {}
Sources.__index = Sources

-- The scanned functions of FILE, read once; none when it cannot be read.
function Sources:of(file)
  if not self[file] then
    local text = source.read(file)
    self[file] = text and scan.functions(lexer.tokens(text)) or {}
  end
  return self[file]
end

-- The scanned function that FN was compiled from and its file, or nil. NAME decides between two on the same lines.
function Sources:find(fn, name)
  local info = debug.getinfo(fn, "S")
  if info.source:sub(1, 1) ~= "@" then return nil end
  local file, same = info.source:sub(2), {}
  for _, one in ipairs(self:of(file)) do
    if one.line == info.linedefined and one.last == info.lastlinedefined then same[#same + 1] = one end
  end
  if #same == 1 then return same[1], file end
  for _, one in ipairs(same) do
    if one.name and ("." .. one.name):sub(-#name - 1) == "." .. name then return one, file end
  end
end

-- The states that scanned function FN of FILE can return: { [name] = line } and whether there may be others.
function Sources:targets(fn, file, found, seen)
  found, seen = found or { names = {}, dynamic = false }, seen or {}
  if seen[fn] then return found end
  seen[fn] = true
  for _, outcome in ipairs(fn.outcomes) do
    if outcome.kind == "state" then
      found.names[outcome.name] = found.names[outcome.name] or outcome.line
    elseif outcome.kind == "dynamic" then
      found.dynamic = true
    elseif outcome.kind == "call" then
      local known = false
      for _, callee in ipairs(self:of(file)) do
        if callee.name == outcome.name then
          known = true
          self:targets(callee, file, found, seen)
        end
      end
      found.dynamic = found.dynamic or not known
    end
  end
  return found
end

local M = {}

local function finding(list, file, line, text, ...)
  list[#list + 1] = { file = file, line = line, message = text:format(...) }
end

-- Each function that can name a state: { what = "state 'x'", fn =, name = }.
local function origins(definition)
  local list = {}
  local function add(what, name, fn, is_state)
    if fn then list[#list + 1] = { what = what, name = name, fn = fn, state = is_state and name } end
  end
  for _, name in ipairs(definition.state_names) do
    add(("state '%s'"):format(name), name, definition.states[name], true)
  end
  for _, hook in ipairs(HOOKS) do add(hook, hook, definition[hook]) end
  for _, key in ipairs { "on_message", "enter" } do
    local hook = definition[key]
    if type(hook) == "function" then add(key, key, hook) end
    for _, name in ipairs(type(hook) == "table" and suggest.keys(hook) or {}) do
      add(key .. "." .. name, name, hook[name])
    end
  end
  return list
end

-- The targets of every origin; names that are no state become errors.
local function resolve(definition, sources, errors)
  local by_state, roots = {}, { [definition.initial] = true }
  local dynamic = false
  for _, origin in ipairs(origins(definition)) do
    local fn, file = sources:find(origin.fn, origin.name)
    local found = fn and sources:targets(fn, file) or { names = {}, dynamic = true }
    for _, name in ipairs(suggest.keys(found.names)) do
      if not definition.states[name] then
        finding(errors, file, found.names[name], "%s returns '%s', which is no state%s", origin.what, name,
          suggest.hint(name, suggest.keys(definition.states)))
      elseif not origin.state then
        roots[name] = true
      end
    end
    if origin.state then
      by_state[origin.state] = { names = found.names, dynamic = found.dynamic, fn = fn, file = file }
    elseif found.dynamic then
      dynamic = true
    end
  end
  return by_state, roots, dynamic
end

-- The set of states that can be reached, or nil when that cannot be told.
local function reachable(by_state, roots)
  local reached, todo = {}, suggest.keys(roots)
  while #todo > 0 do
    local name = table.remove(todo)
    local state = by_state[name]
    if state and not reached[name] then
      if state.dynamic then return nil end
      reached[name] = true
      for target in pairs(state.names) do todo[#todo + 1] = target end
    end
  end
  return reached
end

--- Add to REPORT (errors, warnings) what the states of DEFINITION, loaded from FILENAME, let one find.
function M.check(definition, filename, report)
  local sources = setmetatable({}, Sources)
  local by_state, roots, dynamic = resolve(definition, sources, report.errors)
  local reached = not dynamic and reachable(by_state, roots)
  for _, name in ipairs(definition.state_names) do
    local state = by_state[name]
    local file, line = state.file or filename, state.fn and state.fn.line
    if reached and not reached[name] then
      finding(report.warnings, file, line, "state '%s' cannot be reached from '%s'", name, definition.initial)
    end
    for _, loop in ipairs(state.fn and state.fn.loops or {}) do
      finding(report.warnings, file, loop, "state '%s' loops without returning a state: a reload cannot move it; "
        .. "return \"%s\" for each frame, or leave when conn:stale()", name, name)
    end
  end
  for _, name in ipairs(definition.untimed) do
    local state = by_state[name]
    finding(report.warnings, state.file or filename, state.fn and state.fn.line,
      "state '%s' has no timeout: a silent peer stays for ever; timeouts = { 60 } limits every state, "
      .. "%s = false says that none is wanted", name, name)
  end
end

return M
