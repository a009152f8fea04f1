-- Publishers and viewers of the handler rtmp: what is published, what is seen.
local amf0 = require "handlers.rtmp.amf0"
local desk = require "handlers.rtmp.desk"
local handler = require "handlers.rtmp"
local rtmp = require "spec.support.rtmp"
local t = require "linedancer.testing"

local key, frame, sound, head = rtmp.key, rtmp.frame, rtmp.sound, rtmp.head
local HEAD = { "data onMetaData", "video 0 header", "audio 0 header" }

describe("a stream", function()
  local world

  before_each(function() world = t.world {} end)
  after_each(function() world:close() end)

  local function publisher(name, options)
    local p = rtmp.client(world, handler, { options = options }):say(rtmp.publish("live", name or "x"))
    p:heard()
    return p
  end

  -- A viewer, and what it was greeted with.
  local function viewer(name, options)
    local v = rtmp.client(world, handler, { options = options }):say(rtmp.play("live", name or "x"))
    return v, v:heard()
  end

  local function seen(v, from)
    local list = {}
    for _, text in ipairs(v:heard()) do
      if not text:find(from or "^control") then list[#list + 1] = text end
    end
    return list
  end

  it("greets its viewers in the order that players expect", function()
    local _, greeting = viewer()
    assert.same({
      "control 5 0", "control 6 0", "control 1 0", "_result NetConnection.Connect.Success", "_result 2 1", "event 0 1",
      "onStatus NetStream.Play.Reset", "onStatus NetStream.Play.Start", "data |RtmpSampleAccess",
    }, greeting)
  end)

  it("is seen as it is published, and its end is told", function()
    local v = viewer()
    local p = publisher()
    p:say(head(0) .. key(0, "K") .. sound(10, "a") .. frame(40, "b") .. sound(20, ""))
    assert.same({ HEAD[1], HEAD[2], HEAD[3], "video 0 K", "audio 10 a", "video 40 b", "audio 20 " }, v:heard())
    p:say(rtmp.command(0, "FCUnpublish", 4, amf0.null, "x"))
    assert.same({ "event 1 1", "onStatus NetStream.Play.UnpublishNotify" }, v:heard())
    assert.same({ "onStatus NetStream.Unpublish.Success", "_result 4 undefined" }, p:heard())
    assert.equal("read", v.peer.state)
  end)

  it("begins for latecomers with metadata, headers and the last key frame", function()
    local p = publisher()
    p:say(head(0) .. key(0, "K") .. frame(40, "b") .. key(2000, "L") .. sound(2010, "c") .. frame(2040, "d"))
    local _, greeting = viewer()
    assert.same({ HEAD[1], HEAD[2], HEAD[3], "video 2000 L", "audio 2010 c", "video 2040 d" },
      { unpack(greeting, 10) })
  end)

  it("has its metadata as they were sent, whatever is in them", function()
    local v = viewer()
    local p = publisher()
    local odd = "\2\0\10onMetaData\3\0\1a\255\0\1b" -- an unknown kind of value, and no end
    p:say(rtmp.message(18, 0, 1, "\2\0\13@setDataFrame" .. odd) .. key(0, "K"))
    local messages = rtmp.messages(v.peer:sent(), v.state)
    assert.same({ 18, 0, 1, odd }, messages[1])
    assert.is_nil(p.peer.reason)
  end)

  it("takes metadata in AMF3's clothes", function()
    local v = viewer()
    local metadata = amf0.encode("@setDataFrame", "onMetaData", amf0.ecma {})
    publisher():say(rtmp.message(15, 7, 1, "\0" .. metadata) .. key(9, "K"))
    assert.same({ "data onMetaData", "video 9 K" }, v:heard())
  end)

  it("takes an aggregate apart, and moves its times", function()
    local function part(kind, time, body)
      local size, low = #body, time % 2 ^ 24
      local function u24(n) return string.char(math.floor(n / 65536), math.floor(n / 256) % 256, n % 256) end
      return string.char(kind) .. u24(size) .. u24(low) .. string.char(math.floor(time / 2 ^ 24)) .. "\0\0\0" .. body
        .. "\0\0\0\0"
    end
    local v = viewer()
    publisher():say(rtmp.message(22, 1000, 1, part(9, 2 ^ 24 + 5, "\23\1\0\0\0K") .. part(8, 2 ^ 24 + 25, "\175\1a")))
    assert.same({ "video 1000 K", "audio 1020 a" }, v:heard())
  end)

  it("sends a new header before the frames that need it, also to latecomers", function()
    local v = viewer()
    local p = publisher()
    p:say(head(0) .. key(0, "K"))
    v:heard()
    local new = "\23\0\0\0\0other"
    p:say(rtmp.message(9, 80, 1, new) .. sound(85, "s"))
    assert.same({ "video 80 other", "audio 85 s" }, v:heard())
    local late = viewer()
    p:say(key(120, "L"))
    assert.same({ "video 120 L" }, v:heard())
    local list = seen(late, "^control")
    assert.same({ "video 120 L" }, { list[#list] })
    local _, greeting = viewer()
    assert.same({ HEAD[1], "video 80 other", HEAD[3], "video 120 L" }, { unpack(greeting, 10) })
  end)

  it("takes a header that is repeated for what it is", function()
    local p = publisher()
    p:say(head(0) .. key(0, "K") .. rtmp.message(9, 80, 1, rtmp.VIDEO_HEADER) .. frame(90, "b"))
    local _, greeting = viewer()
    assert.same({ "video 0 K", "video 80 header", "video 90 b" }, { unpack(greeting, 13) })
  end)

  it("begins at any sound where there is no picture", function()
    local p = publisher()
    p:say(rtmp.message(8, 0, 1, rtmp.AUDIO_HEADER) .. sound(0, "a") .. sound(20, "b"))
    local _, greeting = viewer()
    assert.same({ HEAD[3], "audio 20 b" }, { unpack(greeting, 10) })
  end)

  it("takes sound that comes before its header, and empty messages", function()
    local v = viewer()
    publisher():say(sound(0, "early") .. rtmp.message(8, 3, 1, "") .. rtmp.message(9, 5, 1, "\87\0") .. head(9)
      .. key(10, "K"))
    assert.same({ HEAD[1], "video 9 header", "audio 9 header", "audio 0 early", "audio 3 ", "video 5 " },
      { unpack(v:heard(), 1, 6) })
  end)

  it("caps what it keeps: who comes when that is gone waits for a key frame", function()
    local options = { gop_frames = 3 }
    local p = publisher("x", options)
    p:say(head(0) .. key(0, "K") .. frame(40, "b") .. frame(80, "c") .. frame(120, "d"))
    local late, greeting = viewer("x", options)
    assert.equal("data |RtmpSampleAccess", greeting[#greeting])
    p:say(frame(160, "e") .. key(200, "L"))
    assert.same({ HEAD[1], HEAD[2], HEAD[3], "video 200 L" }, late:heard())
  end)

  it("is taken over by the next publisher, and time goes on", function()
    local v = viewer()
    local first = publisher()
    first:say(head(0) .. key(5000, "K"))
    v:heard()
    local second = publisher()
    assert.equal("taken over", first.peer.reason)
    second:say(head(0) .. key(0, "L") .. frame(40, "b"))
    assert.same({ HEAD[1], "video 5100 header", "audio 5100 header", "video 5100 L", "video 5140 b" }, v:heard())
    assert.is_nil(v.peer.reason)
  end)

  it("stays with its publisher where that is wanted", function()
    local first = publisher("x", { takeover = false })
    local second = rtmp.client(world, handler, { options = { takeover = false } }):say(rtmp.publish("live", "x"))
    local list = second:heard()
    assert.equal("onStatus NetStream.Publish.BadName", list[#list])
    assert.equal("refused: the stream 'live/x' is busy", second.peer.reason)
    assert.is_nil(first.peer.reason)
  end)

  it("waits for a publisher that was lost, for a while", function()
    local v = viewer()
    local first = publisher()
    first:say(head(0) .. key(1000, "K")).peer:reset()
    v:heard()
    world:advance(3)
    assert.same({}, v:heard())
    publisher():say(head(0) .. key(0, "L"))
    local list = v:heard()
    assert.equal("video 4100 L", list[#list])
    world:advance(10)
    assert.same({}, seen(v, "^event 6"))
  end)

  it("ends when a publisher that was lost does not come back", function()
    local v = viewer()
    publisher():say(head(0) .. key(0, "K")).peer:reset()
    v:heard()
    world:advance(5)
    assert.same({ "event 1 1", "onStatus NetStream.Play.UnpublishNotify" }, v:heard())
  end)

  it("keeps the time of a publisher whose clock went on", function()
    local v = viewer()
    publisher():say(head(0) .. key(90000, "K")).peer:reset()
    world:advance(2)
    v:heard()
    publisher():say(key(92500, "L"))
    assert.same({ "video 92500 L" }, v:heard())
  end)

  it("crosses 2^24, 2^31 and 2^32 milliseconds", function()
    local v = viewer()
    local p = publisher()
    for _, time in ipairs { 0xFFFFFE, 0xFFFFFF, 0x1000000, 2 ^ 31 - 1, 2 ^ 31, 2 ^ 32 - 1, 7 } do
      p:say(key(time, "K"))
      assert.same({ ("video %d K"):format(time) }, v:heard())
    end
  end)

  it("is cut off when no media comes", function()
    local p = publisher("x", { publish_timeout = 5 })
    p:say(key(0, "K"))
    for _ = 1, 20 do
      world:advance(1)
      p:say(sound(1, "a"))
    end
    assert.is_nil(p.peer.reason)
    world:advance(7)
    assert.equal("no media", p.peer.reason)
  end)

  it("lets a viewer wait for a publisher, for a while", function()
    local v = viewer("x", { wait = 20 })
    for _ = 1, 3 do
      world:advance(6)
      v:say(rtmp.message(4, 0, 0, "\0\7\0\0\0\0", 2))
    end
    v:heard()
    world:advance(3)
    assert.equal("onStatus NetStream.Play.StreamNotFound", (v:heard())[1])
    assert.equal("no publisher", v.peer.reason)
  end)

  it("skips for a viewer that is slow, to a key frame, and cuts off one that takes nothing", function()
    local options = { lag = 3000, stall = 10 }
    local p, slow = publisher("x", options), viewer("x", options)
    local v = viewer("x", options)
    p:say(head(0) .. key(0, "K"))
    slow:heard()
    v:heard()
    slow.peer:stall()
    for i = 1, 40 do p:say(frame(i, ("f"):rep(200))) end
    p:say(key(50, "L") .. frame(60, "after"))
    assert.equal(42, #v:heard())
    slow.peer:resume()
    local list = slow:heard()
    assert.same({ "video 50 L", "video 60 after" }, { list[#list - 1], list[#list] })
    assert.is_true(#list < 20)
    slow.peer:stall()
    for i = 1, 12 do
      p:say(frame(100 + i, "f"))
      world:advance(1)
    end
    assert.equal("stalled", slow.peer.reason)
    assert.is_nil(v.peer.reason)
  end)

  it("is paused, and goes on at a key frame", function()
    local p, v = publisher(), viewer()
    p:say(head(0) .. key(0, "K"))
    v:heard()
    v:say(rtmp.command(1, "pause", 0, amf0.null, true, 0))
    assert.same({ "onStatus NetStream.Pause.Notify" }, v:heard())
    p:say(frame(40, "b") .. key(80, "L"))
    assert.same({}, v:heard())
    v:say(rtmp.command(1, "pause", 0, amf0.null, false, 0))
    local list = v:heard()
    assert.equal("onStatus NetStream.Unpause.Notify", list[1])
    assert.equal("video 80 L", list[#list])
  end)

  it("may be one of several on a connection, both ways", function()
    local both = rtmp.client(world, handler):say(rtmp.connect "live"
      .. rtmp.command(0, "createStream", 2, amf0.null):rep(3) .. rtmp.command(1, "publish", 0, amf0.null, "a", "live")
      .. rtmp.command(2, "play", 0, amf0.null, "b") .. rtmp.command(3, "play", 0, amf0.null, "c"))
    both:heard()
    publisher("b"):say(key(0, "B"))
    publisher("c"):say(key(0, "C"))
    local ids = {}
    for _, message in ipairs(rtmp.messages(both.peer:sent(), both.state)) do
      if message[1] == 9 then ids[message[3]] = message[4]:sub(6) end
    end
    assert.same({ [2] = "B", [3] = "C" }, ids)
    local v = viewer "a"
    both:say(key(0, "A"))
    assert.same({ "video 0 A" }, v:heard())
    both:say(rtmp.command(3, "deleteStream", 0, amf0.null, 2))
    assert.equal("onStatus NetStream.Play.Stop", (both:heard())[1])
  end)

  it("is deleted by its number, by its name, or by closeStream", function()
    for _, bye in ipairs {
      rtmp.command(0, "deleteStream", 5, amf0.null, 1), rtmp.command(1, "deleteStream", 5, amf0.null, "x"),
      rtmp.command(1, "closeStream", 0, amf0.null),
    } do
      local p = publisher()
      p:say(key(0, "K") .. bye)
      assert.equal("onStatus NetStream.Unpublish.Success", (p:heard())[1])
    end
  end)

  it("takes names that are no strings, and kinds of publishing in any case, or none", function()
    for _, kind in ipairs { "LIVE", "Record", "append", "nonsense", amf0.null } do
      local p = rtmp.client(world, handler):say(rtmp.publish("live", "y", kind))
      local list = p:heard()
      assert.equal("onStatus NetStream.Publish.Start", list[#list])
    end
    local p = rtmp.client(world, handler):say(rtmp.connect "live"
      .. rtmp.command(0, "FCUnpublish", 2, amf0.null, amf0.null) .. rtmp.command(1, "publish", 0, amf0.null, 7))
    local list = p:heard()
    assert.equal("onStatus NetStream.Publish.Start", list[#list])
    p = rtmp.client(world, handler):say(rtmp.connect "live" .. rtmp.command(1, "publish", 0, amf0.null, amf0.null))
    list = p:heard()
    assert.equal("onStatus NetStream.Publish.BadName", list[#list])
  end)

  it("takes a new chunk size between publish and metadata", function()
    local v = viewer()
    publisher():say(rtmp.message(1, 0, 0, "\0\0\16\0", 2) .. key(0, ("K"):rep(100)))
    assert.same({ "video 0 " .. ("K"):rep(100) }, v:heard())
  end)

  it("has numbers", function()
    local p = publisher()
    viewer()
    p:say(head(0) .. key(0, "K"))
    world:advance(1)
    p:say(key(2000, "L") .. sound(2000, "a"))
    world:advance(1)
    local stream
    rtmp.client(world, { states = { ask = function() stream = desk.streams() end } })
    assert.equal(1, #stream)
    stream = stream[1]
    assert.same({ "live/x", 1, 2, "avc", "aac" },
      { stream.name, stream.viewers, stream.key_interval, stream.video.codec, stream.audio.codec })
    assert.is_true(stream.sent > 0 and stream.uptime >= 2 and stream.bytes > 20)
    p.peer:finish()
    world:advance(2)
    rtmp.client(world, { states = { ask = function() stream = desk.streams() end } })
    assert.same({ true, 1 }, { stream[1].waiting, stream[1].viewers })
  end)
end)
