local ld = require "linedancer"
local play = require "spec.support.quietly"
local t = require "linedancer.testing"

describe("conn", function()
  it("knows facts", function()
    local facts
    t.play({
      initial = "a", options = { greeting = "OK", size = 5 },
      states = {
        a = function(conn)
          facts = {
            conn.state, conn.options.greeting, conn.options.size, conn.version, conn.listener, conn.handler, conn.tls,
            type(conn.id), tostring(conn), conn.peer, conn.local_address,
          }
        end,
      },
    }, {}, { options = { size = 6 }, name = "mine" })
    assert.same({ "a", "OK", 6, 1, "test", "mine", false, "string" }, { unpack(facts, 1, 8) })
    assert.matches("^conn %d+%.%d+%.%d+%.%d+$", facts[9])
  end)

  it("has an id that no other connection has", function()
    local seen = {}
    for _ = 1, 1000 do
      t.play(function(conn)
        assert(not seen[conn.id])
        seen[conn.id] = true
      end, {})
    end
  end)

  it("takes the handler's own fields, which are nil until then", function()
    local run = t.play(function(conn)
      assert(conn.user == nil)
      conn.user = "me"
      conn.n = false
      conn.user = conn.user .. "!"
      conn:write(conn.user, tostring(conn.n), tostring(conn.nothing))
    end, {})
    assert.equal("me!falsenil", run.sent)
  end)

  it("refuses to have one of its own names taken", function()
    for _, name in ipairs {
      "unpack", "write", "read", "close", "state", "id", "peer", "options", "version", "tls", "unsent", "unread",
      "listener", "handler", "timeout", "fail", "local_address",
    } do
      local run = play(function(conn) conn[name] = 1 end, {})
      assert.equal("error", run.reason)
      assert.matches("conn." .. name .. " is linedancer's own", run.error.message, 1, true)
      assert.matches("conn_spec", run.error.message)
    end
  end)

  it("keeps its fields apart from those of others, also in a reused slot", function()
    for _ = 1, 3 do
      t.play(function(conn)
        assert(conn.user == nil)
        conn.user = 1
      end, {})
    end
  end)

  it("is forgotten by the core after its end", function()
    local kept
    t.play(function(conn) kept = conn end, {})
    assert.is_nil(kept.state)
    assert.is_nil(kept.peer)
    assert.equal(0, kept.unsent)
    assert.is_string(kept.id)
    local _, err = pcall(kept.read, kept, 1)
    assert.equal("closed", err.code)
  end)

  it("does not become a later connection in the same slot", function()
    local kept
    t.play(function(conn) kept = conn end, {})
    local open = t.begin(function(conn) conn:write(conn:read(1)) end, {})
    kept:write "intruder"
    kept:close()
    t.perform(open, "x")
    assert.same({ sent = "x", reason = "done" }, t.result(open))
  end)
end)

describe("a read of a connection that is not the reader's own", function()
  it("raises `busy`, and harms neither", function()
    local shared
    local one = t.begin(function(conn) shared = conn; conn:write(conn:read(2)) end, {})
    for _, read in ipairs {
      function() shared:read(1) end, function() shared:unpack "B" end, function() shared:peek(1) end,
      function() shared:try "B" end, function() shared:skip(1) end, function() shared:slice(1) end,
      function() shared:read_into(ld.buffer(), 1) end, function() shared:body(3)() end,
    } do
      local run = t.play(function(conn)
        local _, err = pcall(read)
        conn:write(err.code)
      end, {})
      assert.equal("busy", run.sent)
    end
    t.perform(one, "ok")
    assert.same({ sent = "ok", reason = "done" }, t.result(one))
  end)

  it("raises `hook` where no coroutine runs", function()
    local shared
    local one = t.begin(function(conn) shared = conn; conn:write(conn:read(2)) end, {})
    local _, err = pcall(shared.read, shared, 1)
    assert.equal("hook", err.code)
    t.perform(one, "ok")
    assert.equal("ok", t.result(one).sent)
  end)
end)

describe("linedancer", function()
  it("keeps tables by name", function()
    local one = ld.keep "conn_spec.one"
    one.n = 1
    assert.equal(one, ld.keep "conn_spec.one")
    assert.not_equal(one, ld.keep "conn_spec.two")
  end)

  it("has a clock that follows the virtual one, and one on the wall", function()
    local before, after
    local open = t.begin(function(conn) before = ld.now(); conn:read(1); after = ld.now() end, {})
    t.perform(open, t.advance(12.5))
    t.perform(open, "x")
    assert.equal(12.5, after - before)
    assert.is_true(math.abs(ld.time() - os.time()) <= 1)
  end)

  it("says its version", function()
    assert.matches("^%d+%.%d+", ld.version)
  end)
end)
