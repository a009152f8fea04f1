-- relay, pipe and flush: what goes from one connection to another.
local ld = require "linedancer"
local quietly = require "spec.support.quietly"
local t = require "linedancer.testing"
local tasks = require "linedancer.task"

local function handler(fn, extra)
  local h = { initial = "s", states = { s = fn } }
  for key, value in pairs(extra or {}) do h[key] = value end
  return h
end

-- Runs FN(conn, up), where `up` is a connection to "up:80".
local function with_upstream(fn)
  return handler(function(conn)
    local up = assert(ld.connect "up:80")
    return fn(conn, up)
  end)
end

describe("between two connections", function()
  local world, up

  before_each(function()
    world = t.world {}
    world:accept("up:80", function(peer) up = peer end)
  end)

  after_each(function() world:close() end)

  describe("relay", function()
    it("moves so many bytes as they come, and leaves the rest", function()
      local client = world:connect(with_upstream(function(conn, other)
        local size = conn:expect ">I2"
        conn:relay(other, size)
        conn:write("relayed ", size, ", then ", conn:read(2))
      end)):send "\0\5abc"
      assert.equal("abc", up:sent())
      client:send "dexy"
      assert.equal("de", up:sent())
      assert.equal("relayed 5, then xy", client:sent())
    end)

    it("goes the other way too, read by who made the connection", function()
      local client = world:connect(with_upstream(function(conn, other)
        other:relay(conn, 4)
        return nil
      end))
      up:send "ab"
      assert.equal("ab", client:sent())
      up:send "cdef"
      assert.equal("cd", client:sent())
      assert.equal("done", client.reason)
    end)

    it("may be done by a task", function()
      local client = world:connect(with_upstream(function(conn, other)
        conn:spawn(function()
          other:relay(conn, 3)
          conn:write "."
        end)
        conn:relay(other, 3)
        conn:join()
      end)):send "abc"
      up:send "xyz"
      assert.equal("xyz.", client:sent())
      assert.equal("abc", up:sent())
    end)

    it("raises truncated when its side ends inside", function()
      local code, where
      local client = world:connect(with_upstream(function(conn, other)
        local _, err = pcall(conn.relay, conn, other, 10)
        code, where = err.code, err.conn == conn.id
      end)):send "abc"
      client:finish()
      assert.same({ "truncated", true }, { code, where })
      assert.equal("abc", up:sent())
    end)

    it("raises the error of the other one, which says so", function()
      local failure, where
      local client = world:connect(with_upstream(function(conn, other)
        local _, err = pcall(conn.relay, conn, other, 10)
        failure, where = tostring(err), err.conn == other.id
        conn:write "alive"
      end)):send "abc"
      up:reset()
      client:send "more"
      assert.equal("reset: the other connection: the peer reset the connection", failure)
      assert.is_true(where)
      assert.equal("alive", client:sent())
    end)

    it("echoes when both are one", function()
      local run = t.play(handler(function(conn)
        conn:relay(conn, 6)
        conn:write "."
      end), { "abc", "defg" })
      assert.same({ sent = "abcdef.", reason = "done" }, run)
    end)

    it("has hooks run meanwhile", function()
      local client = world:connect(handler(function(conn)
        conn:relay(assert(ld.connect "up:80"), 10)
      end, { on_message = function(conn, _, text) conn:write(text) end })):send "abc"
      client:message "ping"
      assert.equal("ping", client:sent())
      client:send "defghij"
      assert.equal("done", client.reason)
      assert.equal("abcdefghij", up:sent())
    end)

    it("waits for a reader that stalls, and loses nothing", function()
      local body = ("0123456789abcdef"):rep(2 ^ 15)
      local client = world:connect(with_upstream(function(conn, other)
        conn:relay(other, #body)
        conn:write "moved"
      end))
      up:stall()
      client:send(body)
      assert.equal("", client:sent())
      up:resume()
      world:run()
      assert.equal("moved", client:sent())
      assert.equal(body, up:sent())
    end)

    it("refuses what is no connection, and no number of bytes", function()
      local messages = {}
      t.play(handler(function(conn)
        for _, args in ipairs { { "x", 1 }, { conn, -1 }, { conn, 0.5 }, { conn, "1" }, { conn, 2 ^ 54 } } do
          local _, err = pcall(conn.relay, conn, args[1], args[2])
          messages[#messages + 1] = tostring(err):gsub("^.-: ", "")
        end
      end), {})
      assert.same({
        "connection expected, got string", "a number of bytes expected, got -1", "a number of bytes expected, got 0.5",
        "a number of bytes expected, got 1", "a number of bytes expected, got 1.8014398509482e+16",
      }, messages)
    end)

    it("waits nowhere in a hook", function()
      local run = quietly(handler(function(conn) conn:read(1) end, {
        on_message = function(conn) conn:relay(conn, 1) end,
      }), { t.message "go" })
      assert.equal("hook", run.reason)
    end)
  end)

  describe("pipe", function()
    local function piping(fn)
      return with_upstream(function(conn, other)
        local ok, there, back = pcall(conn.pipe, conn, other)
        fn(ok, there, back, conn, other)
      end)
    end

    it("moves all both ways until both have ended, and returns how much", function()
      local got
      local client = world:connect(piping(function(...) got = { ... } end)):send "hello"
      up:send("hi"):finish()
      assert.equal("hi", client:sent())
      client:send(" there"):finish()
      assert.equal("hello there", up:sent())
      assert.same({ true, 11, 2 }, { got[1], got[2], got[3] })
      assert.equal("done", client.reason)
    end)

    it("takes what was read ahead first", function()
      local client = world:connect(handler(function(conn)
        local line = conn:read_line()
        local other = assert(ld.connect "up:80")
        other:write(line, "!")
        conn:pipe(other)
      end)):send "first\nsecond"
      assert.equal("first!second", up:sent())
      client:send " third"
      assert.equal(" third", up:sent())
    end)

    it("raises a reset of either as its own", function()
      for _, side in ipairs { "up", "client" } do
        local code, whose
        local client = world:connect(piping(function(_, err, _, conn, other)
          code = err.code
          whose = err.conn == conn.id and "client" or err.conn == other.id and "up"
        end))
        local peers = { up = up, client = client }
        peers[side]:reset()
        assert.same({ "reset", side }, { code, whose })
      end
    end)

    it("keeps others from reading either side", function()
      local codes = {}
      world:connect(with_upstream(function(conn, other)
        conn:spawn(function()
          for _, side in ipairs { conn, other } do
            local _, err = pcall(side.read, side, 1)
            codes[#codes + 1] = err.code
          end
        end)
        conn:pipe(other)
      end))
      assert.same({ "busy", "busy" }, codes)
    end)

    it("may be done by a task, for as long as that lives", function()
      local task
      local client = world:connect(with_upstream(function(conn, other)
        task = conn:spawn(function() conn:pipe(other) end)
        conn:join()
        conn:write("then ", conn:read(2))
      end)):send "abc"
      assert.equal("abc", up:sent())
      task:cancel()
      client:send "de"
      assert.equal("", up:sent())
      assert.equal("then de", client:sent())
    end)

    it("gives way to a state that a hook chooses, and to its reads", function()
      local client = world:connect({
        initial = "s",
        states = {
          s = function(conn) conn:pipe(assert(ld.connect "up:80")) end,
          after = function(conn) conn:write("<", conn:read(2), ">") end,
        },
        on_message = function() return "after" end,
      })
      client:message "go"
      client:send "xy"
      assert.equal("<xy>", client:sent())
      assert.equal("", up:sent())
    end)

    it("refuses itself", function()
      local run = quietly(handler(function(conn) conn:pipe(conn) end), {})
      assert.matches("cannot be piped to itself", run.error.message)
    end)
  end)
end)

describe("flush", function()
  after_each(tasks.cancel_all)

  it("waits in a task of the connection until its output has been taken", function()
    local flushed, before
    t.play(handler(function(conn)
      conn:read(1)
      conn:spawn(function()
        conn:write "abc"
        conn:flush()
        flushed = true
      end)
      conn:read(1)
      before = flushed
      conn:read(1)
    end), { t.stall, "x", "y", t.resume })
    assert.is_nil(before)
    assert.is_true(flushed)
  end)

  it("leaves the read of another coroutine alone", function()
    local run = t.play(handler(function(conn)
      conn:read(1)
      conn:spawn(function() conn:write("task ", conn:read(2), " ") end)
      ld.sleep(1)
      conn:write "own "
      conn:flush()
      conn:join()
    end), { t.stall, "x", t.advance(2), t.resume, "xy" })
    assert.same({ sent = "own task xy ", reason = "done" }, run)
  end)

  it("raises the end of the connection in whoever waits", function()
    local code
    quietly(handler(function(conn)
      conn:read(1)
      ld.spawn(function()
        conn:write "abc"
        local _, err = pcall(conn.flush, conn)
        code = err.code
      end)
      conn:read(1)
    end), { t.stall, "x", t.reset })
    assert.truthy(code == "reset" or code == "closed")
  end)

  it("does nothing when the connection has ended", function()
    local world, ok = t.world {}, nil
    world:connect(handler(function(conn)
      ld.spawn(function()
        ld.sleep(1)
        ok = pcall(conn.flush, conn)
      end)
    end))
    world:advance(2)
    world:close()
    assert.is_true(ok)
  end)
end)
