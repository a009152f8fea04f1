--- rtmp/amf_number: doubles as AMF has them, eight bytes, the highest first.
local ffi = require "ffi"

local M = {}

local byte, char = string.byte, string.char
local both = ffi.new "union { uint8_t b[8]; double d; }"
local order = ffi.abi "le" and { 7, 6, 5, 4, 3, 2, 1, 0 } or { 0, 1, 2, 3, 4, 5, 6, 7 }
local o1, o2, o3, o4, o5, o6, o7, o8 = unpack(order)

--- The double at byte AT of TEXT, which has eight there. Any NaN is one NaN: LuaJIT takes others for its own marks.
function M.read(text, at)
  local a, b, c, d, e, f, g, h = byte(text, at, at + 7)
  if a % 128 == 127 and b >= 240 then
    if b > 240 or c + d + e + f + g + h > 0 then return 0 / 0 end
    return a < 128 and math.huge or -math.huge
  end
  local u = both.b
  u[o1], u[o2], u[o3], u[o4], u[o5], u[o6], u[o7], u[o8] = a, b, c, d, e, f, g, h
  return both.d
end

--- X as eight bytes.
function M.write(x)
  both.d = x
  local u = both.b
  return char(u[o1], u[o2], u[o3], u[o4], u[o5], u[o6], u[o7], u[o8])
end

return M
