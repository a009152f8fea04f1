--- rtmp/media_headers: what decoder configurations say, by codec, for people who look at streams.
--
-- Each function takes the configuration as a string and returns a table; what is cut short is left out.
local M = {}

local floor = math.floor

-- A reader of bits, the highest first. Beyond the end there are zeros, and `over` is set.
local function bits_of(text)
  local bits = { at = 0, over = false }

  function bits.u(n)
    local value = 0
    for _ = 1, n do
      local byte = text:byte(floor(bits.at / 8) + 1)
      if not byte then bits.over = true end
      value = value * 2 + floor((byte or 0) / 2 ^ (7 - bits.at % 8)) % 2
      bits.at = bits.at + 1
    end
    return value
  end

  -- Exp-Golomb. (H.264 9.1.)
  function bits.ue()
    local zeros = 0
    while zeros < 32 and not bits.over and bits.u(1) == 0 do zeros = zeros + 1 end
    return 2 ^ zeros - 1 + bits.u(zeros)
  end

  function bits.se()
    local k = bits.ue()
    return k % 2 == 1 and (k + 1) / 2 or -k / 2
  end

  return bits
end

-- An RBSP: the payload without the bytes that keep start codes out of it.
local function rbsp(text) return (text:gsub("%z%z\3", "\0\0")) end

local SIZE_MAX = 65536 -- pixels

-- WIDTH and HEIGHT, if they can be meant.
local function plausible(bits, width, height)
  if bits.over or width < 1 or height < 1 or width > SIZE_MAX or height > SIZE_MAX then return nil end
  return width, height
end

-- WIDTH and HEIGHT less the cropping that comes next, in units of the chroma format CHROMA; FIELDS make a picture.
local function cropped(bits, width, height, chroma, fields)
  if bits.u(1) == 1 then
    local unit_x = (chroma == 1 or chroma == 2) and 2 or 1
    local unit_y = (chroma == 1 and 2 or 1) * fields
    local left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
    width, height = width - unit_x * (left + right), height - unit_y * (top + bottom)
  end
  return plausible(bits, width, height)
end

local HIGH = { [100] = true, [110] = true, [122] = true, [244] = true, [44] = true, [83] = true, [86] = true,
  [118] = true, [128] = true, [138] = true }

local function skip_scaling_lists(bits, chroma)
  for i = 1, chroma == 3 and 12 or 8 do
    if bits.u(1) == 1 then
      local last, next_scale = 8, 8
      for _ = 1, i <= 6 and 16 or 64 do
        if next_scale ~= 0 then next_scale = (last + bits.se() + 256) % 256 end
        if next_scale ~= 0 then last = next_scale end
      end
    end
  end
end

-- The part of an AVC SPS before the size: chroma format.
local function avc_preamble(bits, profile)
  local chroma = 1
  bits.ue()
  if HIGH[profile] then
    chroma = bits.ue()
    if chroma == 3 then bits.u(1) end
    bits.ue()
    bits.ue()
    bits.u(1)
    if bits.u(1) == 1 then skip_scaling_lists(bits, chroma) end
  end
  bits.ue()
  local order = bits.ue()
  if order == 0 then
    bits.ue()
  elseif order == 1 then
    bits.u(1)
    bits.se()
    bits.se()
    for _ = 1, math.min(bits.ue(), 255) do bits.se() end
  end
  bits.ue()
  bits.u(1)
  return chroma
end

-- Width and height of an AVC SPS. (H.264 7.3.2.1.1.)
local function avc_size(sps, profile)
  local bits = bits_of(rbsp(sps:sub(5)))
  local chroma = avc_preamble(bits, profile)
  local columns, rows = bits.ue() + 1, bits.ue() + 1
  local progressive = bits.u(1)
  if progressive == 0 then bits.u(1) end
  bits.u(1)
  local fields = 2 - progressive
  return cropped(bits, 16 * columns, 16 * rows * fields, chroma, fields)
end

-- AVCDecoderConfigurationRecord. (ISO 14496-15, 5.2.4.1.)
function M.avc(text)
  if #text < 8 then return {} end
  local about = { profile = text:byte(2), level = text:byte(4) / 10 }
  local size = text:byte(7) * 256 + text:byte(8)
  if text:byte(6) % 32 > 0 and #text >= 8 + size then
    about.width, about.height = avc_size(text:sub(9, 8 + size), about.profile)
  end
  return about
end

local HEVC_SPS = 33 -- a NAL unit's type

-- The first NAL unit of type WANTED among the arrays of an HEVC configuration.
local function hevc_unit(text, wanted)
  local at = 24
  for _ = 1, text:byte(23) or 0 do
    local kind, count = text:byte(at), 256 * (text:byte(at + 1) or 0) + (text:byte(at + 2) or 0)
    at = at + 3
    for _ = 1, count do
      local high, low = text:byte(at, at + 1)
      if not low then return nil end
      local size = 256 * high + low
      if kind % 64 == wanted then return text:sub(at + 2, at + 1 + size) end
      at = at + 2 + size
    end
  end
end

-- Skip what an HEVC SPS says of profiles and levels, of its up to seven layers as well. (H.265 7.3.3.)
local function skip_profiles(bits, layers)
  bits.u(88 + 8)
  local parts = 0
  for _ = 1, layers do parts = parts + 88 * bits.u(1) + 8 * bits.u(1) end
  if layers > 0 then bits.u(2 * (8 - layers)) end
  bits.u(parts)
end

-- Width and height of an HEVC SPS. (H.265 7.3.2.2.1.)
local function hevc_size(sps)
  local bits = bits_of(rbsp(sps:sub(3)))
  bits.u(4)
  local layers = bits.u(3)
  bits.u(1)
  skip_profiles(bits, layers)
  bits.ue()
  local chroma = bits.ue()
  if chroma == 3 then bits.u(1) end
  local width, height = bits.ue(), bits.ue()
  return cropped(bits, width, height, chroma, 1)
end

-- HEVCDecoderConfigurationRecord. (ISO 14496-15, 8.3.3.1.)
function M.hevc(text)
  if #text < 13 then return {} end
  local about = { profile = text:byte(2) % 32, level = text:byte(13) / 30 }
  local sps = hevc_unit(text, HEVC_SPS)
  if sps then about.width, about.height = hevc_size(sps) end
  return about
end

-- AV1CodecConfigurationRecord. Level 31 means that there is no limit.
function M.av1(text)
  if #text < 4 then return {} end
  local index = text:byte(2) % 32
  return { profile = floor(text:byte(2) / 32), level = index < 24 and 2 + floor(index / 4) + index % 4 / 10 or nil }
end

-- VPCodecConfigurationRecord, with or without the version and flags of its box.
function M.vp9(text)
  if text:sub(1, 4) == "\1\0\0\0" then text = text:sub(5) end
  if #text < 2 then return {} end
  return { profile = text:byte(1), level = text:byte(2) / 10 }
end

M.vp8 = M.vp9

local RATES = { [0] = 96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350 }

local SBR, PS = 5, 29 -- object types that say twice how fast they are: the second time of what is heard

-- AudioSpecificConfig. (ISO 14496-3, 1.6.2.1.)
function M.aac(text)
  if #text < 2 then return {} end
  local bits = bits_of(text)
  local object = bits.u(5)
  if object == 31 then object = 32 + bits.u(6) end
  local function rate_of(index) return index == 15 and bits.u(24) or RATES[index] end
  local rate, channels = rate_of(bits.u(4)), bits.u(4)
  if object == SBR or object == PS then rate = rate_of(bits.u(4)) end
  if bits.over then return { profile = object } end
  return { profile = object, rate = rate, channels = channels == 7 and 8 or channels }
end

-- OpusHead. (RFC 7845, 5.1.)
function M.opus(text)
  if text:sub(1, 8) ~= "OpusHead" or #text < 10 then return {} end
  return { rate = 48000, channels = text:byte(10) }
end

-- A stream's first metadata block, with or without what a file begins with. (RFC 9639, 8.2.)
function M.flac(text)
  if text:sub(1, 4) == "fLaC" then text = text:sub(5) end
  if #text < 17 or text:byte(1) % 128 ~= 0 then return {} end
  local bits = bits_of(text:sub(15, 17))
  return { rate = bits.u(20), channels = bits.u(3) + 1 }
end

return M
