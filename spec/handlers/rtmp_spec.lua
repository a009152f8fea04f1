-- The handler rtmp: what a client says, what it hears, and the state it is in.
local amf0 = require "handlers.rtmp.amf0"
local handler = require "handlers.rtmp"
local ld = require "linedancer"
local quietly = require "spec.support.quietly"
local rtmp = require "spec.support.rtmp"
local t = require "linedancer.testing"

local CONNECTED = {
  "control 5 0", "control 6 0", "control 1 0", "_result NetConnection.Connect.Success",
}

local function play(script, opts)
  if type(script) == "string" then script = { script } end
  local run = quietly(handler, script, opts)
  return rtmp.show(run.sent), run
end

-- What is heard after the answer to connect.
local function after_connect(list) return { unpack(list, #CONNECTED + 1) } end

local function command(...) return rtmp.command(0, ...) end

describe("rtmp commands", function()
  teardown(function() t.world():close() end) -- the tasks that plays have left end with it

  it("answer a connect, chunk size first, in one piece", function()
    local heard, run = play(rtmp.connect "live")
    assert.same(CONNECTED, heard)
    assert.equal("read", run.state)
  end)

  it("do not care how their bytes are cut", function()
    local wire = rtmp.connect "live" .. command("createStream", 2, amf0.null)
    local size = #wire - #rtmp.HELLO
    for _, cut in ipairs { 1, 7, 127, 128, 129, size - 1 } do
      local at = #rtmp.HELLO + cut
      assert.same({ "_result 2 1" }, after_connect((play { wire:sub(1, at), wire:sub(at + 1) })))
    end
    local bytes = {}
    for i = 1, #wire do bytes[i] = wire:sub(i, i) end
    assert.same({ "_result 2 1" }, after_connect((play(bytes))))
  end)

  it("take all that clients put into connect", function()
    for _, app in ipairs { "", "live", "live/", "live?a=1" } do assert.same(CONNECTED, (play(rtmp.connect(app)))) end
    local ecma = rtmp.HELLO .. command("connect", 1, amf0.ecma { { "app", "live" }, { "tcurl", "x" } })
    assert.same(CONNECTED, (play(ecma)))
    local body = amf0.encode("connect", 1, amf0.object { { "app", "live" } })
    local wrapped = rtmp.HELLO .. rtmp.message(17, 0, 0, "\0" .. body)
    assert.same(CONNECTED, (play(wrapped)))
    assert.same(CONNECTED, (play(rtmp.HELLO .. command("connect", 1, amf0.null))))
  end)

  it("say what of Enhanced RTMP is passed on", function()
    local run = t.play(handler, { rtmp.connect("live", { { "fourCcList", amf0.array { "hvc1", "av01" } },
      { "videoFourCcInfoMap", amf0.object { { "*", 7 } } }, { "capsEx", 3 }, { "objectEncoding", 3 } }) })
    local message = rtmp.messages(run.sent)[4]
    local info = amf0.decode(message[4])[4]
    assert.same({ "hvc1", "av01" }, info.fourCcList)
    assert.same({ ["*"] = 4 }, info.videoFourCcInfoMap)
    assert.equal(14, info.capsEx)
    assert.equal(3, info.objectEncoding)
  end)

  it("are answered with their transaction, as each client wants it", function()
    local list = after_connect((play(rtmp.connect "live" .. command("releaseStream", 2, amf0.null, "x")
      .. command("FCPublish", 3, amf0.null, "x") .. command("createStream", 4, amf0.null)
      .. command("_checkbw", 5, amf0.null) .. command("getStreamLength", 6, amf0.null, "x")
      .. command("FCSubscribe", 7, amf0.null, "x") .. command("releaseStream", 0, amf0.null, "x")
      .. command("dance", 8, amf0.null) .. command("dance", 0, amf0.null))))
    assert.same({
      "_result 2 undefined", "_result 3 undefined", "onFCPublish NetStream.Publish.Start", "_result 4 1",
      "_result 5 undefined", "_result 6 0", "_result 7 undefined", "_error NetConnection.Call.Failed",
    }, list)
  end)

  it("come after connect, once", function()
    for _, case in ipairs {
      { rtmp.HELLO .. command("createStream", 1, amf0.null), "command 'createStream' before connect" },
      { rtmp.connect "live" .. command("connect", 2, amf0.object {}), "a second connect" },
      { rtmp.HELLO .. rtmp.message(20, 0, 0, "\0"), "a command without a name: 8 bytes are missing" },
      { rtmp.HELLO .. rtmp.message(20, 0, 0, "\5"), "a command without a name: it is no text" },
      { rtmp.HELLO .. command("connect", 1):sub(1, -4) .. "\3\0\1x", nil },
    } do
      local _, run = play(case[1])
      if case[2] then assert.equal(case[2], run.reason) end
    end
  end)

  it("end the connection when they nest 10,000 deep", function()
    local body = amf0.encode("connect", 1) .. ("\3\0\1a"):rep(10000)
    local _, run = play(rtmp.HELLO .. rtmp.message(20, 0, 0, body))
    assert.equal("command 'connect': nested more than 32 deep", run.reason)
  end)

  it("create no more than 8 streams", function()
    local list = after_connect((play(rtmp.connect "live" .. command("createStream", 2, amf0.null):rep(9))))
    assert.equal("_result 2 8", list[8])
    assert.equal("_error NetConnection.Call.Failed", list[9])
  end)

  it("answer a seek politely", function()
    local list = after_connect((play(rtmp.play("live", "x") .. rtmp.command(1, "seek", 0, amf0.null, 1000))))
    assert.equal("onStatus NetStream.Seek.Failed", list[#list])
  end)
end)

describe("rtmp links", function()
  it("answer a ping, and take an unknown event", function()
    local list = after_connect((play(rtmp.connect "live" .. rtmp.message(4, 0, 0, "\0\31\0\0\0\0", 2)
      .. rtmp.message(4, 0, 0, "\0\6\0\0\1\2", 2) .. rtmp.message(4, 0, 0, "\0", 2))))
    assert.same({ "event 7 2" }, list)
  end)

  it("answer a bandwidth by a window, once", function()
    local bandwidth = rtmp.message(6, 0, 0, "\0\0\255\255\2", 2)
    assert.same({ "control 5 0" }, after_connect((play(rtmp.connect "live" .. bandwidth .. bandwidth))))
  end)

  it("acknowledge at half the window, also one that nobody announced, and past 4 GB", function()
    local function acks(script, setup)
      local run = quietly(handler, script, { setup = setup })
      local values = {}
      for _, message in ipairs(rtmp.messages(run.sent)) do
        if message[1] == 3 then values[#values + 1] = ld.format(">I4"):unpack(message[4]) end
      end
      return values
    end
    local media = rtmp.message(9, 0, 1, ("v"):rep(100000)):rep(14)
    local values = acks { rtmp.connect "live", media }
    assert.equal(1, #values)
    assert.is_true(values[1] >= 1250000 and values[1] < 1360000)
    values = acks { rtmp.connect "live" .. rtmp.message(5, 0, 0, "\0\3\13\64", 2), media } -- 200,000
    assert.equal(14, #values)
    local wrap = require "handlers.rtmp.link"
    local init = wrap.init
    wrap.init = function(conn)
      init(conn)
      conn.chunks.received, conn.link.acked = 2 ^ 32 - 1000000, 2 ^ 32 - 1000000
    end
    values = acks { rtmp.connect "live", media }
    wrap.init = init
    assert.equal(1, #values)
    assert.is_true(values[1] >= 250000 and values[1] < 400000)
  end)

  it("refuse control messages that are too short", function()
    local _, run = play(rtmp.connect "live" .. rtmp.message(1, 0, 0, "\0\0", 2))
    assert.equal("a control message of kind 1 with 2 bytes", run.reason)
  end)

  it("are given up when neither a publish nor a play comes", function()
    local _, run = play { rtmp.HELLO:sub(1, 100), t.advance(11) }
    assert.equal("timeout", run.reason)
    run = select(2, play { rtmp.connect "live", t.advance(9) })
    assert.equal("read", run.state)
    run = select(2, play { rtmp.connect "live", t.advance(12) })
    assert.equal("neither published nor played", run.reason)
  end)

  it("are pinged, so that a viewer who has nothing to say is not taken for gone", function()
    local waits = { options = { wait = 1000 } }
    local heard = play({ rtmp.play("live", "x"), t.advance(21) }, waits)
    assert.truthy(heard[#heard]:find "^event 6 ")
    local pong = rtmp.message(4, 0, 0, "\0\7\0\0\0\9", 2)
    local run = select(2, play({ rtmp.play("live", "x"), t.advance(50), pong, t.advance(50) }, waits))
    assert.equal("read", run.state)
    assert.equal("timeout", (select(2, play({ rtmp.play("live", "x"), t.advance(61) }, waits))).reason)
  end)

  it("are kicked and pinged by messages, also while a chunk is half read", function()
    local half = rtmp.message(9, 0, 1, ("v"):rep(100)):sub(1, 50)
    local heard, run = play { rtmp.publish("live", "x"), half, t.message { rtmp = "ping" } }
    assert.truthy(heard[#heard]:find "^event 6")
    assert.equal("read", run.state)
    run = select(2, play { rtmp.publish("live", "x"), half, t.message { rtmp = "kick", reason = "enough" } })
    assert.equal("enough", run.reason)
  end)

  it("answer a ping between the chunks of a half-sent message", function()
    local video = rtmp.message(9, 0, 1, ("v"):rep(300))
    local heard = play { rtmp.publish("live", "x"), video:sub(1, 140) .. rtmp.message(4, 0, 0, "\0\6\0\0\0\9", 2) }
    assert.equal("event 7 9", heard[#heard])
  end)
end)

describe("rtmp access", function()
  local function refused(script, opts, code)
    local heard, run = play(script, opts)
    assert.equal(code, heard[#heard])
    return run.reason
  end

  it("refuses with the status of the command, and then closes", function()
    local no = function() return false, "no" end
    assert.equal("refused: no", refused(rtmp.connect "live", { options = { on_connect = no } },
      "_error NetConnection.Connect.Rejected"))
    assert.equal("refused: no", refused(rtmp.publish("live", "x"), { options = { on_publish = no } },
      "onStatus NetStream.Publish.Denied"))
    assert.equal("refused: no", refused(rtmp.play("live", "x"), { options = { on_play = no } },
      "onStatus NetStream.Play.StreamNotFound"))
    assert.equal("refused: wrong token", refused(rtmp.publish("live", "x?token=a"),
      { options = { publish_token = "b" } }, "onStatus NetStream.Publish.Denied"))
    assert.equal("refused: no such stream", refused(rtmp.play("live", "x"), { options = { wait = 0 } },
      "onStatus NetStream.Play.StreamNotFound"))
    assert.equal("refused: the stream has no name", refused(rtmp.publish("live", ""), nil,
      "onStatus NetStream.Publish.BadName"))
  end)

  it("names a stream as the hook says, and redirects", function()
    local seen
    local heard = play(rtmp.publish("live", "key?u=1"), { options = { on_publish = function(request)
      seen = { request.app, request.name, request.query.u, request.type, request.protocol }
      return { name = "live/alice" }
    end } })
    assert.equal("onStatus NetStream.Publish.Start", heard[#heard])
    assert.same({ "live", "key", "1", "live", "rtmp" }, seen)
    local run = quietly(handler, { rtmp.connect "live" },
      { options = { on_connect = function() return { redirect = "rtmp://b/live" } end } })
    local list = rtmp.messages(run.sent)
    local info = amf0.decode(list[2][4])[4]
    assert.same({ 302, "rtmp://b/live" }, { info.ex.code, info.ex.redirect })
  end)

  it("tells who asked when it is over", function()
    local done
    play({ rtmp.publish("live", "x"), t.eof }, { options = { on_done = function(request) done = request end } })
    assert.same({ "publish", "done", "x" }, { done.what, done.reason, done.name })
  end)

  it("asks publishers of that kind to log in", function()
    local options = { options = { user = "alice", password = "secret" } }
    local adobe = require "handlers.rtmp.adobe"
    local query, rounds = "", 0
    repeat
      local run = quietly(handler, { rtmp.connect("live" .. query) }, options)
      local values = amf0.decode(rtmp.messages(run.sent)[run.reason and 2 or 4][4])
      rounds = rounds + 1
      if values[1] == "_result" then break end
      query = "?" .. assert(adobe.respond(values[4].description, "alice", "secret"), values[4].description)
    until rounds == 5
    assert.equal(3, rounds)
    query = "?" .. adobe.respond("[ authmod=adobe ] : ?reason=needauth&user=alice&salt=a&challenge=b", "alice", "x")
    assert.equal("_error NetConnection.Connect.Rejected", (play(rtmp.connect("live" .. query), options))[2])
  end)

  it("lets an address have only so many connections", function()
    ld.keep("rtmp/addresses").memory = nil -- plays that were cut short stay in it
    local world = t.world { options = { max_per_address = 2 } }
    local first = rtmp.client(world, handler):say(rtmp.HELLO)
    rtmp.client(world, handler):say(rtmp.HELLO)
    assert.equal("too many connections from this address", world:connect(handler).reason)
    first.peer:finish()
    assert.is_nil(world:connect(handler).reason)
    world:close()
  end)
end)
