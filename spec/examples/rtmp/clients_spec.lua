-- The examples that are clients: the inspector, the recorder, and the relay.
local rtmp = require "spec.support.rtmp"
local scratch = require "spec.support.scratch"
local t = require "linedancer.testing"

describe("examples/rtmp", function()
  local world

  before_each(function()
    world = t.world {}
    world:listen("127.0.0.1:1935", "handlers.rtmp")
  end)
  after_each(function() world:close() end)

  local function publisher(app, options)
    local p = rtmp.client(world, nil, { options = options }):say(rtmp.publish(app or "live", "x"))
    p:heard()
    return p:say(rtmp.head(0) .. rtmp.key(0, "K") .. rtmp.sound(10, "a"))
  end

  it("inspector.lua shows what is in a stream, a line each", function()
    local p = publisher()
    local conn = world:connect("examples.rtmp.inspector"):send "rtmp://127.0.0.1/live/x\n"
    local lines = {}
    for line in conn:sent():gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.same({
      '       0 data: "|RtmpSampleAccess" true true',
      '       0 data: "onMetaData" { width = 320 }',
      "       0 video: avc header of 11 bytes { codec = \"avc\" }",
      "       0 audio: aac header of 4 bytes { channels = 2, codec = \"aac\", profile = 2, rate = 44100 }",
      "       0 video: avc key of 6 bytes",
      "      10 audio: aac frame of 3 bytes",
    }, lines)
    p.peer:finish()
    world:advance(6)
    assert.truthy(conn:sent():find 'command: "onStatus" 0 null { level = "status"')
  end)

  it("inspector.lua says why there is nothing to show", function()
    local conn = world:connect("examples.rtmp.inspector"):send "rtmp://127.0.0.1:1/live/x\n"
    assert.truthy(conn:sent():find "^cannot play rtmp://127.0.0.1:1/live/x: ")
    assert.equal("done", conn.reason)
  end)

  it("recorder.lua writes a stream to a file while its client stays", function()
    local files = scratch.new {}
    local path = files.dir .. "/live+x.flv"
    local p = publisher()
    local conn = world:connect("examples.rtmp.recorder")
    local record = require "handlers.rtmp.record"
    local new = record.new
    record.new = function(name, opts)
      opts.path = files.dir .. "/%N.flv"
      return new(name, opts)
    end
    conn:send "rtmp://127.0.0.1/live/x\n"
    record.new = new
    assert.equal("recording live/x\n", conn:sent())
    p:say(rtmp.frame(40, "f"))
    conn:finish()
    assert.equal("the client has left", conn.reason)
    local file = assert(io.open(path, "rb"))
    local text = file:read "*a"
    file:close()
    files.remove()
    assert.truthy(text:find("\39\1\0\0\0f\0\0\0\17", 1, true))
  end)

  it("relay.lua gets what is asked for, and sends on what is published", function()
    local options = require("examples.rtmp.relay").listen[1].options
    publisher()
    local v = rtmp.client(world, nil, { options = {
      pull = { ["edge/*"] = options.pull["live/*"] }, pull_idle = options.pull_idle,
    } }):say(rtmp.play("edge", "x"))
    world:advance(1)
    local list = v:heard()
    assert.equal("audio 10 a", list[#list])
  end)
end)
