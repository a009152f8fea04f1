--- rtmp/media: what an audio or video message is, by its first bytes. (FLV spec E.4, Enhanced RTMP v2.)
--
--   audio   format:u4 ... ; AAC: 0 is a header, 1 a frame        format 9: packet:u4, FourCC
--   video   frame:u4 codec:u4; AVC and HEVC: 0 is a header       bit 7 set: frame:u3 packet:u4, FourCC
--
-- frame 1 is a key frame, 5 a command. Messages that Enhanced RTMP wraps (multitrack, ModEx) are looked into.
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
local AUDIO_MULTITRACK, MPEG2TS_START = 5, 5
local ONE_TRACK, MANY_CODECS = 0, 2 -- and 1, many tracks of one codec

-- The class of packet type PACKET with FRAME, a video's frame type or nil.
local function class_of(packet, frame)
  if packet == START then return "header" end
  if packet == END then return "end" end
  if frame and packet == MPEG2TS_START then return "header" end
  if frame and packet == METADATA then return "metadata" end
  return frame == 1 and "key" or "frame"
end

local function codec_at(body, at)
  if #body < at + 3 then return nil end
  return FOUR_CC[body:u32be(at)] or "unknown"
end

-- Skip ModEx prefixes: the packet type and where what follows it begins. At AT is the size of the first one's data.
local function skip_modex(body, at, modex)
  local packet
  repeat
    local size = (body:byte(at) or 0) + 1
    at = at + 1
    if size == 256 then
      size = (body:byte(at) or 0) * 256 + (body:byte(at + 1) or 0) + 1
      at = at + 2
    end
    at = at + size
    local last = body:byte(at)
    if not last then return nil end
    packet = last % 16
    at = at + 1
  until packet ~= modex
  return packet, at
end

-- Class, codec and track of an enhanced message whose packet type is PACKET; AT is what follows.
local function enhanced(body, packet, frame, at)
  local multitrack = frame and MULTITRACK or AUDIO_MULTITRACK
  if packet == (frame and VIDEO_MODEX or AUDIO_MODEX) then
    packet, at = skip_modex(body, at, packet)
    if not packet then return "empty", nil, 0 end
  end
  if frame == 5 and packet ~= METADATA then return "command", nil, 0 end
  if packet ~= multitrack then return class_of(packet, frame), codec_at(body, at), 0 end
  local kind = body:byte(at)
  if not kind then return "empty", nil, 0 end
  local mode = floor(kind / 16)
  local track = body:byte(at + 5)
  if mode > MANY_CODECS or not track then return "empty", nil, 0 end
  return class_of(kind % 16, frame), codec_at(body, at + 1), track
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

-- Where the payload of the header in BODY begins; nil when that is nowhere.
local function payload_of(kind, body)
  local first = body:byte(1)
  if kind == AUDIO and floor(first / 16) ~= 9 then return 3 end
  if kind ~= AUDIO and first < 128 then return 6 end
  local packet, at = first % 16, 2
  if packet == VIDEO_MODEX then packet, at = skip_modex(body, at, packet) end
  if not packet then return nil end
  if packet ~= (kind == AUDIO and AUDIO_MULTITRACK or MULTITRACK) then return at + 4 end
  local mode = floor(body:byte(at) / 16)
  return at + 6 + (mode == ONE_TRACK and 0 or 3)
end

--- What the sequence header in BODY, a message of KIND, says: { codec =, width =, height =, profile =, level = } or {
-- codec =, rate =, channels = }; what it does not say, or what is garbage, is left out.
function M.describe(kind, body)
  local class, codec = M.inspect(kind, body)
  if class ~= "header" then return { codec = codec } end
  local at = payload_of(kind, body)
  local read = at and descriptions[codec]
  local about = read and read(body:sub(at)) or {}
  about.codec = codec
  return about
end

return M
