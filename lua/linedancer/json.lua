--- linedancer.json: plain tables as JSON text. (RFC 8259.)
local M = {}

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(c) return ESCAPES[c] or ("\\u%04x"):format(c:byte()) end

-- Bytes that are no UTF-8 would make the whole text unreadable: what is not ASCII is taken as Latin-1 then.
local function utf8(text)
  local rest = text:gsub("[%z\1-\127]", ""):gsub("[\194-\223][\128-\191]", "")
    :gsub("[\224-\239][\128-\191][\128-\191]", ""):gsub("[\240-\244][\128-\191][\128-\191][\128-\191]", "")
  if rest == "" then return text end
  return (text:gsub("[\128-\255]", function(c)
    local n = c:byte()
    return string.char(192 + math.floor(n / 64), 128 + n % 64)
  end))
end

local function text_of(value) return '"' .. utf8(value):gsub('[%c"\\\127]', escape) .. '"' end

local function number_of(value)
  if value ~= value or value == math.huge or value == -math.huge then return "null" end
  return ("%.14g"):format(value)
end

--- VALUE as text: strings, numbers, booleans, arrays (tables with [1], and empty ones) and objects, with sorted keys.
function M.encode(value)
  local kind = type(value)
  if kind == "string" then return text_of(value) end
  if kind == "number" then return number_of(value) end
  if kind ~= "table" then return value == nil and "null" or tostring(value) end
  local parts, keys = {}, {}
  if value[1] ~= nil or next(value) == nil then
    for i, item in ipairs(value) do parts[i] = M.encode(item) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key in pairs(value) do keys[#keys + 1] = tostring(key) end
  table.sort(keys)
  for i, key in ipairs(keys) do parts[i] = text_of(key) .. ":" .. M.encode(value[key]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

return M
