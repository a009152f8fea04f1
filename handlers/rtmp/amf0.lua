--- rtmp/amf0: Action Message Format 0, both ways.
--
--   number 0 f64    boolean 1 u8    string 2 u16+bytes    object 3 (key value)* end    null 5    undefined 6
--   reference 7 u16    ecma array 8 count:u32 (key value)* end    strict array A count:u32 value*    date B f64 s16
--   long string C u32+bytes    unsupported D    xml F u32+bytes    typed object 10 class (key value)* end    AMF3 11
--
--   key = u16+bytes; end = 0 0 9. The count of an ECMA array is a hint, and an end may be missing where the body ends.
--
-- What a peer sends is decoded within budgets, of depth, values and bytes; nothing is taken on a declared count alone.
local ld = require "linedancer"
local amf = require "handlers.rtmp.amf"
local amf3 = require "handlers.rtmp.amf3"
local reader = require "handlers.rtmp.amf_reader"

local M = {
  null = amf.null, undefined = amf.undefined, unsupported = amf.unsupported, object = amf.object, ecma = amf.ecma,
  typed = amf.typed, array = amf.array, date = amf.date, kind = amf.kind, keys = amf.keys, show = amf.show,
}

local byte, char = string.byte, string.char
local fail, need, take, f64 = reader.fail, reader.need, reader.take, reader.f64

local BUDGET = { depth = 32, nodes = 10000, bytes = 2 ^ 18 }
local ENCODE_DEPTH, ENCODE_NODES = 64, 100000
local END = "\0\0\9"
local F64 = ld.format ">d"

local function u16(r)
  need(r, 2)
  local a, b = byte(r.text, r.at, r.at + 1)
  r.at = r.at + 2
  return a * 256 + b
end

local function u32(r)
  need(r, 4)
  local a, b, c, d = byte(r.text, r.at, r.at + 3)
  r.at = r.at + 4
  return ((a * 256 + b) * 256 + c) * 256 + d
end

local read

local function remember(r, value)
  r.objects[#r.objects + 1] = value
  return value
end

-- Properties into VALUE until their end, or that of the body.
local function properties(r, value, keys)
  while r.at <= r.size do
    local key = take(r, u16(r))
    if key == "" and byte(r.text, r.at) == 9 then
      r.at = r.at + 1
      return value
    end
    local property = read(r)
    if value[key] == nil then keys[#keys + 1] = key end
    value[key] = property
  end
  return value
end

local function object(r, kind, about)
  about.keys = {}
  return properties(r, remember(r, amf.new(kind, {}, about)), about.keys)
end

local function strict(r)
  local count, value = u32(r), remember(r, amf.new("array", {}))
  for i = 1, count do value[i] = read(r) end
  return value
end

local readers = {
  [0] = f64,
  [1] = function(r) return byte(take(r, 1)) ~= 0 end,
  [2] = function(r) return take(r, u16(r)) end,
  [3] = function(r) return object(r, "object", {}) end,
  [5] = function() return amf.null end,
  [6] = function() return amf.undefined end,
  [7] = function(r)
    local index = u16(r)
    return r.objects[index + 1] or fail("there is no object %d to refer to", index)
  end,
  [8] = function(r) return object(r, "ecma", { count = u32(r) }) end,
  [10] = strict,
  [11] = function(r)
    local ms, zone = f64(r), u16(r)
    return amf.date(ms, zone < 32768 and zone or zone - 65536)
  end,
  [12] = function(r) return take(r, u32(r)) end,
  [13] = function() return amf.unsupported end,
  [15] = function(r) return amf.new("xml", { take(r, u32(r)) }) end,
  [16] = function(r) return object(r, "typed", { class = take(r, u16(r)) }) end,
  [17] = amf3.read,
}

function read(r)
  local marker = byte(r.text, r.at)
  if not marker then fail "a value is missing" end
  local fn = readers[marker]
  if not fn then fail("no value begins with %d", marker) end
  r.at = r.at + 1
  return reader.within(r, fn)
end

local function read_all(r, values)
  while r.at <= r.size do
    local value = read(r)
    values.n = values.n + 1
    values[values.n] = value
  end
end

--- The values of BODY (a string, slice, buffer or blob): { n = count, ... }; and, when it stopped before the end, what
-- is wrong, as a text. BUDGET: { depth = 32, nodes = 10000, bytes = 262144 }. Never raises for what a peer sends.
function M.decode(body, budget)
  local text, values = tostring(body), { n = 0 }
  budget = budget or BUDGET
  if #text > budget.bytes then return values, ("%d bytes, more than %d"):format(#text, budget.bytes) end
  local r = {
    text = text, at = 1, size = #text, depth = budget.depth, nodes = budget.nodes, budget = budget, objects = {},
  }
  local ok, err = pcall(read_all, r, values)
  if ok then return values end
  if type(err) ~= "table" or not err.amf then error(err, 0) end
  return values, err.amf
end

local write

local function sized(value)
  if #value > 65535 then error("amf0: a name has at most 65535 bytes", 0) end
  return char(math.floor(#value / 256), #value % 256) .. value
end

local function u32_text(n)
  return char(math.floor(n / 2 ^ 24) % 256, math.floor(n / 2 ^ 16) % 256, math.floor(n / 256) % 256, n % 256)
end

local function write_properties(w, value)
  for _, key in ipairs(amf.keys(value)) do
    if type(key) ~= "string" then error("amf0: a property is called by a string, not a " .. type(key), 0) end
    w[#w + 1] = sized(key)
    write(w, value[key])
  end
  w[#w + 1] = END
end

local function write_array(w, value)
  w[#w + 1] = "\10" .. u32_text(#value)
  for i = 1, #value do write(w, value[i]) end
end

local writers = {
  null = function(w) w[#w + 1] = "\5" end,
  undefined = function(w) w[#w + 1] = "\6" end,
  unsupported = function(w) w[#w + 1] = "\13" end,
  boolean = function(w, value) w[#w + 1] = value and "\1\1" or "\1\0" end,
  number = function(w, value) w[#w + 1] = "\0" .. F64:pack(value) end,
  string = function(w, value)
    w[#w + 1] = #value <= 65535 and "\2" .. sized(value) or "\12" .. u32_text(#value) .. value
  end,
  object = function(w, value)
    w[#w + 1] = "\3"
    write_properties(w, value)
  end,
  ecma = function(w, value)
    w[#w + 1] = "\8" .. u32_text(getmetatable(value).count or #amf.keys(value))
    write_properties(w, value)
  end,
  typed = function(w, value)
    w[#w + 1] = "\16" .. sized(getmetatable(value).class)
    write_properties(w, value)
  end,
  array = write_array,
  vector = write_array,
  date = function(w, value)
    local zone = value.zone % 65536
    w[#w + 1] = "\11" .. F64:pack(value.time) .. char(math.floor(zone / 256), zone % 256)
  end,
  xml = function(w, value) w[#w + 1] = "\15" .. u32_text(#value[1]) .. value[1] end,
}

function write(w, value)
  local fn = writers[amf.kind(value)]
  if not fn then error("amf0: a " .. (amf.kind(value) or type(value)) .. " cannot be encoded", 0) end
  w.depth, w.nodes = w.depth + 1, w.nodes + 1
  if w.depth > ENCODE_DEPTH then error("amf0: nested too deep, or within itself", 0) end
  if w.nodes > ENCODE_NODES then error("amf0: too many values", 0) end
  fn(w, value)
  w.depth = w.depth - 1
end

--- VALUES as a string. nil is null. Raises a text for what cannot be encoded.
function M.encode(...)
  local w = { depth = 0, nodes = 0 }
  for i = 1, select("#", ...) do write(w, (select(i, ...))) end
  return table.concat(w)
end

return M
