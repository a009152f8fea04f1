--- linedancer.topic.pattern: topics and patterns of topics, as MQTT 3.1.1 has them.
--
-- Levels are separated by "/" and may be empty. In a pattern "+" is one level, whatever it is, and "#", the last, any
-- number of levels, none as well.
local errors = require "linedancer.errors"

local M = {}

local MAX_BYTES, MAX_LEVELS = 1024, 64

-- The levels of TEXT, called WHAT; or nil and why it is none: a text, or an error object.
local function split(text, what)
  if type(text) ~= "string" then return nil, ("a %s is a string, not a %s"):format(what, type(text)) end
  if text == "" then return nil, ("a %s has at least one byte"):format(what) end
  if text:find("\0", 1, true) then return nil, ("a %s has no zero bytes"):format(what) end
  if #text > MAX_BYTES then return nil, errors.new("limit", ("a %s has at most %d bytes"):format(what, MAX_BYTES)) end
  local levels, n = {}, 0
  for level in (text .. "/"):gmatch "([^/]*)/" do
    n = n + 1
    levels[n] = level
  end
  if n > MAX_LEVELS then return nil, errors.new("limit", ("a %s has at most %d levels"):format(what, MAX_LEVELS)) end
  return levels
end

--- The levels of the topic TEXT; or nil and why it is none.
function M.topic(text)
  local levels, problem = split(text, "topic")
  if not levels then return nil, problem end
  if text:find "[+#]" then return nil, ("the topic %q has a wildcard"):format(text) end
  return levels
end

--- The levels of the pattern TEXT; or nil and why it is none.
function M.pattern(text)
  local levels, problem = split(text, "pattern")
  if not levels then return nil, problem end
  for i, level in ipairs(levels) do
    if #level > 1 and level:find "[+#]" then
      return nil, ("pattern %q: + and # stand alone between slashes"):format(text)
    end
    if level == "#" and i < #levels then return nil, ("pattern %q: # is the last level"):format(text) end
  end
  return levels
end

return M
