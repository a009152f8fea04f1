local flv = require "handlers.rtmp.flv"
local quietly = require "spec.support.quietly"
local rtmp = require "spec.support.rtmp"
local t = require "linedancer.testing"

local http, handler = require "handlers.rtmp.http", require "handlers.rtmp"

local function get(target, more) return ("GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n"):format(target, more or "") end

-- Status and body of an answer.
local function answer(text)
  local head, body = text:match "^(.-\r\n)\r\n(.*)$"
  return tonumber(head:match "^HTTP/1.1 (%d+)"), body, head
end

describe("rtmp.http", function()
  local world

  before_each(function() world = t.world {} end)
  after_each(function() world:close() end)

  local function publisher(name)
    local p = rtmp.client(world, handler):say(rtmp.publish("live", name))
    p:say(rtmp.head(0) .. rtmp.key(0, "K") .. rtmp.frame(40, "b"))
    return p
  end

  local ALL = table.concat {
    flv.header(), tostring(flv.tag(18, 0, "\2\0\10onMetaData\8\0\0\0\1\0\5width\0\64\116\0\0\0\0\0\0\0\0\9")),
    tostring(flv.tag(9, 0, rtmp.VIDEO_HEADER)), tostring(flv.tag(8, 0, rtmp.AUDIO_HEADER)),
    tostring(flv.tag(9, 0, "\23\1\0\0\0K")), tostring(flv.tag(9, 40, "\39\1\0\0\0b")),
  }

  it("gives a stream as FLV, from the last key frame on, until it ends", function()
    local p = publisher "x"
    local viewer = world:connect(http):send(get "/live/x.flv")
    local status, body, head = answer(viewer:sent())
    assert.equal(200, status)
    assert.truthy(head:find "Content%-Type: video/x%-flv\r\n")
    assert.truthy(head:find "Access%-Control%-Allow%-Origin: %*\r\n")
    assert.equal(ALL, body)
    p:say(rtmp.sound(60, "a"))
    assert.equal(tostring(flv.tag(8, 60, "\175\1a")), viewer:sent())
    p.peer:finish()
    assert.equal("ended", viewer.reason)
  end)

  it("gives the same whoever was first, and whichever worker", function()
    world:close()
    world = t.world { workers = 2 }
    local viewer = world:connect("handlers.rtmp.http", { worker = 2 }):send(get "/live/y.flv")
    local p = rtmp.client(world, "handlers.rtmp"):say(rtmp.publish("live", "y"))
    world:advance(0.2)
    p:say(rtmp.head(0) .. rtmp.key(0, "K") .. rtmp.frame(40, "b"))
    assert.equal(ALL, (select(2, answer(viewer:sent()))))
    local late = world:connect("handlers.rtmp.http", { worker = 1 }):send(get "/live/y.flv")
    assert.equal(ALL, (select(2, answer(late:sent()))))
  end)

  it("does not encode what nobody wants any more", function()
    local stream = require "handlers.rtmp.stream"
    local p = publisher "z"
    local viewer = world:connect(http):send(get "/live/z.flv")
    world:advance(3)
    assert.truthy(stream.find "live/z".outputs[".flv"])
    viewer:finish()
    world:advance(3)
    assert.is_nil(stream.find "live/z".outputs[".flv"])
    local other = world:connect(http):send(get "/live/z.flv")
    assert.equal(ALL, (select(2, answer(other:sent()))))
    p.peer:finish()
  end)

  it("refuses what there is not, and goes on", function()
    local conn = world:connect(http, { options = { http_wait = 1 } }):send(get "/live/none.flv")
    world:advance(2)
    local status, body = answer(conn:sent())
    assert.same({ 404, "no such stream\n" }, { status, body })
    for _, target in ipairs { "/", "/x", "/x.flv", "/streams" } do
      conn:send(get(target))
      assert.equal(404, (answer(conn:sent())), target)
    end
    assert.is_nil(conn.reason)
    conn:send(get("/", "Connection: close\r\n"))
    assert.equal("done", conn.reason)
  end)

  it("asks as the handler of RTMP does", function()
    publisher "secret"
    local seen
    local options = { play_token = "t", on_play = function(request)
      seen = request
      return request.query.who == "me"
    end }
    for query, status in pairs { ["?token=x"] = 403, ["?token=t"] = 403, ["?token=t&who=me"] = 200 } do
      assert.equal(status, (answer(world:connect(http, { options = options })
        :send(get("/live/secret.flv" .. query, "User-Agent: b\r\n")):sent())))
    end
    assert.same({ "live", "secret", "http", "b" }, { seen.app, seen.name, seen.protocol, seen.agent })
  end)

  it("answers what is no request by an error, and ends", function()
    for text, status in pairs {
      ["nonsense\r\n\r\n"] = 400, ["HTTP/1.1 200 OK\r\n\r\n"] = 400, [get("/", "no colon\r\n")] = 400,
      [get("/" .. ("x"):rep(20000))] = 431, ["POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"] = 413,
      ["PUT / HTTP/1.0\r\n\r\n"] = 405,
    } do
      local run = quietly(http, { text })
      assert.equal(status, (answer(run.sent)), text:sub(1, 30))
      assert.is_nil(run.state)
    end
  end)

  it("tells numbers where that is allowed", function()
    publisher "numbers"
    world:advance(1)
    local conn = world:connect(http, { options = { stats = true } }):send(get "/streams")
    local status, body = answer(conn:sent())
    assert.equal(200, status)
    assert.truthy(body:find '"name":"live/numbers"')
  end)

  it("answers HEAD and OPTIONS without a body", function()
    publisher "h"
    local conn = world:connect(http):send "OPTIONS /live/h.flv HTTP/1.1\r\nHost: x\r\n\r\n"
    assert.equal(204, (answer(conn:sent())))
    conn:send "HEAD /live/h.flv HTTP/1.1\r\nHost: x\r\n\r\n"
    local status, body = answer(conn:sent())
    assert.same({ 200, "" }, { status, body })
  end)
end)
