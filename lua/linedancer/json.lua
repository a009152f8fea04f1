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

-- Reading. AT is where to go on, in TEXT; each function returns a value and where it ends.

local DEPTH = 64
local NAMED = { ["true"] = true, ["false"] = false }
local CONTROLS = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
local read

local function refuse(at, what) error({ ("%s expected at byte %d"):format(what, at) }) end

local function skip(text, at) return text:match("^[ \t\r\n]*()", at) end

-- The code point as UTF-8; half of a pair stands for itself, as nothing.
local function char_of(n)
  if n < 0x80 then return string.char(n) end
  if n < 0x800 then return string.char(192 + math.floor(n / 64), 128 + n % 64) end
  if n < 0x10000 then return string.char(224 + math.floor(n / 4096), 128 + math.floor(n / 64) % 64, 128 + n % 64) end
  return string.char(240 + math.floor(n / 262144), 128 + math.floor(n / 4096) % 64, 128 + math.floor(n / 64) % 64,
    128 + n % 64)
end

local function read_escape(text, at)
  local c = text:sub(at, at)
  if c ~= "u" then return CONTROLS[c] or c:match '^["\\/]$' or refuse(at, "an escape"), at + 1 end
  local n = tonumber(text:match("^%x%x%x%x", at + 1) or refuse(at, "four digits"), 16)
  local low = n >= 0xD800 and n < 0xDC00 and text:match("^\\u([dD][c-fC-F]%x%x)", at + 5)
  if not low then return char_of(n), at + 5 end
  return char_of(0x10000 + (n - 0xD800) * 1024 + tonumber(low, 16) - 0xDC00), at + 11
end

local function read_text(text, at)
  local parts = {}
  while true do
    local plain, stop = text:match('^([^"\\%c]*)()', at)
    parts[#parts + 1] = plain
    local c = text:sub(stop, stop)
    if c == '"' then return table.concat(parts), stop + 1 end
    if c ~= "\\" then refuse(stop, "the end of a string") end
    parts[#parts + 1], at = read_escape(text, stop + 1)
  end
end

-- The items up to CLOSE, each taken by ITEM(list, at), which returns where it ends.
local function read_items(text, at, close, item)
  local list = {}
  at = skip(text, at)
  if text:sub(at, at) == close then return list, at + 1 end
  while true do
    at = skip(text, item(list, skip(text, at)))
    local c = text:sub(at, at)
    at = at + 1
    if c == close then return list, at end
    if c ~= "," then refuse(at - 1, ("',' or '%s'"):format(close)) end
  end
end

local function read_array(text, at, depth)
  return read_items(text, at, "]", function(list, from)
    local value, till = read(text, from, depth)
    list[#list + 1] = value
    return till
  end)
end

local function read_object(text, at, depth)
  return read_items(text, at, "}", function(list, from)
    if text:sub(from, from) ~= '"' then refuse(from, "a name") end
    local key, till = read_text(text, from + 1)
    till = skip(text, till)
    if text:sub(till, till) ~= ":" then refuse(till, "':'") end
    list[key], till = read(text, till + 1, depth)
    return till
  end)
end

local function read_plain(text, at)
  local word, till = text:match("^(%a+)()", at)
  if word == "null" then return nil, till end
  if NAMED[word] ~= nil then return NAMED[word], till end
  local number
  number, till = text:match("^(%-?%d+%.?%d*[eE]?[+-]?%d*)()", at)
  if not tonumber(number) then refuse(at, "a value") end
  return tonumber(number), till
end

function read(text, at, depth)
  at = skip(text, at)
  local c = text:sub(at, at)
  if c == '"' then return read_text(text, at + 1) end
  if c ~= "[" and c ~= "{" then return read_plain(text, at) end
  if depth == 0 then error({ ("more than %d levels at byte %d"):format(DEPTH, at) }) end
  if c == "[" then return read_array(text, at + 1, depth - 1) end
  return read_object(text, at + 1, depth - 1)
end

--- What TEXT says: true and the value, null being nil, also in arrays, where it leaves no gap; or false and what is
-- wrong with it. At most 64 levels.
function M.decode(text)
  local ok, value, at = pcall(read, text, 1, DEPTH)
  if not ok then return false, type(value) == "table" and value[1] or tostring(value) end
  at = skip(text, at)
  if at <= #text then return false, ("nothing more expected at byte %d"):format(at) end
  return true, value
end

return M
