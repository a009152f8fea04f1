-- The world of tests: connections of one worker, time, and how things come in.
local ld = require "linedancer"
local t = require "linedancer.testing"
local tasks = require "linedancer.task"

local function handler(fn, extra)
  local h = { initial = "s", states = { s = fn } }
  for key, value in pairs(extra or {}) do h[key] = value end
  return h
end

-- Every line comes back.
local echo = handler(function(conn)
  local line = conn:read_line()
  if not line then return end
  conn:write(line, "\n")
  return "s"
end)

local function message_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "nothing was raised")
  return tostring(err)
end

describe("t.world", function()
  local world

  after_each(function() if world then world:close() end end)

  it("carries bytes both ways, and tells how a connection ended", function()
    world = t.world()
    local peer = world:connect(echo)
    assert.equal("a\nb\n", peer:send("a\nb"):send("\n"):sent())
    assert.equal("", peer:sent())
    assert.equal("s", peer.state)
    assert.is_nil(peer.reason)
    assert.truthy(peer.id:find "^0%.0%.%d+%.%d+$")
    peer:finish()
    assert.equal("done", peer.reason)
    assert.is_nil(peer.state)
    assert.equal("", peer:send("late\n"):sent())
  end)

  it("begins where it is told, with what it is given", function()
    world = t.world { options = { greeting = "hi" }, limits = { frame = 10 } }
    local many = {
      initial = "a", options = { greeting = "" },
      states = {
        a = function() end,
        b = function(conn, x, y) conn:write(conn.options.greeting, conn.user, tostring(x), y); conn:read(20) end,
      },
    }
    local function setup(conn) conn.user = "me" end
    local peer = world:connect(many, { state = "b", args = { nil, "y" }, setup = setup })
    assert.equal("himenily", peer:sent())
    assert.equal("limit", peer.reason)
    assert.equal("b", peer.error.state)
    peer = world:connect(many, { state = "b", args = { 1, 2 }, setup = setup, options = { greeting = "yo" },
      limits = { frame = 100 } })
    assert.equal("yome12", peer:sent())
    assert.is_nil(peer.reason)
  end)

  it("delivers ends, resets, messages and drains", function()
    world = t.world()
    local told = handler(function(conn) conn:read(2) end, {
      on_message = function(conn, from, message, topic) conn:write(from, message, topic or "") end,
      on_drain = function(conn, left) conn:write("drain ", left) end,
    })
    local a, b, c = world:connect(told), world:connect(told), world:connect(told)
    assert.is_true(a:message "x")
    a:message("y", "me", "z")
    assert.equal("testxmeyz", a:sent())
    a:send("1"):reset()
    b:send("1"):finish()
    assert.equal("reset", a.reason)
    assert.equal("truncated", b.reason)
    assert.same({ nil, "gone" }, { a:message "late" })
    c:drain(5)
    assert.equal("drain 5", c:sent())
  end)

  it("holds a handler whose peer does not read, and lets it go on", function()
    world = t.world()
    local writer = handler(function(conn)
      for i = 1, 20 do
        conn:write(("x"):rep(10000))
        conn:flush()
        conn.written = i
      end
    end)
    local conn
    local peer = world:connect(writer, { setup = function(c) conn = c; c.written = 0 end })
    assert.equal(200000, #peer:sent())
    assert.equal("done", peer.reason)
    peer = world:connect(writer, { setup = function(c) conn = c; c.written = 0 end, state = "s", args = {} })
    assert.equal("done", peer.reason)
    local slow = world:connect(handler(function(c) c:read(1); return "s" end), {
      setup = function(c) conn = c end,
    })
    slow:stall():send "1"
    conn:write(("y"):rep(1000))
    assert.equal("", slow:sent())
    assert.equal(("y"):rep(1000), slow:resume():sent())
  end)

  it("has one clock, for timeouts, tasks, timers and connections alike", function()
    world = t.world()
    local log = {}
    local timed = handler(function(conn) conn:read(1) end, {
      timeouts = { 14.5 },
      on_timer = function(conn, name) conn:write(name) end,
      on_close = function(_, reason) log[#log + 1] = ("%s %g"):format(reason, world:now()) end,
    })
    local start = world:now()
    ld.spawn(function()
      ld.sleep(3)
      log[#log + 1] = ("slept %g"):format(world:now())
    end)
    local peer = world:connect(timed, { setup = function(conn) conn:timer("tick", 2) end })
    world:advance(1.9)
    assert.equal("", peer:sent())
    world:advance(0.2)
    assert.equal("tick", peer:sent())
    world:advance(12.3)
    assert.is_nil(peer.reason)
    world:advance(0.2)
    assert.equal("timeout", peer.reason)
    assert.same({ ("slept %g"):format(start + 3), ("timeout %g"):format(start + 14.5) }, log)
    assert.is_true(math.abs(world:now() - start - 14.6) < 1e-9)
  end)

  it("calls a handler's start once", function()
    world = t.world()
    local starts = 0
    local h = handler(function(conn) conn:read(1) end, { start = function() starts = starts + 1 end })
    world:connect(h)
    world:connect(h)
    assert.equal(1, starts)
    world = t.world()
    world:connect(h)
    assert.equal(2, starts)
    h.start = function() error "no luck" end
    assert.matches("start: .*no luck", message_of(world.connect, t.world(), h))
  end)

  it("cuts what connections read and write, with the same outcome", function()
    world = t.world()
    local sizes = {}
    local pieces = handler(function(conn)
      local text = conn:read_some()
      if not text then return end
      sizes[#sizes + 1] = #text
      conn:write(text)
      return "s"
    end)
    world:fault { split = 3, short_writes = 2 }
    local peer = world:connect(pieces)
    assert.equal("abcdefgh", peer:send("abcdefgh"):sent())
    assert.same({ 3, 3, 2 }, sizes)
    world:heal()
    assert.equal("abcdefgh", peer:send("abcdefgh"):sent())
    assert.same({ 3, 3, 2, 8 }, sizes)
  end)

  it("ends without a word, with all its connections and tasks, and so does the one before a new one", function()
    local words = {}
    local h = handler(function(conn)
      conn:spawn(function() ld.sleep(5); words[#words + 1] = "child" end)
      conn:subscribe "t"
      conn:read(1)
    end, { on_close = function() words[#words + 1] = "closed" end })
    local first = t.world()
    first:connect(h)
    ld.spawn(function() ld.sleep(5); words[#words + 1] = "task" end)
    assert.equal(3, first:open_count(1))
    world = t.world()
    assert.equal(0, world:open_count(1))
    world:advance(10)
    assert.same({}, words)
    assert.equal(0, ld.publish("t", "x"))
    assert.matches("the world has been closed", message_of(first.advance, first, 1))
    first:close()
  end)

  it("refuses what makes no sense", function()
    assert.matches("unknown key 'worker'", message_of(t.world, { worker = 2 }))
    assert.matches("workers must be a whole number", message_of(t.world, { workers = 0 }))
    assert.matches("1 to 16 workers", message_of(t.world, { workers = 17 }))
    assert.matches("seed must be", message_of(t.world, { seed = "x" }))
    world = t.world()
    assert.matches("unknown key 'stat'", message_of(world.connect, world, echo, { stat = "s" }))
    assert.matches("worker 2 of a world of 1", message_of(world.connect, world, echo, { worker = 2 }))
    assert.matches("no state is called x", message_of(world.connect, world, echo, { state = "x" }))
    assert.matches("seconds expected", message_of(world.advance, world, -1))
    assert.matches("unknown key 'kill'", message_of(world.fault, world, { kill = 2 }))
    assert.matches("split must be", message_of(world.fault, world, { split = 0 }))
    assert.matches("partition names two workers", message_of(world.fault, world, { partition = { 1 } }))
    assert.matches("worker 1 is the test itself", message_of(world.kill, world, 1))
    assert.equal("a\n", world:connect(echo):send("a\n"):sent())
  end)

  it("is not moved by a handler that lives in it", function()
    world = t.world()
    local err
    world:connect(handler(function() err = message_of(world.advance, world, 1) end))
    assert.matches("a handler cannot move the world", err)
  end)

  it("says so, with the seed, when it does not come to rest", function()
    world = t.world { seed = 7 }
    local other
    local restless = handler(function(conn) conn:read(1) end, {
      on_message = function(_, _, message) ld.send(other, message) end,
    })
    local peer = world:connect(restless, { limits = { mailbox = 5 } })
    other = peer.id
    assert.matches("does not come to rest.*seed 7", message_of(peer.message, peer, 1))
  end)

  it("leaks nothing over a thousand worlds", function()
    local h = handler(function(conn)
      conn:subscribe "t/+"
      ld.register("name", { take = true })
      conn:spawn(function() ld.sleep(1) end)
      conn:read(1)
    end)
    local function one()
      local w = t.world()
      for _ = 1, 3 do w:connect(h):send "" end
      w:close()
      return w
    end
    local function size()
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    for _ = 1, 100 do one() end
    local before = size()
    for _ = 1, 1000 do one() end
    assert.is_true(size() - before < 200)
    world = t.world()
    assert.equal(0, world:open_count(1))
    assert.is_nil(ld.whereis "name")
  end)
end)

describe("t.play", function()
  it("lets go of what its connection held when it is over", function()
    local ended
    t.play(handler(function(conn)
      conn:subscribe "t"
      ld.register "player"
      conn:read(1)
    end, { on_close = function() ended = true end }), {})
    assert.is_nil(ld.whereis "player")
    assert.equal(0, ld.publish("t", 1))
    assert.is_nil(ended)
    tasks.cancel_all()
  end)
end)
