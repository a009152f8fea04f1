-- Hooks: what on_error, on_timer and on_drain may do, and what becomes of what the coroutine was about.
local ld = require "linedancer"
local quietly = require "spec.support.quietly"
local t = require "linedancer.testing"

-- A handler that begins in A, may go on in B, where it says so and reads one byte, and has EXTRA.
local function handler(a, extra)
  local h = {
    initial = "a",
    states = {
      a = a,
      b = function(conn, value)
        conn:write("b", value or "")
        conn:read(1)
      end,
    },
  }
  for key, value in pairs(extra) do h[key] = value end
  return h
end

local function read(conn) conn:read(1) end

describe("the state that on_error names", function()
  it("has its messages by on_message, though the one before was receiving", function()
    local run = quietly(handler(function() ld.receive() end, {
      timeouts = { a = 1 },
      on_error = function() return "b" end,
      on_message = function(conn, _, message) conn:write("m", message) end,
    }), { t.advance(2), t.message "1" })
    assert.same({ sent = "bm1", state = "b" }, run)
  end)

  it("comes before one that a hook had named for when the failed state returns", function()
    local h = handler(function(conn)
      conn:read(2)
      conn:read(1)
      conn:fail "no"
    end, { on_error = function() return "b" end, on_message = function() return "c" end })
    h.states.c = function(conn) conn:write "c" end
    assert.same({ sent = "b", reason = "done" }, (t.play(h, { "12", t.message "go", "3", "4" })))
  end)

  it("is entered after the messages behind the one whose hook failed", function()
    local run = t.play(handler(function(conn)
      conn:read(1)
      ld.send(conn, 1)
      ld.send(conn, 2)
      conn:read(1)
    end, {
      on_error = function() return "b" end,
      on_message = function(conn, _, message)
        if message == 1 then conn:fail "no" end
        conn:write("m", message)
      end,
    }), { "x" })
    assert.same({ sent = "m2b", state = "b" }, run)
  end)
end)

describe("on_error and on_close", function()
  it("are the connection's own: ld.self(), and from of what they send", function()
    local got, selves, own = {}, {}, nil
    local world = t.world {}
    local hearer = world:connect(handler(read, {
      on_message = function(_, from, message) got[message] = from end,
    }))
    world:connect(handler(function(conn)
      own = conn.id
      conn:fail "over"
    end, {
      on_error = function()
        selves[1] = ld.self()
        ld.send(hearer.id, "error")
      end,
      on_close = function()
        selves[2] = ld.self()
        ld.watch(hearer.id)
        ld.send(hearer.id, "close")
      end,
    }))
    world:close()
    assert.same({ own, own }, selves)
    assert.same({ error = own, close = own }, got)
  end)
end)

describe("a coroutine that a hook gave up", function()
  it("has called nobody", function()
    local replied
    local run = t.play(handler(function(conn)
      ld.call(conn:spawn(function()
        local from = ld.receive()
        ld.sleep(1)
        replied = { ld.reply(from, "late") }
      end), "question")
    end, { on_message = function() return "b" end }), { t.message "go", t.advance(2) })
    assert.same({ sent = "b", state = "b" }, run)
    assert.equal("gone", replied[2])
  end)
end)

describe("on_timer", function()
  it("is not called for a timer that was cancelled, or set again, after it had gone off", function()
    local run = t.play(handler(function(conn)
      for _, name in ipairs { "x", "y", "z" } do conn:timer(name, 1) end
      conn:read(1)
    end, {
      on_timer = function(conn, name, value)
        conn:write(name, value or "")
        if name ~= "x" then return end
        conn:timer "y"
        conn:timer("z", 5, "!")
      end,
    }), { t.advance(2), t.advance(10) })
    assert.same({ sent = "xz!", state = "a" }, run)
  end)

  it("is not called any more when the one before has closed the connection", function()
    local run = t.play(handler(function(conn)
      conn:timer("x", 1)
      conn:timer("y", 1)
      conn:read(1)
    end, {
      on_timer = function(conn, name)
        conn:write(name)
        conn:close "enough"
      end,
    }), { t.advance(2) })
    assert.same({ sent = "x", reason = "enough" }, run)
  end)

  it("leaves the timer as it is when it is set to something wrong", function()
    for _, seconds in ipairs { -1, "5", 0 / 0 } do
      local run = t.play(handler(function(conn)
        conn:timer("x", 1)
        assert.is_false((pcall(conn.timer, conn, "x", seconds)))
        assert.is_false((pcall(conn.timer, conn, nil, 1)))
        conn:read(1)
      end, { on_timer = function(conn, name) conn:write(name) end }), { t.advance(2) })
      assert.same({ sent = "x", state = "a" }, run)
    end
  end)
end)

describe("on_drain", function()
  it("may not postpone", function()
    local run = quietly(handler(read, { on_drain = function() return ld.postpone end }), { t.drain(1) })
    assert.truthy(run.error.message:find "only on_message")
  end)

  it("may name a state", function()
    local run = t.play(handler(read, { on_drain = function(_, left) return "b", left end }), { t.drain(30) })
    assert.same({ sent = "b30", state = "b" }, run)
  end)

  it("may name a state for when the one that has consumed returns", function()
    local run = t.play(handler(function(conn)
      conn:unpack "c1"
      conn:expect "c1"
      return "a"
    end, { on_drain = function() return "b" end }), { "x", t.drain(30), "y" })
    assert.same({ sent = "b", state = "b" }, run)
  end)

  it("that fails ends the connection like a state", function()
    local run = t.play(handler(read, { on_drain = function(conn) conn:fail "gone home" end }), { t.drain(30) })
    assert.same({ sent = "", reason = "gone home" }, run)
  end)
end)
