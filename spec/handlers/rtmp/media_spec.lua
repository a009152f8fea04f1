local ld = require "linedancer"
local media = require "handlers.rtmp.media"

local AUDIO, VIDEO = 8, 9

local function hex(text) return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)) end

-- Bytes that begin with these bits, and the bits of an unsigned Exp-Golomb number.
local function bits(...)
  local text = table.concat { ... }
  text = text .. ("0"):rep(-#text % 8)
  return (text:gsub("%d%d%d%d%d%d%d%d", function(byte) return string.char(tonumber(byte, 2)) end))
end

local function ue(n)
  local text = ""
  n = n + 1
  while n > 0 do text, n = n % 2 .. text, math.floor(n / 2) end
  return ("0"):rep(#text - 1) .. text
end

local function inspect(kind, body) return { media.inspect(kind, ld.blob(body)) } end
local function describe_(kind, body) return media.describe(kind, ld.blob(body)) end

-- What encoders wrote: decoder configurations.
local AVC_1080 = hex "0142c028ffe100196742c028da01e0089f970110000003001000000300a0f1832a01000468ce0fc8"
local AVC_444 = hex "01f4000cffe1001b67f4000c919b302a33c7c5e022000003000200000300141e28533401000668e978f11211fff8f800"
local AVC_INTERLACED = hex "01640016ffe1001867640016acd940b424d8088000000300800000050f8a14cb01000668fba3cb22c0fdf8f800"
local AVC_MATRICES = hex
  "017a0016ffe10019677a0016bcd940b424fc98088000000300800000050f8a14cb01000768fba3cb3002c0fef8f800"
local HEVC_1080 = hex("01016000000090000000000078f000fcfdf8f800000f02200001001840010c01ffff016000000300900000030000"
  .. "030078959809210001002b420101016000000300900000030000030078a003c08010e596566924caf016808000000300800000030284")
local HEVC_CROPPED = hex("0102200000009000000000003cf000fcfdfafa00000f02200001001840010c01ffff022000000300900000030000"
  .. "03003c959809210001002c42010102200000030090000003000003003ca00a480b9c94d96566924caf0168080000030008000003002840")
local VP9 = hex "01000000000b820202020000"
local AV1 = hex "81000c000a0b000000043cfeccdaf90040"
local FLAC = hex "80000022120012000000780005110bb802f0000012c0ba43705036a3bb057849a9f54f6928a3"

describe("rtmp.media inspect", function()
  it("knows legacy video by frame type, codec and packet type", function()
    for body, expected in pairs {
      ["\23\0\0\0\0config"] = { "header", "avc", 0 }, ["\23\1\0\0\0data"] = { "key", "avc", 0 },
      ["\39\1\0\0\0data"] = { "frame", "avc", 0 }, ["\23\2\0\0\0"] = { "end", "avc", 0 },
      ["\28\0\0\0\0config"] = { "header", "hevc", 0 }, ["\28\1\0\0\0data"] = { "key", "hevc", 0 },
      ["\44\1\0\0\0data"] = { "frame", "hevc", 0 }, ["\18data"] = { "key", "h263", 0 },
      ["\34\0data"] = { "frame", "h263", 0 }, ["\50data"] = { "frame", "h263", 0 }, ["\20\0data"] = { "key", "vp6", 0 },
      ["\19\0"] = { "key", "screen", 0 }, ["\31"] = { "key", nil, 0 },
    } do assert.same(expected, inspect(VIDEO, body)) end
  end)

  it("knows legacy audio, of which only AAC has headers", function()
    for body, expected in pairs {
      ["\175\0\18\16"] = { "header", "aac", 0 }, ["\175\1data"] = { "frame", "aac", 0 },
      ["\47\0data"] = { "frame", "mp3", 0 }, ["\0\0"] = { "frame", "pcm", 0 }, ["\63\0"] = { "frame", "pcm", 0 },
      ["\114\0"] = { "frame", "alaw", 0 }, ["\130\0"] = { "frame", "ulaw", 0 }, ["\178\0"] = { "frame", "speex", 0 },
      ["\82\0"] = { "frame", "nellymoser", 0 }, ["\224\0"] = { "frame", "mp3", 0 }, ["\175"] = { "frame", "aac", 0 },
    } do assert.same(expected, inspect(AUDIO, body)) end
  end)

  it("takes no command frame for a picture, and nothing for nothing", function()
    assert.same({ "command", "avc", 0 }, inspect(VIDEO, "\87\0"))
    assert.same({ "command", nil, 0 }, inspect(VIDEO, "\208\0"))
    assert.same({ "empty", nil, 0 }, inspect(VIDEO, ""))
    assert.same({ "empty", nil, 0 }, inspect(AUDIO, ""))
  end)

  it("knows enhanced video by FourCC", function()
    for four_cc, codec in pairs { avc1 = "avc", hvc1 = "hevc", vp08 = "vp8", vp09 = "vp9", av01 = "av1" } do
      assert.same({ "header", codec, 0 }, inspect(VIDEO, "\144" .. four_cc))
      assert.same({ "key", codec, 0 }, inspect(VIDEO, "\145" .. four_cc .. "\0\0\0data"))
      assert.same({ "frame", codec, 0 }, inspect(VIDEO, "\161" .. four_cc .. "\0\0\0data"))
      assert.same({ "end", codec, 0 }, inspect(VIDEO, "\146" .. four_cc))
      assert.same({ "key", codec, 0 }, inspect(VIDEO, "\147" .. four_cc .. "data"))
      assert.same({ "metadata", codec, 0 }, inspect(VIDEO, "\148" .. four_cc .. "\2\0\9colorInfo"))
      assert.same({ "header", codec, 0 }, inspect(VIDEO, "\149" .. four_cc .. "data"))
    end
    assert.same({ "key", "unknown", 0 }, inspect(VIDEO, "\145abcd"))
  end)

  it("knows enhanced audio by FourCC", function()
    for four_cc, codec in pairs {
      Opus = "opus", fLaC = "flac", ["ac-3"] = "ac3", ["ec-3"] = "eac3", [".mp3"] = "mp3", mp4a = "aac",
    } do
      assert.same({ "header", codec, 0 }, inspect(AUDIO, "\144" .. four_cc))
      assert.same({ "frame", codec, 0 }, inspect(AUDIO, "\145" .. four_cc .. "data"))
      assert.same({ "end", codec, 0 }, inspect(AUDIO, "\146" .. four_cc))
      assert.same({ "metadata", codec, 0 }, inspect(AUDIO, "\148" .. four_cc .. "\1\2"))
    end
  end)

  it("looks through ModEx, nested and with long data", function()
    local nano = "\2\0\0\7"
    assert.same({ "key", "hevc", 0 }, inspect(VIDEO, "\151" .. nano .. "\1hvc1\0\0\0data"))
    assert.same({ "header", "hevc", 0 }, inspect(VIDEO, "\151" .. nano .. "\7" .. nano .. "\0hvc1config"))
    assert.same({ "key", "av1", 0 }, inspect(VIDEO, "\151\255\1\43" .. ("x"):rep(300) .. "\1av01data"))
    assert.same({ "frame", "opus", 0 }, inspect(AUDIO, "\151" .. nano .. "\1Opusdata"))
    assert.same({ "key", "hevc", 3 }, inspect(VIDEO, "\151" .. nano .. "\6\1hvc1\3data"))
  end)

  it("gives up on ModEx without an end, soon", function()
    local end_of = "\0x\1hvc1data"
    assert.same({ "key", "hevc", 0 }, inspect(VIDEO, "\151" .. ("\0x\7"):rep(7) .. end_of))
    assert.same({ "empty", nil, 0 }, inspect(VIDEO, "\151" .. ("\0x\7"):rep(8) .. end_of))
    assert.same({ "empty", nil, 0 }, inspect(VIDEO, "\151\255\255\255x"))
  end)

  it("has the first track of multitrack messages", function()
    assert.same({ "header", "hevc", 2 }, inspect(VIDEO, "\150\0hvc1\2config"))
    assert.same({ "key", "av1", 1 }, inspect(VIDEO, "\150\17av01\1\0\0\1K\2\0\0\1L"))
    assert.same({ "frame", "vp9", 5 }, inspect(VIDEO, "\166\35vp09\5\0\0\1Khvc1\2\0\0\1L"))
    assert.same({ "header", "opus", 1 }, inspect(AUDIO, "\149\0Opus\1OpusHead"))
    assert.same({ "empty", nil, 0 }, inspect(AUDIO, "\149\48Opus\1OpusHead"))
  end)

  it("calls messages without a whole FourCC empty, so that none is kept as a header", function()
    for _, whole in ipairs { "\144hvc1", "\150\0hvc1\2", "\151\0x\0hvc1" } do
      for size = 1, #whole - 1 do assert.equal("empty", inspect(VIDEO, whole:sub(1, size))[1]) end
    end
  end)
end)

describe("rtmp.media tracks", function()
  -- Class, codec, track and bytes of each.
  local function tracks(kind, body)
    local list = {}
    for i, one in ipairs(media.tracks(kind, ld.blob(body))) do
      list[i] = { one.class, one.codec, one.track, body:sub(one.first, one.last) }
    end
    return list
  end

  it("lists one for messages that have one", function()
    assert.same({ { "key", "avc", 0, "data" } }, tracks(VIDEO, "\23\1\0\0\0data"))
    assert.same({ { "frame", "aac", 0, "data" } }, tracks(AUDIO, "\175\1data"))
    assert.same({ { "frame", "mp3", 0, "data" } }, tracks(AUDIO, "\47data"))
    assert.same({ { "header", "hevc", 0, "config" } }, tracks(VIDEO, "\144hvc1config"))
    assert.same({ { "header", "hevc", 7, "config" } }, tracks(VIDEO, "\150\0hvc1\7config"))
    assert.same({ { "empty", nil, 0, "" } }, tracks(VIDEO, ""))
  end)

  it("lists all of one codec, and of several", function()
    assert.same({ { "key", "av1", 1, "abc" }, { "key", "av1", 2, "" }, { "key", "av1", 0, "de" } },
      tracks(VIDEO, "\150\17av01\1\0\0\3abc\2\0\0\0\0\0\0\2de"))
    assert.same({ { "frame", "opus", 1, "abc" }, { "frame", "ac3", 2, "d" } },
      tracks(AUDIO, "\149\33Opus\1\0\0\3abcac-3\2\0\0\1d"))
    assert.same({ { "frame", "opus", 1, "a" }, { "frame", "opus", 2, "b" } },
      tracks(AUDIO, "\151\0x\5\17Opus\1\0\0\1a\2\0\0\1b"))
  end)

  it("ends with the message, whatever sizes say", function()
    assert.same({ { "key", "av1", 1, "abc" } }, tracks(VIDEO, "\150\17av01\1\255\255\255abc"))
    assert.same({ { "key", "av1", 1, "a" } }, tracks(VIDEO, "\150\17av01\1\0\0\1a\2\0\0"))
    assert.equal(13, media.tracks(VIDEO, ld.blob "\150\17av01\1\255\255\255abc")[1].last)
    assert.same({}, tracks(VIDEO, "\150\17av0"))
    assert.equal(256, #tracks(VIDEO, "\150\17av01" .. ("\1\0\0\0"):rep(1000)))
  end)
end)

describe("rtmp.media describe", function()
  it("reads sizes of AVC, cropped, of other chroma, interlaced and with scaling matrices", function()
    local function avc(config) return describe_(VIDEO, "\23\0\0\0\0" .. config) end
    assert.same({ codec = "avc", profile = 66, level = 4, width = 1920, height = 1080 }, avc(AVC_1080))
    assert.same({ codec = "avc", profile = 244, level = 1.2, width = 322, height = 182 }, avc(AVC_444))
    assert.same({ codec = "avc", profile = 100, level = 2.2, width = 720, height = 576 }, avc(AVC_INTERLACED))
    assert.same({ codec = "avc", profile = 122, level = 2.2, width = 720, height = 570 }, avc(AVC_MATRICES))
    assert.same({ codec = "avc", profile = 66, level = 4, width = 1920, height = 1080 },
      describe_(VIDEO, "\144avc1" .. AVC_1080))
  end)

  it("reads HEVC, legacy, enhanced and of a track", function()
    local large = { codec = "hevc", profile = 1, level = 4, width = 1920, height = 1080 }
    assert.same(large, describe_(VIDEO, "\28\0\0\0\0" .. HEVC_1080))
    assert.same(large, describe_(VIDEO, "\144hvc1" .. HEVC_1080))
    assert.same({ codec = "hevc", profile = 2, level = 2, width = 322, height = 182 },
      describe_(VIDEO, "\150\16hvc1\1\0\0" .. string.char(#HEVC_CROPPED) .. HEVC_CROPPED .. "\2\0\0\1x"))
  end)

  it("finds the size behind scaling lists", function()
    local lists = "1" .. ("1"):rep(16) .. "0" .. "1" .. ue(16) .. "000" .. "1" .. ("1"):rep(64) .. "0"
    local sps = "\103\100\0\31" .. bits(ue(0), ue(1), ue(0), ue(0), "0", "1", lists, ue(0), ue(2), ue(1), "0", ue(19),
      ue(14), "1", "1", "0", "0", "1")
    local config = "\1\100\0\31\255\225\0" .. string.char(#sps) .. sps
    assert.same({ codec = "avc", profile = 100, level = 3.1, width = 320, height = 240 },
      describe_(VIDEO, "\23\0\0\0\0" .. config))
  end)

  it("finds the size behind the profiles of layers", function()
    local sps = "\66\1" .. bits("0000", "010", "1", ("1"):rep(96), "11", "01", ("0"):rep(12), ("1"):rep(96),
      ("1"):rep(8), ue(0), ue(1), ue(640), ue(360), "0", ue(0))
    local config = HEVC_1080:sub(1, 22) .. "\1\33\0\1\0" .. string.char(#sps) .. sps
    assert.same({ codec = "hevc", profile = 1, level = 4, width = 640, height = 360 },
      describe_(VIDEO, "\144hvc1" .. config))
  end)

  it("reads profile and level of AV1 and VP9", function()
    assert.same({ codec = "av1", profile = 0, level = 2 }, describe_(VIDEO, "\144av01" .. AV1))
    assert.same({ codec = "vp9", profile = 0, level = 1.1 }, describe_(VIDEO, "\144vp09" .. VP9))
    assert.same({ codec = "vp9", profile = 0, level = 1.1 }, describe_(VIDEO, "\144vp09" .. VP9:sub(5)))
  end)

  it("reads rate and channels of audio", function()
    local function aac(config) return describe_(AUDIO, "\175\0" .. hex(config)) end
    assert.same({ codec = "aac", profile = 2, rate = 44100, channels = 2 }, aac "1210")
    assert.same({ codec = "aac", profile = 2, rate = 48000, channels = 6 }, aac "11b056e500")
    assert.same({ codec = "aac", profile = 5, rate = 44100, channels = 2 }, aac "2b920800")
    assert.same({ codec = "aac", profile = 2, rate = 44056, channels = 1 }, aac "1780560c08")
    assert.same({ codec = "opus", rate = 48000, channels = 2 }, describe_(AUDIO, "\144OpusOpusHead\1\2\56\1"))
    assert.same({ codec = "flac", rate = 48000, channels = 2 }, describe_(AUDIO, "\144fLaC" .. FLAC))
    assert.same({ codec = "flac", rate = 48000, channels = 2 }, describe_(AUDIO, "\144fLaCfLaC" .. FLAC))
  end)

  it("reads rate and channels from any message of a codec without headers", function()
    assert.same({ codec = "mp3", rate = 44100, channels = 2 }, describe_(AUDIO, "\47data"))
    assert.same({ codec = "pcm", rate = 11025, channels = 1 }, describe_(AUDIO, "\54data"))
    assert.same({ codec = "speex", rate = 16000, channels = 1 }, describe_(AUDIO, "\182data"))
    assert.same({ codec = "alaw", rate = 8000, channels = 2 }, describe_(AUDIO, "\115data"))
    assert.same({ codec = "aac" }, describe_(AUDIO, "\175\1data"))
  end)

  it("leaves out what is cut off, and never raises", function()
    for kind, heads in pairs {
      [VIDEO] = { "\23\0\0\0\0" .. AVC_1080, "\23\0\0\0\0" .. AVC_MATRICES, "\144hvc1" .. HEVC_1080, "\144av01" .. AV1,
        "\150\16hvc1\1\0\0\255" .. HEVC_CROPPED, "\144vp09" .. VP9 },
      [AUDIO] = { "\175\0\43\146\8\0", "\144OpusOpusHead\1\2", "\144fLaC" .. FLAC },
    } do
      for _, body in ipairs(heads) do
        for size = 0, #body do describe_(kind, body:sub(1, size)) end
      end
    end
    assert.same({ codec = "avc", profile = 66, level = 4 }, describe_(VIDEO, "\23\0\0\0\0" .. AVC_1080:sub(1, 20)))
    assert.same({ codec = "avc", profile = 66, level = 4 },
      describe_(VIDEO, "\23\0\0\0\0" .. AVC_1080:sub(1, 7) .. "\7" .. AVC_1080:sub(9)))
    assert.same({ codec = "hevc", profile = 1, level = 4 }, describe_(VIDEO, "\144hvc1" .. HEVC_1080:sub(1, 70)))
  end)

  it("survives garbage of every kind", function()
    math.randomseed(4)
    local starts = { "", "\23\0\0\0\0", "\144hvc1", "\144av01", "\144vp09", "\150\0hvc1\1", "\150\33", "\151", "\175\0",
      "\144Opus", "\144fLaC", "\144avc1", "\144hvc1" .. HEVC_1080:sub(1, 40), "\23\0\0\0\0" .. AVC_MATRICES:sub(1, 12) }
    for i = 1, 4000 do
      local bytes = { starts[i % #starts + 1] }
      for k = 2, math.random(1, 60) do bytes[k] = string.char(math.random() < 0.3 and 0 or math.random(0, 255)) end
      local body = table.concat(bytes)
      for _, kind in ipairs { AUDIO, VIDEO } do
        inspect(kind, body)
        local about = describe_(kind, body)
        assert.is_true(not about.width or about.width >= 1 and about.width <= 65536)
      end
    end
  end)
end)
