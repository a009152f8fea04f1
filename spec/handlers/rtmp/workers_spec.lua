-- Streams whose publisher and viewers are in different workers.
local rtmp = require "spec.support.rtmp"
local t = require "linedancer.testing"

local key, frame, sound, head = rtmp.key, rtmp.frame, rtmp.sound, rtmp.head

describe("rtmp between workers", function()
  local world

  before_each(function() world = t.world { workers = 2 } end)
  after_each(function() world:close() end)

  local function publisher(worker, name)
    local p = rtmp.client(world, nil, { worker = worker }):say(rtmp.publish("live", name or "x"))
    p:heard()
    return p
  end

  local function viewer(worker, name)
    local v = rtmp.client(world, nil, { worker = worker }):say(rtmp.play("live", name or "x"))
    v:heard()
    return v
  end

  it("gives who waits all from the first key frame on", function()
    for _, at in ipairs { { 1, 1 }, { 1, 2 }, { 2, 1 }, { 2, 2 } } do
      local name = "w" .. at[1] .. at[2]
      local v, p = viewer(at[2], name), publisher(at[1], name)
      local list = {}
      for _, bytes in ipairs { head(0), key(0, "K"), sound(10, "a"), frame(40, "b") } do
        p:say(bytes)
        for _, text in ipairs(v:heard()) do list[#list + 1] = text end
      end
      assert.same({
        "data onMetaData", "video 0 header", "audio 0 header", "video 0 K", "audio 10 a", "video 40 b",
      }, list, name)
    end
  end)

  it("loses nothing, in whatever order workers hear of each other", function()
    world:close()
    t.every_order(function(w)
      world = w
      for _, at in ipairs { { 1, 2 }, { 2, 1 } } do
        local v, p = viewer(at[2]), publisher(at[1])
        for i = 0, 9 do p:say(i == 0 and head(0) .. key(0, "0") or frame(i, tostring(i))) end
        w:advance(1)
        local list = {}
        for _, text in ipairs(v:heard()) do list[#list + 1] = text:match "^video %d+ (%d)$" end
        assert.equal("0123456789", table.concat(list))
        p.peer:finish()
        w:advance(1)
        v.peer:finish()
      end
    end, { workers = 2, seeds = 100 })
  end)

  it("gives who comes late the last key frame first", function()
    publisher(1):say(head(0) .. key(0, "K") .. frame(40, "b") .. key(80, "L") .. frame(120, "c"))
    local late = rtmp.client(world, nil, { worker = 2 }):say(rtmp.play("live", "x"))
    local list = late:heard()
    assert.same({ "data onMetaData", "video 0 header", "audio 0 header", "video 80 L", "video 120 c" },
      { unpack(list, #list - 4) })
  end)

  it("lets no one begin between key frames", function()
    local p = publisher(1)
    p:say(head(0) .. frame(40, "b"))
    local v = viewer(2)
    p:say(frame(80, "c"))
    assert.same({}, v:heard())
    p:say(key(120, "K"))
    local list = v:heard()
    assert.equal("video 120 K", list[#list])
  end)

  it("takes over, and time goes on", function()
    for _, at in ipairs { { 1, 2, 1 }, { 2, 1, 1 }, { 1, 2, 2 } } do
      local name = "t" .. table.concat(at)
      local v, first = viewer(at[3], name), publisher(at[1], name)
      first:say(head(0) .. key(5000, "K"))
      v:heard()
      local second = publisher(at[2], name)
      assert.equal("taken over", first.peer.reason)
      second:say(head(0) .. key(0, "L") .. frame(40, "b"))
      local list = v:heard()
      assert.same({ "video 5100 L", "video 5140 b" }, { unpack(list, #list - 1) }, name)
    end
  end)

  it("goes on where a lost publisher comes back in another worker", function()
    local v, first = viewer(1), publisher(2)
    first:say(head(0) .. key(5000, "K")).peer:reset()
    world:advance(1)
    v:heard()
    publisher(1):say(key(0, "L"))
    local list = v:heard()
    assert.equal("video 6100 L", list[#list])
  end)

  it("tells its end everywhere", function()
    local v, p = viewer(2), publisher(1)
    p:say(key(0, "K"))
    v:heard()
    p.peer:finish()
    assert.same({ "event 1 1", "onStatus NetStream.Play.UnpublishNotify" }, v:heard())
  end)
end)
