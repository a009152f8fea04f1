-- The handler rtmp.http: requests and answers, and streams as FLV.
local flv = require "spec.support.flv"
local handler = require "handlers.rtmp.http"
local logged = require "spec.support.logged"
local rtmp = require "spec.support.rtmp"
local scratch = require "spec.support.scratch"
local t = require "linedancer.testing"

local COMMON = "Access-Control-Allow-Origin: *\r\nCache-Control: no-store\r\n"
local PLAYING = "HTTP/1.1 200 OK\r\n" .. COMMON .. "Content-Type: video/x-flv\r\nConnection: close\r\n\r\n"
local NOTHING = "there is nothing here; streams are at /APP/NAME.flv\n"

local function get(path, more, version)
  return ("GET %s HTTP/%s\r\nHost: a\r\n%s\r\n"):format(path, version or "1.1", more or "")
end

local function answer(status, text, more, kind)
  return ("HTTP/1.1 %s\r\n%sContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s"):format(status, COMMON,
    kind or "text/plain", #text, more or "", text)
end

describe("rtmp.http", function()
  local CLOSE = "Connection: close\r\n"

  -- However REQUESTS are cut, they are answered by SENT and end with REASON, or go on when that is nil.
  local function answers(requests, sent, reason, options)
    t.every_split(handler, { requests }, { sent = sent, reason = reason, state = not reason and "request" or nil },
      { options = options })
  end

  it("keeps the connection for the next request, if the client does", function()
    local nothing = answer("404 Not Found", NOTHING)
    local last = answer("404 Not Found", NOTHING, CLOSE)
    answers(get "/" .. get "/x", nothing .. nothing)
    answers(get("/", "Connection: TE, Close\r\n") .. get "/x", last, "done")
    answers(get("/", nil, "1.0") .. get "/x", last, "done")
    answers("\r\n" .. get "/streams", nothing)
  end)

  it("answers preflights, for the origin that is allowed", function()
    local text = "Access-Control-Allow-Methods: GET, HEAD\r\nAccess-Control-Allow-Headers: *\r\n"
      .. "Access-Control-Max-Age: 86400\r\n\r\n"
    answers("OPTIONS /live/x.flv HTTP/1.1\r\n\r\n", "HTTP/1.1 204 No Content\r\n" .. COMMON .. text)
    answers("OPTIONS * HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
      ("HTTP/1.1 204 No Content\r\n" .. COMMON .. text):gsub("Origin: %*", "Origin: https://a"), nil,
      { origin = "https://a" })
  end)

  it("refuses what it does not do", function()
    answers("PUT / HTTP/1.1\r\n\r\n", answer("405 Method Not Allowed", "GET or HEAD, not PUT\n",
      "Allow: GET, HEAD, OPTIONS\r\n"))
    answers("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello" .. get "/", answer("413 Content Too Large",
      "no body is taken\n", CLOSE), "done")
    answers("OPTIONS / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", answer("413 Content Too Large",
      "no body is taken\n", CLOSE), "done")
  end)

  it("answers what is no request, too, and ends the connection", function()
    local function refuses(text, status, why)
      local run
      logged(function() run = t.play(handler, { text }) end)
      assert.equal(answer(status, why .. "\n", CLOSE), run.sent)
      assert.is_truthy(run.reason)
    end
    refuses("hello\r\n\r\n", "400 Bad Request", "not an HTTP start line")
    refuses("GET / HTTP/1.1\r\nno field\r\n\r\n", "400 Bad Request", "not an HTTP field line")
    refuses("HTTP/1.1 200 OK\r\n\r\n", "400 Bad Request", "a response, not a request")
    local large = "431 Request Header Fields Too Large"
    refuses(get("/" .. ("x"):rep(20000)), large, "the request is too long")
    refuses(get("/", ("X: y\r\n"):rep(300)), "400 Bad Request", "too many HTTP fields")
    refuses(get("/", ("X: " .. ("y"):rep(200) .. "\r\n"):rep(100)), large, "the request is too long")
  end)

  it("takes so many connections of one address, and no more", function()
    local world = t.world { workers = 2 } -- nobody has been in the second one
    local function connect()
      return world:connect("handlers.rtmp.http", { worker = 2, options = { max_per_address = 1 } })
    end
    local first = connect()
    assert.equal(answer("404 Not Found", NOTHING), first:send(get "/"):sent())
    assert.equal(answer("503 Service Unavailable", "too many connections from this address\n", CLOSE),
      connect():send(get "/"):sent())
    first:finish()
    assert.equal(answer("404 Not Found", NOTHING), connect():send(get "/"):sent())
    world:close()
  end)

  it("ends quietly when the client goes between requests", function()
    assert.same({ sent = "", reason = "done" }, (t.play(handler, { t.eof })))
    assert.equal("truncated", t.play(handler, { "GET / HT", t.eof }).reason)
    assert.equal("timeout", t.play(handler, { t.advance(61) }).reason)
  end)

  it("gives files by their paths, and no others", function()
    local dir = scratch.new { ["page.html"] = "<p>hi", ["a.bin"] = "\0\1" }
    local files = { ["/"] = dir.dir .. "/page.html", ["/a"] = dir.dir .. "/a.bin", ["/b"] = dir.dir .. "/b" }
    local options = { files = files }
    local page = answer("200 OK", "<p>hi", nil, "text/html; charset=utf-8")
    answers(get "/?x=y" .. get "/a", page .. answer("200 OK", "\0\1", nil, "application/octet-stream"), nil, options)
    answers("HEAD / HTTP/1.1\r\n\r\n", page:gsub("<p>hi", ""), nil, options)
    answers(get "/page.html", answer("404 Not Found", NOTHING), nil, options)
    answers(get "/../a", answer("404 Not Found", NOTHING), nil, options)
    logged(answers, get "/b", answer("404 Not Found", "the file is not there\n"), nil, options)
    dir.remove()
  end)
end)

describe("rtmp.http of a stream", function()
  local world

  before_each(function() world = t.world {} end)
  after_each(function() world:close() end)

  local function publisher(name, bytes)
    local p = rtmp.client(world, "handlers.rtmp"):say(rtmp.publish("live", name or "x"))
    if bytes then p:say(bytes) end
    return p
  end

  local function viewer(request, options)
    local v = world:connect(handler, { options = options })
    v:send(request)
    return v
  end

  -- What V was sent since the last time, as FLV: flags, and its tags as short texts.
  local function tags(v, began)
    local text = v:sent()
    if not began then
      assert.equal(PLAYING, text:sub(1, #PLAYING))
      text = text:sub(#PLAYING + 1)
    else
      text = "FLV\1\0\0\0\0\9\0\0\0\0" .. text
    end
    local list, rest = flv.tags(text)
    assert.equal("", rest)
    for i, tag in ipairs(list) do
      local body = tag[3]
      if body == rtmp.VIDEO_HEADER or body == rtmp.AUDIO_HEADER then
        body = "header"
      elseif tag[1] == 18 then
        body = "data"
      else
        body = body:sub(tag[1] == 9 and 6 or 3)
      end
      list[i] = ("%d %d %s"):format(tag[1], tag[2], body)
    end
    return list, text:byte(5)
  end

  local function status(v) return v:sent():match "^HTTP/1.1 (%d+)" end

  it("begins with headers and the last key frame, and goes on", function()
    local p = publisher("x", rtmp.head(0) .. rtmp.key(40, "K") .. rtmp.frame(80, "b"))
    local v = viewer(get "/live/x.flv")
    assert.same({ "18 0 data", "9 0 header", "8 0 header", "9 40 K", "9 80 b" }, (tags(v)))
    p:say(rtmp.sound(90, "c") .. rtmp.key(120, "L"))
    assert.same({ "8 90 c", "9 120 L" }, (tags(v, true)))
    p.peer:finish()
    assert.equal("ended", v.reason)
  end)

  it("says in its header which tracks there are, once that is known", function()
    publisher("x", rtmp.message(9, 0, 1, rtmp.VIDEO_HEADER) .. rtmp.key(0, "K"))
    assert.equal(5, select(2, tags(viewer(get "/live/x.flv"))))
    publisher("y", rtmp.message(8, 0, 1, rtmp.AUDIO_HEADER) .. rtmp.sound(0, "a"))
    publisher("z", rtmp.head(0) .. rtmp.key(0, "K"))
    publisher "none"
    world:advance(2)
    assert.equal(1, select(2, tags(viewer(get "/live/x.flv"))))
    assert.equal(4, select(2, tags(viewer(get "/live/y.flv"))))
    assert.equal(5, select(2, tags(viewer(get "/live/z.flv"))))
    assert.equal(5, select(2, tags(viewer(get "/live/none.flv"))))
  end)

  it("knows the tracks of a publisher in another worker", function()
    world:close()
    world = t.world { workers = 2 }
    local p = rtmp.client(world, "handlers.rtmp", { worker = 1 }):say(rtmp.publish("live", "x"))
    p:say(rtmp.message(9, 0, 1, rtmp.VIDEO_HEADER) .. rtmp.key(0, "K"))
    local v = world:connect("handlers.rtmp.http", { worker = 2 })
    world:advance(3)
    v:send(get "/live/x.flv")
    local list, flags = tags(v)
    assert.equal(1, flags)
    assert.same({ "9 0 header", "9 0 K" }, list)
  end)

  it("answers HEAD without the stream", function()
    publisher("x", rtmp.head(0))
    local v = viewer "HEAD /live/x.flv HTTP/1.1\r\n\r\n"
    assert.equal(PLAYING, v:sent())
    assert.equal("done", v.reason)
  end)

  it("is waited for, so long", function()
    local v = viewer(get "/live/x.flv")
    world:advance(4)
    assert.equal("", v:sent())
    publisher("x", rtmp.key(0, "K"))
    world:advance(0.2)
    assert.same({ "9 0 K" }, (tags(v)))
    v = viewer(get "/live/y.flv", { http_wait = 1 })
    world:advance(1.2)
    assert.equal(answer("404 Not Found", "no such stream\n"), v:sent())
    assert.equal("request", v.state)
  end)

  it("may have any name, escaped as in addresses", function()
    publisher("a b", rtmp.key(0, "K"))
    publisher("deep/er", rtmp.key(0, "L"))
    assert.same({ "9 0 K" }, (tags(viewer(get "/live/a%20b.flv"))))
    assert.same({ "9 0 L" }, (tags(viewer(get "/live/deep/er.flv?a=b"))))
    for _, path in ipairs { "/x.flv", "/.flv", "/live/.flv", "/live/a%0ab.flv", "/live/%00.flv",
      "/" .. ("x"):rep(300) .. "/x.flv" } do
      assert.equal("404", status(viewer(get(path), { http_wait = 0 })), path)
    end
  end)

  it("is for those only who may see it", function()
    publisher("x", rtmp.key(0, "K"))
    assert.equal(answer("403 Forbidden", "wrong token\n"), viewer(get "/live/x.flv", { play_token = "s" }):sent())
    assert.same({ "9 0 K" }, (tags(viewer(get "/live/x.flv?token=s", { play_token = "s" }))))
    assert.equal("503", (function()
      viewer(get "/live/x.flv")
      return status(viewer(get "/live/x.flv", { max_viewers = 1 }))
    end)())
  end)

  it("asks the hook, which knows the request, may say why not, send elsewhere, or rename", function()
    local asked
    local verdicts = {
      ["/live/no.flv"] = { false, "not today" }, ["/live/there.flv"] = { { redirect = "http://b/live/x.flv" } },
      ["/live/evil.flv"] = { { redirect = "http://b/\r\nX: y" } }, ["/live/y.flv?k=v&l=%20"] = { { name = "live/x" } },
    }
    local options = { on_play = function(request)
      asked = request
      return unpack(verdicts[request.url])
    end }
    publisher("x", rtmp.key(0, "K"))
    assert.equal(answer("403 Forbidden", "not today\n"), viewer(get "/live/no.flv", options):sent())
    assert.equal(answer("302 Found", "it is elsewhere\n", "Location: http://b/live/x.flv\r\n"),
      viewer(get "/live/there.flv", options):sent())
    assert.equal("403", status(viewer(get "/live/evil.flv", options)))
    assert.same({ "9 0 K" }, (tags(viewer(get("/live/y.flv?k=v&l=%20", "User-Agent: me\r\n"), options))))
    assert.same({ "play", "live", "http", "me", "v", " " },
      { asked.what, asked.app, asked.protocol, asked.agent, asked.query.k, asked.query.l })
  end)

  it("ends when the client closes, resets or is kicked, and the hook hears of it", function()
    publisher("x", rtmp.key(0, "K"))
    local heard = {}
    local options = { on_done = function(request) heard[#heard + 1] = request.reason end }
    viewer(get "/live/x.flv", options):finish()
    viewer(get "/live/x.flv", options):reset()
    viewer(get "/live/x.flv", options):message { rtmp = "kick", reason = "out" }
    world:run()
    assert.same({ "done", "reset", "out" }, heard)
  end)

  it("ends when its worker drains", function()
    world:close()
    world = t.world { workers = 2 }
    rtmp.client(world, "handlers.rtmp", { worker = 1 }):say(rtmp.publish("live", "x") .. rtmp.key(0, "K"))
    local v = world:connect("handlers.rtmp.http", { worker = 2 })
    v:send(get "/live/x.flv"):drain(5)
    assert.equal("drain", v.reason)
  end)

  it("finishes an answer before it drains", function()
    local v = viewer(get "/live/x.flv", { http_wait = 1 })
    v:drain(5)
    world:advance(1.2)
    assert.equal(answer("404 Not Found", "no such stream\n", "Connection: close\r\n"), v:sent())
    assert.equal("done", v.reason)
    v = viewer(get "/")
    v:drain(5)
    assert.equal("drain", v.reason)
  end)

  it("skips to a key frame for who is slow, without a torn tag, and cuts off who takes nothing", function()
    local p = publisher("x", rtmp.head(0) .. rtmp.key(0, "K"))
    local options = { lag = 3000, stall = 10 }
    local slow, fast = viewer(get "/live/x.flv", options), viewer(get "/live/x.flv", options)
    tags(slow)
    tags(fast)
    slow:stall()
    for i = 1, 9 do p:say(rtmp.frame(40 * i, ("b"):rep(1000))) end
    p:say(rtmp.key(400, "L") .. rtmp.frame(440, "c"))
    assert.equal(11, #tags(fast, true))
    slow:resume()
    local list = tags(slow, true)
    assert.same({ "9 400 L", "9 440 c" }, { unpack(list, #list - 1) })
    assert.is_true(#list < 9)
    slow:stall()
    p:say(rtmp.frame(480, "d"))
    for _ = 1, 15 do
      world:advance(1)
      p:say(rtmp.frame(480, "d"))
    end
    assert.equal("stalled", slow.reason)
    assert.is_nil(fast.reason)
  end)

  it("is listed with the codec, also one that has no headers", function()
    publisher("x", rtmp.message(8, 0, 1, "\47mp3") .. rtmp.message(9, 0, 1, "\18h263"))
    local body = viewer(get "/streams", { stats = true }):sent()
    assert.is_truthy(body:find('"channels":2,"codec":"mp3"', 1, true), body)
    assert.is_truthy(body:find('"rate":44100', 1, true))
    assert.is_truthy(body:find('"codec":"h263"', 1, true))
  end)

  it("is listed with numbers, where that is allowed", function()
    publisher("x", rtmp.head(0) .. rtmp.key(0, "K"))
    viewer(get "/live/x.flv"):finish()
    viewer(get "/live/x.flv")
    local v = viewer(get "/streams", { stats = true })
    local head, body = v:sent():match "^(.-\r\n)\r\n(.*)$"
    assert.is_truthy(head:find("Content-Type: application/json", 1, true))
    assert.is_truthy(body:find('"name":"live/x"', 1, true))
    assert.is_truthy(body:find('"viewers":1', 1, true))
    assert.is_truthy(body:find('"codec":"avc"', 1, true))
    assert.equal("request", v.state)
    assert.equal("404", status(viewer(get "/streams")))
  end)
end)
