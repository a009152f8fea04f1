--- rtmp/amf: values of ActionScript that Lua has not, for amf0 and amf3.
--
-- A decoded object is a table of its properties, an array one of its elements, and metatables remember the rest: what
-- kind it is, the order of its keys. null and undefined are values of their own, so that no place is empty.
local M = {}

local SHOWN, SHOWN_DEPTH, SHOWN_PARTS = 400, 4, 24 -- of show(): bytes, levels, properties of one level

local function unique(name) return setmetatable({}, { kind = name, __tostring = function() return name end }) end

M.null, M.undefined, M.unsupported = unique "null", unique "undefined", unique "unsupported"

--- What VALUE is: "null", "undefined", "unsupported", "object", "ecma" (an array with names), "array", "typed", "date",
-- "xml", "bytes", "vector", "dictionary"; "string", "number", "boolean"; nil for what is no value of AMF.
function M.kind(value)
  local t = type(value)
  if t == "table" then
    local meta = getmetatable(value)
    return meta and meta.kind or "object"
  end
  if t == "nil" then return "null" end
  return (t == "string" or t == "number" or t == "boolean") and t or nil
end

--- The keys of an object, in their order; sorted when it has none.
function M.keys(value)
  local meta = getmetatable(value)
  if meta and meta.keys then return meta.keys end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

--- A table of KIND with what ABOUT, which is kept, says of it: keys = { name... }, class =, count =.
function M.new(kind, value, about)
  about = about or {}
  about.kind = kind
  return setmetatable(value, about)
end

-- PARTS is { { key, value }... }, or a table, whose keys are sorted.
local function properties(kind, parts, about)
  local value, keys = {}, {}
  about = about or {}
  about.keys = keys
  if type(parts[1]) == "table" and parts[1][1] ~= nil then
    for i, pair in ipairs(parts) do
      keys[i] = pair[1]
      value[pair[1]] = pair[2]
    end
    return M.new(kind, value, about)
  end
  for i, key in ipairs(M.keys(parts)) do
    keys[i] = key
    value[key] = parts[key]
  end
  return M.new(kind, value, about)
end

--- An object of PARTS: { { key, value }... } in that order, or { [key] = value }, sorted.
function M.object(parts) return properties("object", parts) end

--- The same as an ECMA array, and as an object of CLASS.
function M.ecma(parts) return properties("ecma", parts) end
function M.typed(class, parts) return properties("typed", parts, { class = class }) end

--- A strict array of VALUES; none may be nil.
function M.array(values) return M.new("array", values) end

--- A date, MS milliseconds after 1970; ZONE in minutes, which should be 0.
function M.date(ms, zone) return M.new("date", { time = ms, zone = zone or 0 }) end

local show

local function show_string(value)
  if #value > 80 then value = value:sub(1, 77) .. "..." end
  return ("%q"):format(value):gsub("\n", "n"):gsub("[%c\127-\255]", function(c) return ("\\%d"):format(c:byte()) end)
end

local function show_table(value, kind, depth, left)
  local parts = {}
  local keys = (kind == "array" or kind == "vector") and value or M.keys(value)
  for i = 1, #keys do
    if i > SHOWN_PARTS or left.bytes <= 0 then
      parts[i] = "..."
      break
    end
    if keys == value then
      parts[i] = show(value[i], depth, left)
    else
      local name = tostring(keys[i]):sub(1, 40):gsub("[%c\127-\255]", "?")
      left.bytes = left.bytes - #name
      parts[i] = name .. " = " .. show(value[keys[i]], depth, left)
    end
  end
  local class = getmetatable(value) and getmetatable(value).class
  class = class and class ~= "" and tostring(class):sub(1, 40) .. " " or ""
  return class .. "{ " .. table.concat(parts, ", ") .. " }"
end

function show(value, depth, left)
  local kind = M.kind(value)
  local text
  if kind == "string" then
    text = show_string(value)
  elseif kind == "date" then
    text = ("date %.17g"):format(value.time)
  elseif kind == "xml" or kind == "bytes" then
    text = ("%s of %d bytes"):format(kind, #value[1])
  elseif type(value) ~= "table" or value == M.null or value == M.undefined or value == M.unsupported then
    text = value == nil and "null" or tostring(value)
  elseif depth == SHOWN_DEPTH or left.bytes <= 0 then
    text = "..."
  else
    return show_table(value, kind, depth + 1, left)
  end
  left.bytes = left.bytes - #text
  return text
end

--- VALUE as one short line for people, whatever it is.
function M.show(value)
  return show(value, 0, { bytes = SHOWN })
end

return M
