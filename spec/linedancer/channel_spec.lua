-- Channels in one worker: what handlers see of the log that core/channel.c keeps.
local api = require "linedancer.api"
local bytes = require "linedancer.bytes"
local channel = require "linedancer.channel"
local registry = require "linedancer.channel.registry"
local t = require "linedancer.testing"

local core = api.core

-- Connections that heard a message write what it says, and read for ever.
local handler = {
  initial = "listen",
  states = { listen = function(conn)
    while conn:read(1) do end -- luacheck: ignore 542
  end },
  on_message = function(conn, from, message) conn:write("(", tostring(from), " closed ", message.closed, ")") end,
}

describe("a channel", function()
  local plays, count = {}, 0

  -- A connection that follows CH, and its table.
  local function listener(ch, opts)
    local play = t.begin(handler, {})
    plays[#plays + 1] = play
    local conn = core.conn_of(play.peer:handle())
    if ch then channel.follow(conn, ch, opts) end
    core.settle()
    return play.peer, conn, play
  end

  local function sent(peer)
    core.settle()
    return peer:sent()
  end

  -- A name that no other test has.
  local function fresh(opts)
    count = count + 1
    return channel.get("c" .. count, opts)
  end

  after_each(function()
    for _, play in ipairs(plays) do play.peer:drop() end
    plays = {}
  end)

  it("is one object for one name", function()
    assert.equal(channel.get "same", channel.get "same")
    assert.has_error(function() channel.get "" end, "a channel's name has 1 to 240 bytes")
    assert.has_error(function() channel.get(("x"):rep(241)) end)
    assert.has_error(function() channel.get(7) end)
  end)

  it("tells what it has since the newest mark", function()
    local ch = fresh()
    assert.same({}, ch:recent())
    ch:publish "early "
    ch:publish("one ", true)
    ch:publish(bytes.buffer():put "two")
    assert.same({ { "one ", true }, { "two", false } }, ch:recent())
    ch:close()
    assert.same({}, ch:recent())
  end)

  it("sends every kind of bytes to all who follow, in order", function()
    local ch = fresh()
    local a, b = listener(ch), listener(ch.name)
    local big = bytes.blob(("y"):rep(10000))
    assert.is_true(ch:publish "one ")
    ch:publish(bytes.buffer():put "two ")
    ch:publish(3)
    ch:publish(big)
    local expected = "one two 3" .. ("y"):rep(10000)
    assert.equal(expected, sent(a))
    assert.equal(expected, sent(b))
    assert.has_error(function() ch:publish({}) end, "bytes expected (a string, slice, buffer or blob), got table")
  end)

  it("takes a slice of a frame", function()
    local ch = fresh()
    local a = listener(ch)
    local run = t.play({ initial = "s", states = { s = function(conn)
      local body = conn:unpack ">&s1"
      ch:publish(body)
      conn:read(1)
    end } }, { "\5hello" })
    assert.equal("", run.sent)
    assert.equal("hello", sent(a))
  end)

  it("gives newcomers the preamble and the log from the newest mark", function()
    local ch = fresh()
    ch:preamble("head", bytes.blob " ", 1)
    ch:publish("old", true)
    ch:publish("key", true)
    ch:publish "frame"
    assert.equal("head 1keyframe", sent(listener(ch)))
    ch:preamble()
    assert.equal("keyframe", sent(listener(ch)))
    ch:publish("", true)
    assert.equal("", sent(listener(ch)))
  end)

  it("keeps what its options say, and no more", function()
    local ch = fresh { bytes = 10, items = 2 }
    for i = 1, 5 do ch:publish("abc" .. i) end
    local stats = ch:stats()
    assert.equal(2, stats.items)
    assert.equal(8, stats.bytes)
    assert.equal(5, stats.published)
    local ok, err = pcall(ch.publish, ch, ("x"):rep(11))
    assert.is_false(ok)
    assert.equal("limit", err.code)
    channel.get(ch.name, { items = 1 })
    ch:publish "z"
    assert.equal(1, ch:stats().items)
  end)

  it("refuses options that it does not have", function()
    assert.has_error(function() fresh { byte = 1 } end, "no option is called 'byte' (did you mean 'bytes'?)")
    assert.has_error(function() fresh { bytes = 0 } end)
    assert.has_error(function() fresh { merge = "1" } end)
    local _, conn = listener()
    assert.has_error(function() channel.follow(conn, fresh(), { policy = "stop" }) end,
      "policy: 'skip', 'drop' or 'close' expected, got stop")
    assert.has_error(function() channel.follow(conn, fresh(), { lag = -1 }) end)
  end)

  it("merges what is published within a window", function()
    local ch = fresh { merge = 0.35 }
    local a = listener(ch)
    ch:publish "x"
    core.advance(0.3)
    ch:publish "y"
    assert.equal("", sent(a))
    core.advance(0.1)
    assert.equal("xy", sent(a))
  end)

  it("is followed one at a time, and each blob goes out whole", function()
    local one, other = fresh(), fresh()
    local a, conn = listener(one)
    a:room(2)
    one:publish "abcd"
    one:publish "lost"
    core.settle()
    channel.follow(conn, other)
    other:publish "next"
    a:room()
    assert.equal("abcdnext", sent(a))
    assert.equal(0, one:stats().followers)
    channel.unfollow(conn)
    channel.unfollow(conn)
    other:publish "no"
    assert.equal("", sent(a))
    assert.equal(0, other:stats().followers)
  end)

  it("has those who lag skip, drop or end", function()
    local ch = fresh { items = 3 }
    local peers, ends = {}, {}
    for i, policy in ipairs { "skip", "drop", "close" } do
      local peer, _, play = listener(ch, { policy = policy, lag = 100 })
      peer:room(1)
      peers[i], ends[i] = peer, play.run
    end
    ch:publish "<>"
    core.settle()
    for i = 1, 6 do ch:publish(tostring(i), i == 5) end
    core.settle()
    for i = 1, 3 do peers[i]:room() end
    assert.equal("<>56", sent(peers[1]))
    assert.equal("<>456", sent(peers[2]))
    assert.equal("<>", sent(peers[3]))
    assert.same({}, ends[1])
    assert.equal("lag", ends[3].reason)
    local stats = ch:stats()
    assert.same({ 1, 1, 1, 2 }, { stats.skipped, stats.dropped, stats.closed, stats.followers })
  end)

  it("tells its followers when it is closed, and keeps them for the next publisher", function()
    local ch = fresh()
    ch:preamble "one "
    local a = listener(ch)
    ch:publish("x", true)
    ch:close()
    assert.equal("one x(nil closed " .. ch.name .. ")", sent(a))
    assert.equal("", sent(listener(ch)))
    ch:preamble "two "
    ch:publish "y"
    assert.equal("two y", sent(a))
  end)

  it("forgets connections that end", function()
    local ch = fresh()
    local a = listener(ch)
    local b = listener(ch)
    a:finish "eof"
    assert.equal(1, ch:stats().followers)
    assert.equal(1, ch.count)
    b:finish "reset"
    ch:publish "x"
    core.settle()
    assert.same({ 0, 0 }, { ch:stats().followers, ch.count })
    assert.is_nil(next(ch.followers))
  end)

  it("is not followed by a connection that has ended", function()
    local ch = fresh()
    local a, conn = listener()
    a:finish "reset"
    assert.equal(ch, channel.follow(conn, ch))
    assert.equal(0, ch.count)
  end)

  describe("that nobody needs", function()
    local function pass()
      for _ = 1, 3 do core.advance(60) end
      collectgarbage()
      collectgarbage()
    end

    it("goes with its log", function()
      local name = fresh().name
      channel.get(name):publish("x", true)
      core.advance(30)
      collectgarbage()
      local a = listener(name)
      assert.equal("x", sent(a)) -- not at once
      a:finish "reset"
      pass()
      assert.is_nil(registry.find(name))
      assert.equal("", sent(listener(name)))
    end)

    it("stays while it is followed or somebody has it", function()
      local followed, held = fresh().name, fresh()
      local a = listener(followed)
      channel.get(followed):publish("x", true)
      held:publish("y", true)
      pass()
      assert.truthy(registry.find(followed))
      assert.equal("y", sent(listener(held.name)))
      channel.get(followed):publish "z"
      assert.equal("xz", sent(a))
    end)
  end)

  it("is cheap to follow: thousands get one blob each", function()
    local ch = fresh()
    local conns = {}
    for i = 1, 1000 do conns[i] = listener(ch) end
    ch:publish "hello"
    core.settle()
    for i = 1, 1000 do assert.equal("hello", conns[i]:sent()) end
  end)
end)
