--- check/outcome: what a `return` statement can give, as far as its text tells.
--
--   { kind = "state", name =, line = }   a literal
--   { kind = "call", name =, line = }    whatever the named function returns
--   { kind = "end" }                     nothing: the connection ends, or the call raises
--   { kind = "dynamic" }                 known only when it runs
local lexer = require "linedancer.check.lexer"

local OPEN = { ["("] = true, ["{"] = true, ["["] = true, ["function"] = true, ["if"] = true, ["do"] = true,
  ["repeat"] = true }
local CLOSE = { [")"] = true, ["}"] = true, ["]"] = true, ["end"] = true, ["until"] = true }
local STOP = { ["end"] = true, ["else"] = true, ["elseif"] = true, ["until"] = true, [";"] = true }
local ENDS = { fail = true, close = true, reset = true }

local M = {}

-- Strings may look like any word, so only operators and keywords count.
local function word(token)
  return (token.kind == "op" or token.kind == "keyword") and token.text or nil
end

-- Call FN(i, word) for each token in FIRST..LAST outside brackets and nested functions, until it returns true.
local function at_top(tokens, first, last, fn)
  local depth = 0
  for i = first, last do
    local w = word(tokens[i])
    if depth == 0 and fn(i, w) then return end
    if OPEN[w] then depth = depth + 1 elseif CLOSE[w] then depth = depth - 1 end
  end
end

local function split(tokens, first, last, separator)
  local parts, from = {}, first
  at_top(tokens, first, last, function(i, w)
    if w == separator then
      parts[#parts + 1] = { from, i - 1 }
      from = i + 1
    end
  end)
  parts[#parts + 1] = { from, last }
  return parts
end

-- The bracket that closes the one at FIRST.
local function closing(tokens, first, last)
  local depth = 0
  for i = first, last do
    local w = word(tokens[i])
    if OPEN[w] then depth = depth + 1 elseif CLOSE[w] then depth = depth - 1 end
    if depth == 0 then return i end
  end
end

-- Whether FIRST..LAST are the arguments of one call: (...), {...} or a string.
local function arguments(tokens, first, last)
  if first > last then return false end
  if tokens[first].kind == "string" then return first == last end
  local w = word(tokens[first])
  return (w == "(" or w == "{") and closing(tokens, first, last) == last
end

-- a.b.c(...), a:fail(...), ld.postpone.
local function prefixed(tokens, first, last)
  local name, i = tokens[first].text, first + 1
  while i < last and word(tokens[i]) == "." and tokens[i + 1].kind == "name" do
    name, i = name .. "." .. tokens[i + 1].text, i + 2
  end
  if i > last then return { kind = name:find("%.postpone$") and "end" or "dynamic" } end
  if word(tokens[i]) == ":" then
    local ends = ENDS[tokens[i + 1].text] and arguments(tokens, i + 2, last)
    return { kind = ends and "end" or "dynamic" }
  end
  if not arguments(tokens, i, last) then return { kind = "dynamic" } end
  return name == "error" and { kind = "end" } or { kind = "call", name = name, line = tokens[first].line }
end

local function simple(tokens, first, last)
  local token = tokens[first]
  if first == last and token.kind == "string" then
    return { kind = "state", name = lexer.value(token), line = token.line }
  end
  if first == last and (token.text == "nil" or token.text == "false") then return { kind = "end" } end
  if token.kind == "name" then return prefixed(tokens, first, last) end
  return { kind = "dynamic" }
end

-- `a and "x" or "y"` gives "x" or "y": what stands before an `and` can only give nil or false.
local function classify(tokens, first, last, found)
  while first <= last and word(tokens[first]) == "(" and closing(tokens, first, last) == last do
    first, last = first + 1, last - 1
  end
  if first > last then
    found[#found + 1] = { kind = "end" }
    return
  end
  local either = split(tokens, first, last, "or")
  if #either > 1 then
    for _, part in ipairs(either) do classify(tokens, part[1], part[2], found) end
    return
  end
  local both = split(tokens, first, last, "and")
  if #both > 1 then return classify(tokens, both[#both][1], both[#both][2], found) end
  found[#found + 1] = simple(tokens, first, last)
end

--- The outcomes of the `return` at token AT, by its first value.
function M.of(tokens, at)
  local stop = #tokens
  at_top(tokens, at + 1, #tokens, function(i, w)
    if STOP[w] then stop = i end
    return STOP[w]
  end)
  local first = split(tokens, at + 1, stop - 1, ",")[1]
  local found = {}
  classify(tokens, first[1], first[2], found)
  return found
end

return M
