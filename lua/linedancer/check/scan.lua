--- check/scan: the functions in a Lua source, what each can return, and the loops in it that never return.
--
--   { name = "states.hello" or nil, line =, last =, outcomes = see check/outcome, loops = { line... } }
--
-- A walk over the tokens with a stack of open blocks; expressions are looked at only in `return`.
local lexer = require "linedancer.check.lexer"
local outcome = require "linedancer.check.outcome"

local READS = {}
for name in ([[unpack expect peek read read_some read_line read_until lines skip skip_until packet slice body
  read_into relay wait receive]]):gmatch "%S+" do
  READS[name] = true
end

local M = {}

-- "a.b.c" that ends at token LAST, or nil.
local function name_before(tokens, last)
  local token = tokens[last]
  if not token then return nil end
  if token.text == "]" and tokens[last - 1].kind == "string" and tokens[last - 2].text == "[" then
    local key = tostring(lexer.value(tokens[last - 1]))
    local owner = tokens[last - 3]
    return owner and owner.kind == "name" and owner.text .. "." .. key or key
  end
  if token.kind ~= "name" then return nil end
  local name, i = token.text, last - 1
  while i > 1 and tokens[i].text == "." and tokens[i - 1].kind == "name" do
    name, i = tokens[i - 1].text .. "." .. name, i - 2
  end
  return name
end

-- The name that the function at token AT is given: `function a.b(`, `a.b = function`, `["b"] = function`.
local function function_name(tokens, at)
  if tokens[at + 1].kind ~= "name" then
    return tokens[at - 1] and tokens[at - 1].text == "=" and name_before(tokens, at - 2) or nil
  end
  local name, i = tokens[at + 1].text, at + 2
  while (tokens[i].text == "." or tokens[i].text == ":") and tokens[i + 1].kind == "name" do
    name, i = name .. "." .. tokens[i + 1].text, i + 2
  end
  return name
end

local Scan = {}
Scan.__index = Scan

function Scan:top() return self.stack[#self.stack] end

function Scan:push(kind, line)
  local top = self:top()
  self.stack[#self.stack + 1] = { kind = kind, line = line, fn = top and top.fn }
  return self:top()
end

-- Set FLAG on the loops around the current token, in this function; only the innermost when INNER.
function Scan:mark_loops(flag, inner)
  for i = #self.stack, 1, -1 do
    local frame = self.stack[i]
    if frame.kind == "function" then return end
    if frame.loop then
      frame[flag] = true
      if inner then return end
    end
  end
end

function Scan:pop(line)
  local frame = table.remove(self.stack)
  if not frame then return end
  if frame.kind == "function" then
    frame.fn.last = line
  elseif frame.endless and frame.reads and not (frame.leaves or frame.stale) then
    table.insert(frame.fn.loops, frame.line)
  end
end

local function endless_while(tokens, at)
  local condition = tokens[at + 1].text
  return (condition == "true" or condition == "1") and tokens[at + 2].text == "do"
end

local on = {}

on["function"] = function(self, at, token)
  local fn = { name = function_name(self.tokens, at), line = token.line, outcomes = {}, loops = {} }
  self.functions[#self.functions + 1] = fn
  self:push("function", token.line).fn = fn
end

on["if"] = function(self, _, token) self:push("if", token.line) end

on["while"] = function(self, at, token)
  local frame = self:push("while", token.line)
  frame.loop, frame.header, frame.endless = true, true, endless_while(self.tokens, at)
end

on["for"] = function(self, _, token)
  local frame = self:push("for", token.line)
  frame.loop, frame.header = true, true
end

on["do"] = function(self, _, token)
  if self:top().header then self:top().header = nil else self:push("do", token.line) end
end

on["repeat"] = function(self, _, token) self:push("repeat", token.line).loop = true end

on["until"] = function(self, at, token)
  local after = self.tokens[at + 2]
  local never = self.tokens[at + 1].text == "false"
    and not (after and (after.text == "or" or after.text == "==" or after.text == "~="))
  self:top().endless = never
  self:pop(token.line)
end

on["end"] = function(self, _, token) self:pop(token.line) end

on["break"] = function(self) self:mark_loops("leaves", true) end

on["goto"] = function(self) self:mark_loops("leaves") end

on["return"] = function(self, at)
  for _, found in ipairs(outcome.of(self.tokens, at)) do
    table.insert(self:top().fn.outcomes, found)
    if found.kind ~= "end" then self:mark_loops "leaves" end
  end
end

local function on_name(self, at, token)
  local before = at > 1 and self.tokens[at - 1].text
  if before ~= ":" and before ~= "." then return end
  if READS[token.text] then self:mark_loops "reads" end
  if token.text == "stale" then self:mark_loops "stale" end
end

--- The functions of TOKENS, in the order in which they open.
function M.functions(tokens)
  local scan = setmetatable({ tokens = tokens, functions = {}, stack = {} }, Scan)
  local main = { name = nil, line = 0, outcomes = {}, loops = {} }
  scan:push("function", 0).fn = main
  for at, token in ipairs(tokens) do
    if token.kind == "keyword" and on[token.text] then
      on[token.text](scan, at, token)
    elseif token.kind == "name" then
      on_name(scan, at, token)
    end
  end
  return scan.functions
end

return M
