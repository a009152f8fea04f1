local client = require "handlers.rtmp.client"
local ld = require "linedancer"
local rtmp = require "spec.support.rtmp"
local t = require "linedancer.testing"

local key, frame, sound, head = rtmp.key, rtmp.frame, rtmp.sound, rtmp.head
local ALL = { "data onMetaData", "video 0 header", "audio 0 header", "video 0 K", "audio 10 a", "video 40 b" }
local MEDIA = head(0) .. key(0, "K") .. sound(10, "a") .. frame(40, "b")

describe("rtmp relay", function()
  local world

  before_each(function() world = t.world {} end)
  after_each(function() world:close() end)

  local function publisher(app, options)
    local p = rtmp.client(world, nil, { options = options }):say(rtmp.publish(app, "x"))
    p:heard()
    return p
  end

  local function viewer(app, options)
    local v = rtmp.client(world, nil, { options = options }):say(rtmp.play(app, "x"))
    v:heard()
    return v
  end

  it("pushes a stream elsewhere", function()
    world:listen("origin:1935", "handlers.rtmp")
    local v = viewer "live"
    local p = publisher("edge", { push = { ["edge/x"] = "rtmp://origin/live/x" } })
    p:say(MEDIA)
    world:advance(1)
    assert.same(ALL, v:heard())
    p:say(frame(80, "c"))
    assert.same({ "video 80 c" }, v:heard())
    p.peer:finish()
    world:advance(6)
    local list = v:heard()
    assert.equal("onStatus NetStream.Play.UnpublishNotify", list[#list])
  end)

  it("pushes all streams of an app, to several servers, and again when one is lost", function()
    world:listen("a:1935", "handlers.rtmp")
    local links = {}
    world:accept("b:1935", function(peer) links[#links + 1] = peer end)
    local p = publisher("edge", { push = { ["edge/*"] = { "rtmp://a/one/*", "rtmp://b/two/*" } } })
    local v = viewer "one"
    p:say(MEDIA)
    world:advance(1)
    assert.equal("video 40 b", (v:heard())[#ALL])
    assert.equal(1, #links)
    links[1]:reset()
    world:advance(2)
    assert.equal(2, #links)
    links[2]:reset()
    world:advance(1)
    assert.equal(2, #links) -- it takes its time
    world:advance(2)
    assert.equal(3, #links)
  end)

  it("pulls a stream when somebody wants it, and lets it go when nobody does", function()
    world:listen("origin:1935", "handlers.rtmp")
    local v = viewer("edge", { pull = { ["edge/x"] = "rtmp://origin/live/x" }, pull_idle = 5 })
    local p = publisher "live"
    p:say(MEDIA)
    world:advance(1)
    assert.same(ALL, v:heard())
    v.peer:finish()
    world:advance(4)
    assert.truthy(ld.whereis "rtmp/edge/x")
    world:advance(3)
    assert.is_nil(ld.whereis "rtmp/edge/x")
  end)

  it("pulls all the time where that is wanted", function()
    world:listen("origin:1935", "handlers.rtmp")
    local options = { pull = { ["edge/x"] = "rtmp://origin/live/x" }, pull_idle = 0 }
    publisher "live":say(MEDIA)
    require("handlers.rtmp.relay").pull_all(options)
    world:connect("handlers.rtmp", { options = options })
    world:advance(2)
    assert.truthy(ld.whereis "rtmp/edge/x")
    local late = rtmp.client(world):say(rtmp.play("edge", "x"))
    local list = late:heard()
    assert.equal("video 40 b", list[#list])
  end)

  it("tells viewers at once when the stream elsewhere has ended", function()
    world:listen("origin:1935", "handlers.rtmp")
    local v = viewer("edge", { pull = { ["edge/x"] = "rtmp://origin/live/x" } })
    local p = publisher "live"
    p:say(MEDIA)
    world:advance(1)
    v:heard()
    p.peer:finish()
    assert.equal("onStatus NetStream.Play.UnpublishNotify", (v:heard())[2])
  end)
end)

describe("rtmp client", function()
  it("knows what is a URL", function()
    assert.same({ host = "h:1935", user = "", password = "", app = "live", name = "x", base = "rtmp://h/live" },
      client.parse "rtmp://h/live/x")
    assert.same({
      host = "h:99", user = "u", password = "p:w", app = "live/more", name = "x?a=1/2", base = "rtmp://h:99/live/more",
    }, client.parse "rtmp://u:p:w@h:99/live/more/x?a=1/2")
    for _, url in ipairs { "http://h/live/x", "rtmp://h/live", "rtmp://h/live/", "rtmp:///live/x", "", "rtmp://h" } do
      assert.is_nil(client.parse(url), url)
    end
  end)

  -- What OPEN, of client, comes to with a server that says ANSWER.
  local function meets(answer, url)
    local world, result = t.world {}, nil
    world:accept("h:1935", function(peer)
      if answer then peer:send(answer) end
    end)
    world:connect { states = { try = function()
      local up, problem = client.open(url or "rtmp://h/live/x", { timeout = 3 })
      result = up and "open" or tostring(problem)
    end }, timeouts = { 60 } }
    world:advance(5)
    world:close()
    return result
  end

  it("says why it cannot connect", function()
    assert.equal("no answer in time", meets(nil))
    assert.truthy(meets("HTTP/1.1 400"):find "no RTMP")
    assert.truthy(meets(nil, "rtmp://nowhere/live/x"):find "refused")
    assert.truthy(meets(nil, "x"):find "no URL")
  end)

  it("logs in where that is wanted", function()
    local world, result = t.world {}, nil
    world:listen("h:1935", "handlers.rtmp", { options = { user = "al ice", password = "secret" } })
    local function try(url)
      world:connect { states = { try = function()
        local up, problem = client.open(url)
        result = up and "open" or tostring(problem)
      end }, timeouts = { 60 } }
      return result
    end
    assert.equal("open", try "rtmp://al ice:secret@h/live/x")
    assert.truthy(try "rtmp://al ice:wrong@h/live/x":find "authfailed")
    assert.truthy(try "rtmp://h/live/x":find "need auth")
    world:close()
  end)
end)
