--- shape: the checks that handler definitions and configs share, and the one way in which they refuse.
--
-- A check raises a refusal, a message for people; guard() turns it into `nil, message` at the module's edge. Any
-- other error is a fault of ours and passes through. A PATH is where a value stands, such as "listen[2].limits".
local suggest = require "linedancer.suggest"

local Refusal = {}

local M = {}

function M.refuse(text, ...)
  error(setmetatable({ message = select("#", ...) > 0 and text:format(...) or text }, Refusal), 0)
end

--- FN as a function that returns nil and the message where FN refuses; PREFIX(...) opens the message.
function M.guard(fn, prefix)
  return function(...)
    local ok, result = pcall(fn, ...)
    if ok then return result end
    if getmetatable(result) ~= Refusal then error(result, 0) end
    return nil, (prefix and prefix(...) or "") .. result.message
  end
end

-- Words in the names of what nobody should read in a log.
local SECRETS = { "passw", "passphrase", "secret", "token", "credential", "key$", "key[^%a]", "keys$" }

--- Does PATH, or what is named so, hold something that must not be shown?
function M.is_secret(path)
  path = path:lower()
  for _, word in ipairs(SECRETS) do
    if path:find(word) then return true end
  end
  return false
end

--- What VALUE is, after "must be ..., not "; of one at a PATH (or nil) that is secret, only its type. Who logs in by an
-- URL is not shown.
function M.describe(value, path)
  local kind = type(value)
  if value == nil then return "nothing" end
  if kind == "boolean" then return tostring(value) end
  if path and M.is_secret(path) then return "a " .. kind end
  if kind == "number" then return tostring(value) end
  if kind ~= "string" or #value > 40 then return "a " .. kind end
  return ("the string '%s'"):format((value:gsub("://[^/]*@", "://...@")))
end

--- PATH extended by KEY: "listen" + 2 -> "listen[2]", "listen[2]" + "name" -> "listen[2].name".
function M.at(path, key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then
    return path == "" and key or path .. "." .. key
  end
  return ("%s[%s]"):format(path, type(key) == "string" and ("%q"):format(key) or tostring(key))
end

function M.typed(value, kind, path)
  if type(value) ~= kind then M.refuse("%s must be a %s, not %s", path, kind, M.describe(value, path)) end
  return value
end

function M.finite(value)
  return type(value) == "number" and value == value and math.abs(value) < math.huge
end

function M.positive(value, path)
  if not M.finite(value) or value <= 0 then
    M.refuse("%s must be a number above 0, not %s", path, M.describe(value, path))
  end
  return value
end

function M.seconds(value, path)
  if not M.finite(value) or value < 0 then
    M.refuse("%s must be seconds, 0 or more, not %s", path, M.describe(value, path))
  end
  return value
end

function M.whole(value, least, path)
  if not M.finite(value) or value < least or value % 1 ~= 0 then
    M.refuse("%s must be a whole number, %d or more, not %s", path, least, M.describe(value, path))
  end
  return value
end

--- Refuse any key of TABLE that KNOWN (a set) lacks.
function M.known_keys(value, known, path)
  local wrong = {}
  for key in pairs(value) do
    if not known[key] then wrong[#wrong + 1] = key end
  end
  if #wrong == 0 then return end
  table.sort(wrong, function(a, b) return tostring(a) < tostring(b) end)
  local key = wrong[1]
  M.refuse("unknown key '%s'%s", M.at(path, key), suggest.hint(key, suggest.keys(known)))
end

local LEAST_MEMORY = 2 ^ 24 -- bytes: what there is without any connection, and some room

local CHECKS = {
  whole = function(value, path) return M.whole(value, 1, path) end,
  seconds = M.positive,
  ["seconds or 0"] = M.seconds,
  ["whole or 0"] = function(value, path) return M.whole(value, 0, path) end,
  ["number or 0"] = function(value, path)
    if not M.finite(value) or value < 0 then
      M.refuse("%s must be a number, 0 or more, not %s", path, M.describe(value))
    end
    return value
  end,
  ["memory or 0"] = function(value, path)
    if value == 0 then return 0 end
    return M.whole(value, LEAST_MEMORY, path)
  end,
}

--- LIMITS, whose names and kinds are KINDS: keys of CHECKS.
function M.limits(limits, kinds, path)
  M.typed(limits, "table", path)
  M.known_keys(limits, kinds, path)
  local checked = {}
  for name, value in pairs(limits) do
    local where = M.at(path, name)
    checked[name] = CHECKS[kinds[name]](value, where)
  end
  return checked
end

local function equal(a, b) return a == b end

--- Are A and B, with all that tables in them hold, the same? IS_SAME(a, b) says it of what are not both tables;
-- default: they are equal.
function M.same(a, b, is_same)
  is_same = is_same or equal
  if type(a) ~= "table" or type(b) ~= "table" then return is_same(a, b) end
  for key, value in pairs(a) do
    if not M.same(value, b[key], is_same) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

--- A copy of VALUE that shares no table with it; cycles are kept.
function M.copy(value, seen)
  if type(value) ~= "table" then return value end
  seen = seen or {}
  if seen[value] then return seen[value] end
  local copy = {}
  seen[value] = copy
  for k, v in pairs(value) do copy[M.copy(k, seen)] = M.copy(v, seen) end
  return copy
end

return M
