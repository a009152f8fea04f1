local rtmp = require "spec.support.rtmp"
local t = require "linedancer.testing"

describe("rtmp relay", function()
  local world

  before_each(function() world = t.world() end)
  after_each(function() world:close() end)

  it("pushes a stream elsewhere", function()
    world:listen("origin:1935", "handlers.rtmp")
    local options = { push = { ["edge/x"] = "rtmp://origin/live/x" } }
    local v = rtmp.client(world):say(rtmp.play("live", "x"))
    v:heard()
    local p = rtmp.client(world, nil, { options = options }):say(rtmp.publish("edge", "x"))
    p:heard()
    p:say(rtmp.head(0) .. rtmp.key(0, "K") .. rtmp.sound(10, "a") .. rtmp.frame(40, "b"))
    world:advance(1)
    assert.same({ "data onMetaData", "video 0 header", "audio 0 header", "video 0 K", "audio 10 a", "video 40 b" }, v:heard())
    p:say(rtmp.frame(80, "c"))
    assert.same({ "video 80 c" }, v:heard())
  end)

  it("pulls a stream when somebody wants it", function()
    world:listen("origin:1935", "handlers.rtmp")
    local options = { pull = { ["edge/x"] = "rtmp://origin/live/x" } }
    local v = rtmp.client(world, nil, { options = options }):say(rtmp.play("edge", "x"))
    v:heard()
    local p = rtmp.client(world):say(rtmp.publish("live", "x"))
    p:heard()
    p:say(rtmp.head(0) .. rtmp.key(0, "K") .. rtmp.sound(10, "a") .. rtmp.frame(40, "b"))
    world:advance(1)
    assert.same({ "data onMetaData", "video 0 header", "audio 0 header", "video 0 K", "audio 10 a", "video 40 b" }, v:heard())
  end)
end)
