-- Tasks: coroutines besides those of connections.
local errors = require "linedancer.errors"
local ld = require "linedancer"
local logged = require "spec.support.logged"
local quietly = require "spec.support.quietly"
local t = require "linedancer.testing"
local tasks = require "linedancer.task"

local function handler(fn, extra)
  local h = { initial = "s", states = { s = fn } }
  for key, value in pairs(extra or {}) do h[key] = value end
  return h
end

describe("conn:spawn", function()
  after_each(tasks.cancel_all)

  it("runs a task beside the connection, with its arguments", function()
    local run = t.play(handler(function(conn)
      conn:spawn(function(a, b) conn:write(a, b) end, "x", "y")
      conn:write "first "
      conn:read(1)
    end), { "z" })
    assert.same({ sent = "first xy", reason = "done" }, run)
  end)

  it("lets a task read the connection while its own coroutine does not", function()
    local run = t.play(handler(function(conn)
      conn:spawn(function() conn:write("<", conn:read(3), ">") end)
      conn:join()
      conn:write "joined"
    end), { "a", "bc" })
    assert.same({ sent = "<abc>joined", reason = "done" }, run)
  end)

  it("lets a task have a frame that is there, and its own coroutine go on reading", function()
    local run = t.play(handler(function(conn)
      conn:peek(2)
      conn:spawn(function() conn:write("<", conn:unpack "c2", ">") end)
      conn:join()
      conn:write(conn:unpack "c2")
    end), { "ab", "cd" })
    assert.same({ sent = "<ab>cd", reason = "done" }, run)
  end)

  it("lets one coroutine read at a time", function()
    local run = t.play(handler(function(conn)
      conn:spawn(function()
        local ok, err = pcall(conn.read, conn, 1)
        conn:write(tostring(ok), err.code)
      end)
      conn:read(2)
    end), { "a", "b" })
    assert.same({ sent = "falsebusy", reason = "done" }, run)
  end)

  it("leaves a task its read when a hook changes the connection's state", function()
    local run = t.play({
      initial = "a",
      states = {
        a = function(conn)
          conn:spawn(function() conn:write("<", conn:read(2), ">") end)
          ld.sleep(60)
        end,
        b = function(conn)
          conn:write "b"
          conn:join()
          conn:write "joined"
        end,
      },
      on_message = function() return "b" end,
    }, { "x", t.message "go", "y" })
    assert.same({ sent = "b<xy>joined", reason = "done" }, run)
  end)

  it("ends the task with its connection", function()
    local after
    local run = t.play(handler(function(conn)
      conn:spawn(function()
        ld.sleep(1)
        after = true
      end)
      conn:read(1)
    end), { "x", t.advance(5) })
    assert.equal("done", run.reason)
    assert.is_nil(after)
  end)

  it("counts and logs a failure, and the connection lives on", function()
    local before = ld.counter("task_errors").value
    local run = quietly(handler(function(conn)
      conn:spawn(function() error "oops" end)
      conn:join()
      conn:write "still here"
    end), {})
    assert.same({ sent = "still here", reason = "done" }, run)
    assert.equal(before + 1, ld.counter("task_errors").value)
  end)

  it("answers out of order", function()
    local run = t.play(handler(function(conn)
      for line in conn:lines() do
        conn:spawn(function()
          ld.sleep(tonumber(line))
          conn:write(line, ";")
        end)
      end
      conn:join()
    end), { "3\n1\n2\n", t.eof, t.advance(4) })
    assert.same({ sent = "1;2;3;", reason = "done" }, run)
  end)

  it("cannot wait for its own end", function()
    local run = t.play(handler(function(conn)
      local task
      task = conn:spawn(function()
        for _, what in ipairs { task, conn } do
          local ok, err = pcall(what.join, what)
          conn:write(tostring(ok), err:match "own end" or err, ";")
        end
      end)
      conn:join()
    end), {})
    assert.same({ sent = "falseown end;falseown end;", reason = "done" }, run)
  end)

  it("can be cancelled, by others and by itself", function()
    local run = t.play(handler(function(conn)
      local one = conn:spawn(function()
        ld.sleep(1)
        conn:write "never"
      end)
      local two
      two = conn:spawn(function()
        two:cancel()
        ld.sleep(1)
        conn:write "nor this"
      end)
      ld.sleep(0.5)
      one:cancel()
      one:cancel()
      conn:join()
      conn:write "done"
    end), { t.advance(3) })
    assert.same({ sent = "done", reason = "done" }, run)
  end)

  it("refuses what is no function", function()
    local run = quietly(handler(function(conn) conn:spawn "x" end), {})
    assert.truthy(run.error.message:find "a task is a function, not string")
  end)

  it("has its own mailbox and name", function()
    local mailbox = require "linedancer.mailbox"
    local run = t.play(handler(function(conn)
      local task = conn:spawn(function()
        local from, message = ld.receive()
        conn:write(from, message)
      end)
      assert(task.id ~= conn.id)
      mailbox.deliver(task, "me", "!")
      task:join()
    end), {})
    assert.same({ sent = "me!", reason = "done" }, run)
  end)
end)

describe("the end of a connection", function()
  after_each(tasks.cancel_all)

  -- How often FN is called by a coroutine that catches every error.
  local function stubborn(fn)
    local calls = 0
    return function(...)
      while calls < 100 do
        calls = calls + 1
        pcall(fn, ...)
      end
    end, function() return calls end
  end

  it("is raised twice in a coroutine that suspends itself again and again, which is then abandoned", function()
    local body, calls = stubborn(function() ld.sleep(10) end)
    local run = t.play(handler(body), { "x", t.reset })
    assert.equal("reset", run.reason)
    assert.equal(3, calls())
  end)

  it("is no different for a task that has cancelled itself", function()
    local body, calls = stubborn(function() ld.sleep(10) end)
    local run = t.play(handler(function(conn)
      local task
      task = conn:spawn(function()
        task:cancel()
        body()
      end)
      conn:join()
    end), {})
    assert.equal("done", run.reason)
    assert.equal(3, calls())
  end)
end)

describe("ld.spawn", function()
  after_each(tasks.cancel_all)

  it("outlives the connection that called it", function()
    local done
    t.play(handler(function() ld.spawn(function()
      ld.sleep(2)
      done = true
    end) end), { t.advance(1) })
    assert.is_nil(done)
    t.play(handler(function(conn) conn:read(1) end), { t.advance(1.1) })
    assert.is_true(done)
  end)

  it("is refused while a handler is loaded", function()
    local scratch = require("spec.support.scratch").new()
    local file = scratch.write("early.lua", "require'linedancer'.spawn(function() end) return function() end")
    local ok, message = require("linedancer.handler.source").run(file, "early")
    scratch.remove()
    assert.is_false(ok)
    assert.truthy(message:find "cannot begin while code is loaded")
  end)

  it("begins a permanent task again, ten times in a minute, then gives up", function()
    local count = 0
    logged(function()
      ld.permanent(function()
        count = count + 1
        error "again"
      end)
      t.play(handler(function(conn) conn:read(1) end), { t.advance(1) })
    end)
    assert.equal(11, count)
  end)

  it("begins a permanent task again that used a connection after its end", function()
    local count = 0
    logged(function()
      ld.permanent(function()
        count = count + 1
        error(errors.new "closed")
      end)
      t.play(handler(function(conn) conn:read(1) end), { t.advance(1) })
    end)
    assert.equal(11, count)
  end)

  it("begins a permanent task again for ever when it fails slowly", function()
    local count = 0
    logged(function()
      ld.permanent(function()
        count = count + 1
        ld.sleep(10)
      end)
      t.play(handler(function(conn) conn:read(1) end), { t.advance(305) })
    end)
    assert.equal(31, count)
  end)
end)

describe("ld.every", function()
  after_each(tasks.cancel_all)

  it("calls without drift, also after failures", function()
    local at = {}
    logged(function()
      local start = ld.now()
      ld.every(2, function()
        at[#at + 1] = ld.now() - start
        error "no matter"
      end)
      t.play(handler(function(conn) conn:read(1) end), { t.advance(7) })
    end)
    assert.same({ 2, 4, 6 }, at)
  end)
end)

describe("conn:timer", function()
  local function timed(fn)
    return handler(function(conn)
      fn(conn)
      conn:read(4)
      conn:write "!"
    end, { on_timer = function(conn, name, value) conn:write(name, tostring(value), ";") end })
  end

  it("goes off while a frame is half read", function()
    local run = t.play(timed(function(conn) conn:timer("a", 1, 7) end), { "ab", t.advance(1), "cd" })
    assert.same({ sent = "a7;!", reason = "done" }, run)
  end)

  it("is restarted and cancelled by name", function()
    local run = t.play(timed(function(conn)
      conn:timer("a", 1)
      conn:timer("a", 3)
      conn:timer("b", 2)
      conn:timer("c", 1)
      conn:timer("c", nil)
      conn:timer("d", 2.5, false)
    end), { t.advance(4) })
    assert.same({ sent = "bnil;dfalse;anil;", state = "s" }, run)
  end)

  it("needs an on_timer, and seconds", function()
    local run = quietly(handler(function(conn) conn:timer("x", 1) end), {})
    assert.truthy(run.error.message:find "no on_timer")
    run = quietly(timed(function(conn) conn:timer("x", -1) end), {})
    assert.truthy(run.error.message:find "seconds or nil")
  end)

  it("goes with its connection", function()
    local fired
    t.play(handler(function(conn) conn:timer("x", 1) end, { on_timer = function() fired = true end }), { t.advance(2) })
    assert.is_nil(fired)
  end)
end)

describe("ld.wait", function()
  it("returns the first of a frame and a message", function()
    local h = handler(function(conn)
      while true do
        local what, a, b = ld.wait { [conn] = ">c2", message = true, timeout = 10 }
        if what == conn then
          if not a then return end
          conn:write("<", a, ">")
        elseif what == "message" then
          conn:write("m", b)
        else
          conn:write "t"
        end
      end
    end)
    local run = t.play(h, { "a", t.message "1", "b", t.advance(11), "cdef", t.message "2", t.eof })
    assert.same({ sent = "<ab>", reason = nil }, { sent = run.sent:sub(3, 6) })
    assert.same({ sent = "m1<ab>t<cd><ef>m2", reason = "done" }, run)
  end)

  it("keeps the place of the losers", function()
    local run = t.play(handler(function(conn)
      local first = ld.wait { [conn] = ">c4", message = true }
      conn:write(first == "message" and "m" or "?", conn:expect(">c4"))
    end), { "ab", t.message "x", "cd" })
    assert.same({ sent = "mabcd", reason = "done" }, run)
  end)

  it("refuses what it cannot wait for", function()
    local run = quietly(handler(function() ld.wait { massage = true } end), {})
    assert.truthy(run.error.message:find "massage")
    for _, seconds in ipairs { -1, 0 / 0 } do
      run = quietly(handler(function() ld.wait { timeout = seconds } end), {})
      assert.truthy(run.error.message:find "timeout")
    end
    assert.truthy(quietly(handler(function() ld.wait(5) end), {}).error.message:find "table")
  end)
end)
