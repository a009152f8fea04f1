--- rtmp/amf3: decodes Action Message Format 3, within a body of AMF0.
--
--   undefined 0    null 1    false 2    true 3    integer 4 u29    double 5 f64    string 6    xmldoc 7    date 8
--   array 9    object A    xml B    bytes C    vector of int D, uint E, double F, object 10    dictionary 11
--
-- A u29 has 7 bits in each byte but the fourth, which has 8. Of most, its lowest bit says whether the value follows, or
-- is one that came before, of which there are three lists: strings, objects (all that is not a string), and traits.
local amf = require "handlers.rtmp.amf"
local reader = require "handlers.rtmp.amf_reader"

local M = {}

local byte, floor = string.byte, math.floor
local fail, need, take, f64 = reader.fail, reader.need, reader.take, reader.f64

-- r.amf3 = { strings, objects, traits }.

local function u29(r)
  local value = 0
  for i = 1, 4 do
    need(r, 1)
    local b = byte(r.text, r.at)
    r.at = r.at + 1
    if i == 4 then return value * 256 + b end
    value = value * 128 + b % 128
    if b < 128 then return value end
  end
end

-- A u29 whose lowest bit says that a value of that size follows: the size; or else nil and the value from LIST.
local function size_or_old(r, list)
  local head = u29(r)
  if head % 2 == 1 then return floor(head / 2) end
  local old = list[head / 2 + 1]
  if old == nil then fail("there is no value %d to refer to", head / 2) end
  return nil, old
end

local function text(r)
  local strings = r.amf3.strings
  local size, old = size_or_old(r, strings)
  if not size then return old end
  local value = take(r, size)
  if value ~= "" then strings[#strings + 1] = value end
  return value
end

local function remember(r, value)
  local objects = r.amf3.objects
  objects[#objects + 1] = value
  return value
end

local read

local function put(value, keys, key, property)
  if value[key] == nil then keys[#keys + 1] = key end
  value[key] = property
end

-- Names and values until an empty name.
local function dynamic(r, value, keys)
  while true do
    local key = text(r)
    if key == "" then return value end
    put(value, keys, key, read(r))
  end
end

local function array(r)
  local size, old = size_or_old(r, r.amf3.objects)
  if not size then return old end
  local keys = {}
  local value = remember(r, amf.new("ecma", {}, { keys = keys }))
  dynamic(r, value, keys)
  local meta = getmetatable(value)
  if #keys == 0 then
    meta.kind, meta.keys = "array", nil
    for i = 1, size do value[i] = read(r) end
  else
    for i = 1, size do put(value, keys, tostring(i - 1), read(r)) end
  end
  return value
end

local function traits_of(r, head)
  local known = r.amf3.traits
  if head % 2 == 0 then
    return known[head / 2 + 1] or fail("there are no traits %d to refer to", head / 2)
  end
  local flags = floor(head / 2)
  local traits = { class = text(r), external = flags % 2 == 1, dynamic = floor(flags / 2) % 2 == 1 }
  for i = 1, floor(flags / 4) do
    reader.count(r)
    traits[i] = text(r)
  end
  known[#known + 1] = traits
  return traits
end

-- Classes that write themselves, and of which it is known how: as one value.
local WRAPPERS = {
  ["flex.messaging.io.ArrayCollection"] = true, ["flex.messaging.io.ObjectProxy"] = true,
  ["flex.messaging.io.ArrayList"] = true,
}

local function object(r)
  local size, old = size_or_old(r, r.amf3.objects)
  if not size then return old end
  local traits = traits_of(r, size)
  local keys = {}
  local kind = traits.class == "" and "object" or "typed"
  local value = remember(r, amf.new(kind, {}, { keys = keys, class = traits.class }))
  if traits.external then
    if not WRAPPERS[traits.class] then fail("class '%s' writes itself", traits.class:sub(1, 40)) end
    put(value, keys, "source", read(r))
    return value
  end
  for i = 1, #traits do put(value, keys, traits[i], read(r)) end
  return traits.dynamic and dynamic(r, value, keys) or value
end

-- A value that is SIZE bytes, of KIND.
local function blob(kind)
  return function(r)
    local size, old = size_or_old(r, r.amf3.objects)
    if not size then return old end
    return remember(r, amf.new(kind, { take(r, size) }))
  end
end

local function u32(r)
  local a, b, c, d = byte(take(r, 4), 1, 4)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

local function i32(r)
  local value = u32(r)
  return value < 2 ^ 31 and value or value - 2 ^ 32
end

local function vector(element, with_class)
  return function(r)
    local size, old = size_or_old(r, r.amf3.objects)
    if not size then return old end
    take(r, 1) -- whether its size is fixed
    local value = remember(r, amf.new("vector", {}, { class = with_class and text(r) or nil }))
    for i = 1, size do
      reader.count(r)
      value[i] = element(r)
    end
    return value
  end
end

local function dictionary(r)
  local size, old = size_or_old(r, r.amf3.objects)
  if not size then return old end
  take(r, 1) -- whether its keys are weak
  local keys = {}
  local value = remember(r, amf.new("dictionary", {}, { keys = keys }))
  for _ = 1, size do
    local key = read(r)
    if key ~= key then fail "a key is no number" end
    put(value, keys, key, read(r))
  end
  return value
end

local function date(r)
  local size, old = size_or_old(r, r.amf3.objects)
  if not size then return old end
  return remember(r, amf.date(f64(r)))
end

local readers = {
  [0] = function() return amf.undefined end,
  [1] = function() return amf.null end,
  [2] = function() return false end,
  [3] = function() return true end,
  [4] = function(r)
    local value = u29(r)
    return value < 2 ^ 28 and value or value - 2 ^ 29
  end,
  [5] = f64, [6] = text, [7] = blob "xml", [8] = date, [9] = array, [10] = object, [11] = blob "xml",
  [12] = blob "bytes", [13] = vector(i32), [14] = vector(u32), [15] = vector(f64),
  [16] = vector(function(r) return read(r) end, true), [17] = dictionary,
}

function read(r)
  need(r, 1)
  local marker = byte(r.text, r.at)
  local fn = readers[marker]
  if not fn then fail("no AMF3 value begins with %d", marker) end
  r.at = r.at + 1
  return reader.within(r, fn)
end

--- Read one value with R, the reader of amf0, which stands at its marker.
function M.read(r)
  r.amf3 = r.amf3 or { strings = {}, objects = {}, traits = {} }
  return read(r)
end

return M
