-- Messages reach a connection whatever it is waiting for, and may change its state.
local ld = require "linedancer"
local quietly = require "spec.support.quietly"
local t = require "linedancer.testing"

-- A frame of four bytes; messages are answered with what they are.
local function reader(extra)
  local handler = {
    initial = "frame",
    states = {
      frame = function(conn)
        local body = conn:unpack ">c4"
        if not body then return end
        conn:write("<", body, ">")
        return "frame"
      end,
      other = function(conn)
        local body = conn:unpack ">c2"
        if not body then return end
        conn:write("{", body, "}")
        return "other"
      end,
    },
    on_message = function(conn, from, message, topic)
      conn:write(tostring(message), topic or "", from == "test" and "" or "!")
    end,
  }
  for key, value in pairs(extra or {}) do handler[key] = value end
  return handler
end

describe("on_message", function()
  it("answers while a frame is half read, wherever it is cut", function()
    for cut = 0, 3 do
      local run = t.play(reader(), { ("abcd"):sub(1, cut), t.message "m", ("abcd"):sub(cut + 1), t.eof })
      assert.same({ sent = "m<abcd>", reason = "done" }, run)
    end
  end)

  it("hears messages in order", function()
    local run = t.play(reader(), { "a", t.message(1), t.message(2), "b", t.message(3), "cd" })
    assert.same({ sent = "123<abcd>", state = "frame" }, run)
  end)

  it("gets the topic", function()
    assert.equal("m/t", t.play(reader(), { t.message("m", nil, "/t") }).sent)
  end)

  it("hears at every transition, before the next state, however the coroutine waited", function()
    for _, wait in ipairs { function(conn) conn:read(1) end, function() ld.sleep(1) end } do
      local seen = {}
      t.play({
        initial = "a",
        states = {
          a = function(conn)
            wait(conn)
            ld.send(conn.id, "m")
            return "b"
          end,
          b = function() seen[#seen + 1] = "b" end,
        },
        on_message = function(_, _, message) seen[#seen + 1] = message end,
      }, { "x", t.advance(2) })
      assert.same({ "m", "b" }, seen)
    end
  end)

  it("may not wait", function()
    local run = t.play(reader { on_message = function(conn) conn:read(1) end }, { t.message "x" })
    assert.equal("hook", run.reason)
  end)

  it("that fails ends the connection like a state", function()
    local run = t.play(reader { on_message = function(conn) conn:fail "no more" end }, { "ab", t.message "x" })
    assert.equal("no more", run.reason)
    run = quietly(reader {
      on_message = function() error "oops" end,
      on_error = function(conn, err) conn:write(err.code) end,
    }, { t.message "x" })
    assert.same({ sent = "error", reason = "error" }, run)
    assert.truthy(run.error.traceback:find "mailbox_spec")
  end)

  it("may close the connection, and no further message is heard", function()
    local run = t.play(reader {
      on_message = function(conn, _, message)
        conn:write(message)
        conn:close "kicked"
      end,
    }, { "ab", t.message "x", t.message "y" })
    assert.same({ sent = "x", reason = "kicked" }, run)
  end)

  describe("by state", function()
    local handler = reader {
      on_message = { other = function(conn, _, message) conn:write("o", message) end },
      states = {
        frame = function(conn) return conn:read(1) and "other" or nil end,
        other = function(conn) return conn:read(1) and "frame" or nil end,
      },
    }

    it("keeps messages for the state that hears them", function()
      assert.same({ sent = "o1o2", state = "other" }, t.play(handler, { t.message "1", t.message "2", "x" }))
    end)

    it("hears them before the first frame of that state", function()
      assert.same({ sent = "o1", state = "frame" }, t.play(handler, { t.message "1", "xy" }))
    end)
  end)

  describe("that returns a state", function()
    local handler = reader { on_message = function(_, _, message) return message end }

    it("changes it at once when the state has consumed nothing, keeping the bytes", function()
      local run, path = t.play(handler, { "ab", t.message "other", "cd" })
      assert.same({ sent = "{ab}{cd}", state = "other" }, run)
      assert.same({ "frame", "other", "other", "other" }, { path[1][1], path[2][1], path[3][1], path[4][1] })
    end)

    it("changes it when the state returns, when it has consumed something", function()
      local two = reader {
        on_message = handler.on_message,
        states = {
          frame = function(conn)
            conn:write(conn:unpack ">c2")
            conn:write(conn:expect ">c2")
            return "frame"
          end,
          other = reader().states.other,
        },
      }
      assert.same({ sent = "abcd{ef}", state = "other" }, t.play(two, { "abc", t.message "other", "def" }))
    end)

    it("goes on in it even when the state wanted to end", function()
      local once = reader {
        on_message = handler.on_message,
        states = {
          frame = function(conn)
            conn:read(1)
            conn:read(1)
          end,
          other = reader().states.other,
        },
      }
      assert.same({ sent = "{cd}", state = "other" }, t.play(once, { "a", t.message "other", "bcd" }))
    end)

    it("passes it values", function()
      local passing = reader {
        on_message = function() return "other", 7, nil, 9 end,
        states = {
          frame = reader().states.frame,
          other = function(conn, a, b, c) conn:write(a, tostring(b), c) end,
        },
      }
      assert.same({ sent = "7nil9", reason = "done" }, t.play(passing, { t.message "x" }))
    end)

    it("must name a state", function()
      local run = quietly(handler, { t.message "othr" })
      assert.equal("error", run.reason)
      assert.truthy(run.error.message:find("'othr'", 1, true) and run.error.message:find "other")
      assert.equal("error", quietly(handler, { t.message(true) }).reason)
    end)

    it("runs the enter hook and its timeout", function()
      local entered = reader {
        on_message = handler.on_message,
        enter = { other = function(conn, from) conn:write("from ", from, ";") end },
        timeouts = { other = 5 },
      }
      local run = t.play(entered, { t.message "other", t.advance(6) })
      assert.same({ sent = "from frame;", reason = "timeout" }, run)
    end)
  end)

  describe("that postpones", function()
    local handler = reader {
      on_message = function(conn, _, message)
        if conn.state == "frame" then return ld.postpone end
        conn:write("p", message)
      end,
      states = {
        frame = function(conn) return conn:read(1) and "other" or nil end,
        other = reader().states.other,
      },
    }

    it("has the messages again when the state has changed, in order", function()
      assert.same({ sent = "p1p2p3{ab}", state = "other" },
        t.play(handler, { t.message "1", t.message "2", "x", t.message "3", "ab" }))
    end)

    it("has them before the next frame", function()
      assert.same({ sent = "p1{ab}", state = "other" }, t.play(handler, { t.message "1", "xab" }))
    end)

    it("has them in a later state, though the first change could not be seen while a task read", function()
      local run = t.play({
        initial = "one",
        states = {
          one = function(conn, again)
            if not again then conn:spawn(function() conn:read(2) end) end
            ld.sleep(1)
            return again and "last" or "through"
          end,
          through = function() return "one", true end,
          last = function() ld.sleep(5) end,
        },
        on_message = function(conn, _, message)
          if conn.state ~= "last" then return ld.postpone end
          conn:write("p", message)
        end,
      }, { t.message "1", t.advance(3) })
      assert.equal("p1", run.sent)
    end)
  end)
end)

describe("a mailbox", function()
  local mailbox = require "linedancer.mailbox"

  it("is bounded, and the sender learns that it is full", function()
    local results = {}
    local handler = {
      initial = "s", states = { s = function(conn) conn:read(1) end },
      limits = { mailbox = 3 },
    }
    t.play(handler, { t.eof }, { setup = function(conn)
      for i = 1, 5 do results[i] = { mailbox.deliver(conn, "x", i) } end
    end })
    assert.same({ { true }, { true }, { true }, { nil, "full" }, { nil, "full" } }, results)
  end)

  it("that is gone says so", function()
    local dead
    t.play(reader(), { t.eof }, { setup = function(conn) dead = conn end })
    assert.same({ nil, "gone" }, { mailbox.deliver(dead, "x", 1) })
  end)
end)

describe("receive", function()
  local function handler(fn) return { initial = "s", states = { s = fn } } end

  it("returns messages in order, whether they came before or come later", function()
    local run = t.play(handler(function(conn)
      for _ = 1, 3 do
        local _, message = ld.receive()
        conn:write(message)
      end
    end), { t.message "a", t.message "b", t.message "c" })
    assert.same({ sent = "abc", reason = "done" }, run)
  end)

  it("gives up at the time", function()
    local run = t.play(handler(function(conn)
      conn:write(tostring((ld.receive(5))))
    end), { t.advance(4.9), t.advance(0.2) })
    assert.same({ sent = "nil", reason = "done" }, run)
  end)

  it("has messages before on_message has them", function()
    local h = reader()
    h.states.frame = function(conn)
      local _, message = ld.receive()
      conn:write("r", message)
      conn:read(1)
    end
    assert.same({ sent = "rab", state = "frame" }, t.play(h, { t.message "a", t.message "b" }))
  end)

  it("may not be called in a hook", function()
    assert.equal("hook", t.play(reader { on_message = function() ld.receive(1) end }, { t.message "x" }).reason)
  end)

  it("ends with its connection", function()
    local h = handler(function() ld.receive() end)
    h.timeouts = { 5 }
    assert.equal("timeout", t.play(h, { t.advance(6) }).reason)
  end)

  it("is held while the peer takes no output, so that senders are told", function()
    local played = t.begin(handler(function(conn)
      while true do
        ld.receive()
        conn:write(("x"):rep(30000))
      end
    end), { limits = { output = 100000, mailbox = 5 } })
    t.perform(played, t.stall)
    for i = 1, 20 do t.perform(played, t.message(i)) end
    assert.equal("s", t.result(played).state)
    t.perform(played, t.resume)
    assert.equal(8 * 30000, #t.result(played).sent)
    played.peer:drop()
  end)

  it("leaves the end of the peer to the next read", function()
    local run = t.play(handler(function(conn)
      local _, message = ld.receive()
      conn:write(message, conn:read(1) or "-", conn:read(1) or "-")
    end), { "x", t.eof, t.message "m" })
    assert.same({ sent = "mx-", reason = "done" }, run)
  end)
end)
