local ld = require "linedancer"
local media = require "handlers.rtmp.media"

local AUDIO, VIDEO = 8, 9

local function unhex(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

describe("rtmp media", function()
  local function is(kind, bytes, class, codec, track)
    assert.same({ class, codec, track or 0 }, { media.inspect(kind, ld.blob(bytes)) }, ("%q"):format(bytes))
  end

  it("knows key frames, frames and headers of legacy video", function()
    is(VIDEO, "\23\0\0\0\0x", "header", "avc")
    is(VIDEO, "\23\1\0\0\0x", "key", "avc")
    is(VIDEO, "\39\1\0\0\0x", "frame", "avc")
    is(VIDEO, "\23\2\0\0\0", "end", "avc")
    is(VIDEO, "\28\0\0\0\0x", "header", "hevc")
    is(VIDEO, "\44\1\0\0\0x", "frame", "hevc")
    is(VIDEO, "\18x", "key", "h263")
    is(VIDEO, "\34x", "frame", "h263")
    is(VIDEO, "\20x", "key", "vp6")
    is(VIDEO, "\87\0", "command", "avc")
    is(VIDEO, "", "empty", nil)
  end)

  it("knows legacy audio", function()
    is(AUDIO, "\175\0\18\16", "header", "aac")
    is(AUDIO, "\175\1x", "frame", "aac")
    is(AUDIO, "\47x", "frame", "mp3")
    is(AUDIO, "\114x", "frame", "alaw")
    is(AUDIO, "\130x", "frame", "ulaw")
    is(AUDIO, "\178x", "frame", "speex")
    is(AUDIO, "", "empty", nil)
  end)

  it("knows Enhanced RTMP's video", function()
    is(VIDEO, "\144hvc1config", "header", "hevc") -- 0x90: key, start
    is(VIDEO, "\145hvc1\0\0\0x", "key", "hevc")
    is(VIDEO, "\161hvc1\0\0\0x", "frame", "hevc")
    is(VIDEO, "\163hvc1x", "frame", "hevc") -- frames without composition time
    is(VIDEO, "\147av01x", "key", "av1")
    is(VIDEO, "\144vp09x", "header", "vp9")
    is(VIDEO, "\149av01x", "header", "av1") -- MPEG-2 TS start
    is(VIDEO, "\146avc1", "end", "avc")
    is(VIDEO, "\148hvc1x", "metadata", "hevc")
    is(VIDEO, "\209\0", "command", nil) -- 0xD1
    is(VIDEO, "\145abcdx", "key", "unknown")
  end)

  it("knows Enhanced RTMP's audio", function()
    is(AUDIO, "\144OpusOpusHead", "header", "opus")
    is(AUDIO, "\145Opusx", "frame", "opus")
    is(AUDIO, "\144fLaCx", "header", "flac")
    is(AUDIO, "\145ec-3x", "frame", "eac3")
    is(AUDIO, "\146mp4a", "end", "aac")
  end)

  it("looks into multitrack messages and ModEx", function()
    is(VIDEO, "\150\0hvc1\5config", "header", "hevc", 5)     -- one track, its start
    is(VIDEO, "\150\17hvc1\3\0\0\9x", "key", "hevc", 3)      -- many tracks
    is(VIDEO, "\166\33avc1\7\0\0\1x", "frame", "avc", 7)     -- many codecs
    is(AUDIO, "\149\0Opus\2x", "header", "opus", 2)
    is(VIDEO, "\151\2\1\2\3\1hvc1\0\0\0x", "key", "hevc")    -- a nanosecond offset of 3 bytes, then frames
    is(VIDEO, "\151\0\1\7\0\2\6\16avc1\4x", "header", "avc", 4)
    is(VIDEO, "\151\255\0\2abc\1hvc1x", "key", "hevc")       -- a size of two bytes
    is(AUDIO, "\151\0\1\1Opusx", "frame", "opus")
  end)

  it("makes nothing of what is cut short", function()
    for _, whole in ipairs { "\150\0hvc1\5config", "\151\2\1\2\3\1hvc1\0\0\0x", "\145hvc1\0\0\0x", "\23\1\0\0\0" } do
      for size = 0, #whole do
        media.inspect(VIDEO, ld.blob(whole:sub(1, size)))
        media.inspect(AUDIO, ld.blob(whole:sub(1, size)))
        media.describe(VIDEO, ld.blob(whole:sub(1, size)))
        media.describe(AUDIO, ld.blob(whole:sub(1, size)))
      end
    end
  end)

  it("tells the size of a picture, its profile and level", function()
    -- Headers that x264 made: 320x180 (cropped), and 1280x720.
    local small = "1700000000 014d400cffe10019 674d400ceca0a0cfcf808800000300080000030190 78a14cb0 01000468ce0fc8"
    assert.same({ codec = "avc", width = 320, height = 180, profile = 77, level = 1.2 },
      media.describe(VIDEO, ld.blob(unhex(small))))
    local large = "1700000000 0164001fffe1001a 6764001facd9405005bb0110000003001000000303c0f1831960 01000668ebe3cb22c0"
    assert.same({ codec = "avc", width = 1280, height = 720, profile = 100, level = 3.1 },
      media.describe(VIDEO, ld.blob(unhex(large))))
  end)

  it("tells the rate and the channels of a sound", function()
    assert.same({ codec = "aac", rate = 44100, channels = 2, profile = 2 },
      media.describe(AUDIO, ld.blob "\175\0\18\16"))
    assert.same({ codec = "aac", rate = 48000, channels = 1, profile = 2 },
      media.describe(AUDIO, ld.blob "\175\0\17\136"))
    assert.same({ codec = "opus", rate = 48000, channels = 2 },
      media.describe(AUDIO, ld.blob "\144OpusOpusHead\1\2\0\0"))
  end)

  it("tells what it can of other codecs", function()
    assert.same({ codec = "hevc", profile = 1, level = 3.1 },
      media.describe(VIDEO, ld.blob("\144hvc1\1\1" .. ("\0"):rep(10) .. "\93rest")))
    assert.same({ codec = "av1", profile = 0, level = 8 }, media.describe(VIDEO, ld.blob "\144av01\129\8\12\0"))
    assert.same({ codec = "mp3" }, media.describe(AUDIO, ld.blob "\47x"))
  end)

  it("bears garbage for a header", function()
    local x = 1
    local function draw(n)
      x = (x * 1103515245 + 12345) % 2 ^ 31
      return math.floor(x / 65536) % n
    end
    for _ = 1, 3000 do
      local parts = { ({ "\23\0\0\0\0", "\144hvc1", "\144av01", "\144vp09", "\28\0\0\0\0" })[draw(5) + 1] }
      for i = 2, draw(60) + 2 do parts[i] = string.char(draw(256)) end
      media.describe(VIDEO, ld.blob(table.concat(parts)))
      parts[1] = ({ "\175\0", "\144Opus" })[draw(2) + 1]
      media.describe(AUDIO, ld.blob(table.concat(parts)))
    end
  end)
end)
