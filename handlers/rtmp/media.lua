--- rtmp/media: what an audio or video message is, by its first bytes. (FLV spec E.4, Enhanced RTMP v2.)
--
--   audio   format:u4 ... ; AAC: 0 is a header, 1 a frame        format 9: packet:u4, FourCC
--   video   frame:u4 codec:u4; AVC and HEVC: 0 is a header       bit 7 set: frame:u3 packet:u4, FourCC
--
-- frame 1 is a key frame, 5 a command. Messages that Enhanced RTMP wraps are looked into:
--
--   ModEx        size-1:u8 (255: then size-1:u16) data:size type:u4 packet:u4, and what that packet has
--   multitrack   mode:u4 packet:u4, then tracks; mode 0: FourCC track:u8 data; mode 1: FourCC, and for each track:u8
--                size:u24 data; mode 2: for each FourCC track:u8 size:u24 data
local descriptions = require "handlers.rtmp.media_headers"

local M = {}

local floor = math.floor

local AUDIO = 8
local VIDEO_CODECS = {
  [2] = "h263", [3] = "screen", [4] = "vp6", [5] = "vp6a", [6] = "screen2", [7] = "avc", [12] = "hevc",
}
local AUDIO_CODECS = {
  [0] = "pcm", [1] = "adpcm", [2] = "mp3", [3] = "pcm", [4] = "nellymoser", [5] = "nellymoser", [6] = "nellymoser",
  [7] = "alaw", [8] = "ulaw", [10] = "aac", [11] = "speex", [14] = "mp3",
}
-- By the FourCC as a number.
local FOUR_CC = {}
for four_cc, codec in pairs {
  avc1 = "avc", hvc1 = "hevc", vvc1 = "vvc", vp08 = "vp8", vp09 = "vp9", av01 = "av1", ["ac-3"] = "ac3",
  ["ec-3"] = "eac3", Opus = "opus", [".mp3"] = "mp3", fLaC = "flac", mp4a = "aac",
} do
  local a, b, c, d = four_cc:byte(1, 4)
  FOUR_CC[((a * 256 + b) * 256 + c) * 256 + d] = codec
end

local START, END, METADATA, MULTITRACK, VIDEO_MODEX, AUDIO_MODEX = 0, 2, 4, 6, 7, 7
local AUDIO_CHANNELS, AUDIO_MULTITRACK, MPEG2TS_START = 4, 5, 5
local ONE_TRACK, MANY_CODECS = 0, 2 -- and 1, many tracks of one codec
local MODEX_MAX, TRACKS_MAX = 8, 256

-- The class of packet type PACKET with FRAME, a video's frame type or nil.
local function class_of(packet, frame)
  if packet == START then return "header" end
  if packet == END then return "end" end
  if frame and packet == MPEG2TS_START then return "header" end
  if packet == (frame and METADATA or AUDIO_CHANNELS) then return "metadata" end
  return frame == 1 and "key" or "frame"
end

local function codec_at(body, at)
  if #body < at + 3 then return nil end
  return FOUR_CC[body:u32be(at)] or "unknown"
end

-- Skip ModEx prefixes: the packet type and where what follows it begins. At AT is the size of the first one's data.
local function skip_modex(body, at, modex)
  for _ = 1, MODEX_MAX do
    local size = (body:byte(at) or 0) + 1
    at = at + 1
    if size == 256 then
      size = (body:byte(at) or 0) * 256 + (body:byte(at + 1) or 0) + 1
      at = at + 2
    end
    at = at + size
    local last = body:byte(at)
    if not last then return nil end
    at = at + 1
    if last % 16 ~= modex then return last % 16, at end
  end
end

-- Class, codec and track of an enhanced message whose packet type is PACKET; AT is what follows.
local function enhanced(body, packet, frame, at)
  local multitrack = frame and MULTITRACK or AUDIO_MULTITRACK
  if packet == (frame and VIDEO_MODEX or AUDIO_MODEX) then
    packet, at = skip_modex(body, at, packet)
    if not packet then return "empty", nil, 0 end
  end
  if frame == 5 and packet ~= METADATA then return "command", nil, 0 end
  local track = 0
  if packet == multitrack then
    local inner = body:byte(at)
    track = body:byte(at + 5)
    if not track or inner >= (MANY_CODECS + 1) * 16 then return "empty", nil, 0 end
    packet, at = inner % 16, at + 1
  end
  local codec = codec_at(body, at)
  if not codec then return "empty", nil, 0 end
  return class_of(packet, frame), codec, track
end

local function inspect_video(body)
  local first = body:byte(1)
  if not first then return "empty", nil, 0 end
  if first >= 128 then return enhanced(body, first % 16, floor(first / 16) % 8, 2) end
  local frame, codec = floor(first / 16), VIDEO_CODECS[first % 16]
  if frame == 5 then return "command", codec, 0 end
  if codec == "avc" or codec == "hevc" then
    local packet = body:byte(2)
    if packet == START then return "header", codec, 0 end
    if packet == END then return "end", codec, 0 end
  end
  return frame == 1 and "key" or "frame", codec, 0
end

local function inspect_audio(body)
  local first = body:byte(1)
  if not first then return "empty", nil, 0 end
  local format = floor(first / 16)
  if format == 9 then return enhanced(body, first % 16, nil, 2) end
  if format == 10 and body:byte(2) == START then return "header", "aac", 0 end
  return "frame", AUDIO_CODECS[format], 0
end

--- What a message of KIND (8: audio, 9: video) with BODY is: class, codec, track. The class is "header" (what a decoder
-- needs first), "key" (a frame at which a decoder can begin), "frame", "metadata", "command", "end" or "empty"; the
-- codec a name such as "avc", "hevc", "av1", "aac" or "opus", or nil; the track 0 but in multitrack messages, of which
-- the first one counts.
function M.inspect(kind, body)
  if kind == AUDIO then return inspect_audio(body) end
  return inspect_video(body)
end

-- The packet type of an enhanced message, its frame type if it is video, and where what follows them begins, ModEx
-- skipped; nil for others.
local function unwrap(kind, body)
  local first = body:byte(1) or 0
  if kind == AUDIO then
    if floor(first / 16) ~= 9 then return nil end
  elseif first < 128 then
    return nil
  end
  local packet, at, frame = first % 16, 2, kind ~= AUDIO and floor(first / 16) % 8 or nil
  if packet == VIDEO_MODEX then
    packet, at = skip_modex(body, at, packet)
    if not packet then return nil end
  end
  return packet, frame, at
end

-- The tracks of a multitrack message that begin at AT. What is cut short ends with the message.
local function split(body, frame, at)
  local list, size = {}, #body
  local mode, class = floor(body:byte(at) / 16), class_of(body:byte(at) % 16, frame)
  local codec = codec_at(body, at + 1)
  at = at + 1
  if mode ~= MANY_CODECS then at = at + 4 end
  while #list < TRACKS_MAX do
    if mode == MANY_CODECS then codec, at = codec_at(body, at), at + 4 end
    local track, first, last = body:byte(at), at + 1, size
    if not track then break end
    if mode ~= ONE_TRACK then
      if first + 2 > size then break end
      first = at + 4
      last = first + body:u32be(at) % 2 ^ 24 - 1
    end
    list[#list + 1] = { track = track, class = class, codec = codec, first = first, last = math.min(last, size) }
    at = last + 1
  end
  return list
end

--- The tracks in a message: an array of { track =, class =, codec = }, as of inspect, of which each has the bytes first
-- to last of BODY, behind FourCC, track and size. One track, 0, but in multitrack messages; none in one that is broken.
function M.tracks(kind, body)
  local class, codec, track = M.inspect(kind, body)
  local packet, frame, at = unwrap(kind, body)
  if packet == (kind == AUDIO and AUDIO_MULTITRACK or MULTITRACK) then
    return class == "empty" and {} or split(body, frame, at)
  end
  local first = packet and at + 4 or kind == AUDIO and (codec == "aac" and 3 or 2)
    or (codec == "avc" or codec == "hevc") and 6 or 2
  return { { track = track, class = class, codec = codec, first = first, last = #body } }
end

-- What the first byte of an audio message that is not enhanced says; of Speex, Nellymoser and G.711 it is fixed.
local RATES = { [0] = 5512, 11025, 22050, 44100 }
local FIXED = { [4] = 16000, [5] = 8000, [7] = 8000, [8] = 8000, [11] = 16000, [14] = 8000 }

local function describe_sound(first)
  local format = floor(first / 16)
  local fixed = FIXED[format]
  return {
    rate = fixed or RATES[floor(first / 4) % 4],
    channels = fixed and format ~= 7 and format ~= 8 and 1 or first % 2 + 1,
  }
end

--- What the sequence header in BODY, a message of KIND, says of its first track: { codec =, width =, height =, profile
-- =, level = } or { codec =, rate =, channels =, profile = }; what it does not say, or what is garbage, is left out. Of
-- codecs that have no headers, such as MP3, any message will do.
function M.describe(kind, body)
  local one = M.tracks(kind, body)[1]
  if not one then return {} end
  local about, read = {}, descriptions[one.codec]
  if one.class == "header" and read then
    about = read(body:sub(one.first, one.last))
  elseif kind == AUDIO and one.class == "frame" and one.codec ~= "aac" and floor(body:byte(1) / 16) ~= 9 then
    about = describe_sound(body:byte(1))
  end
  about.codec = one.codec
  return about
end

return M
