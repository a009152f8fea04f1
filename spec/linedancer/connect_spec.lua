-- Outgoing connections, but for the network: what is asked of it, and what becomes of its answer.
local connect = require "linedancer.connect"
local core = require("linedancer.api").core
local dialled = require "spec.support.dialled"
local mailbox = require "linedancer.mailbox"
local park = require "linedancer.park"
local t = require "linedancer.testing"

local outside

-- A play whose handler connects to ADDRESS with OPTS and calls FN(conn, up, err).
local function play(address, opts, fn)
  return t.begin(function(conn)
    local up, err = connect.connect(address, opts)
    fn(conn, up, err)
  end, {})
end

describe("connect", function()
  before_each(function() outside = dialled() end)
  after_each(function() outside:restore() end)

  it("gives a connection like any other, that is read by whoever made it", function()
    local p = play("db.test:80", nil, function(conn, up)
      up:pack(">s1", "hi")
      conn:write(up:read_line(), " ", tostring(up.state), tostring(up.listener), tostring(up.reused))
    end)
    local peer = outside:accept(1)
    assert.equal("\2hi", peer:sent())
    peer:feed "hello\n"
    assert.equal("hello nilnilfalse", p.peer:sent())
    assert.equal("done", p.run.reason)
  end)

  it("asks for what the address and the options say", function()
    local function asked(address, opts)
      play(address, opts, function() end)
      local target = outside.dials[#outside.dials].target
      return {
        target.host or target.path, target.port, target.timeout, target.source, target.source_port, target.device,
      }
    end
    assert.same({ "db.test", 80, 10 }, asked "db.test:80")
    play("db.test:80", { tls = { server_name = "a.test" } }, function() end)
    local over = outside.dials[#outside.dials]
    assert.same({ "a.test", "userdata" }, { over.target.server_name, type(over.target.tls) })
    assert.same({ "::1", 80, 2.5 }, asked("[::1]:80", { timeout = 2.5 }))
    assert.same({ "/run/x", nil, 10 }, asked "unix:/run/x")
    assert.same({ "10.0.0.1", 80, 10, "10.0.0.5", 0, "eth0" },
      asked("10.0.0.1:80", { source = "10.0.0.5", bind = "eth0" }))
    assert.same({ "db.test", 80, 10, "fd00::5", 4000 }, asked("db.test:80", { source = "[fd00::5]:4000" }))
  end)

  it("returns nil and an error object when there is no connection", function()
    local p = play("db.test:80", nil, function(conn, up, err)
      conn:write(tostring(up), " ", err.code, " ", err.message, " ", err.conn)
    end)
    outside:fail(1, "refused", "db.test:80: Connection refused")
    assert.matches("^nil refused db.test:80: Connection refused [%d.]+$", p.peer:sent())
    outside.refusal = { "limit", "too many" }
    p = play("db.test:80", nil, function(conn, _, err) conn:write(tostring(err)) end)
    assert.equal("limit: too many (state main)", p.peer:sent())
  end)

  it("returns an error for an address that is none", function()
    for address, message in pairs {
      ["db"] = "lacks the port", ["db:"] = "the port must be a number", [":80"] = "lacks the host",
      ["db:0"] = "nobody listens on port 0", ["::1:80"] = "stands in brackets", ["1.2.3:80"] = "neither a name nor",
      ["999.1.1.1:80"] = "neither a name nor", ["-x:80"] = "neither a name nor", ["a..b:80"] = "neither a name nor",
      [("a"):rep(64) .. ":80"] = "neither a name nor", ["b\195\188ro:80"] = "in its xn-- form",
      ["unix:"] = "lacks the path", ["a b:80"] = "neither a name nor", ["[::1]x:80"] = "neither a name nor",
      ["db:70000"] = "out of range",
    } do
      local p = play(address, nil, function(conn, up, err) conn:write(tostring(up), err.code, err.message) end)
      local sent = p.peer:sent()
      assert.matches("^nilerror", sent)
      assert.matches(message, sent, 1, true)
    end
    assert.equal(0, #outside.dials)
  end)

  it("raises on options that it does not know", function()
    local cases = {
      { { timeot = 1 }, "unknown key 'timeot' (did you mean 'timeout'?)" },
      { { timeout = 0 }, "timeout must be a number above 0" },
      { { timeout = "1" }, "timeout must be a number above 0" },
      { { tls = 1 }, "tls must be a table, not 1" },
      { { tls = { cert = "x" } }, "unknown key 'tls.cert'" },
      { { tls = { certificate = "x" } }, "tls: certificate and key belong together" },
      { { tls = { server_name = "" } }, "tls.server_name must be the name of a host" },
      { { tls = { alpn = { "" } } }, "tls.alpn[1] must be 1 to 255 bytes" },
      { { bind = "10.0.0.5/8" }, "a local address is `source`" },
      { { source = "db.test" }, "is no IP address of this machine" },
      { { source = "10.0.0.5:99999" }, "out of range" },
      { { pool = 5 }, "pool must be a table" },
      { { pool = { sise = 1 } }, "unknown key 'pool.sise' (did you mean 'size'?)" },
      { { pool = { size = 0.5 } }, "pool.size must be a whole number" },
      { "x", "the options of connect must be a table" },
    }
    for _, case in ipairs(cases) do
      local p = t.begin(function(conn)
        local _, message = pcall(connect.connect, "db.test:80", case[1])
        conn:write(message)
      end, {})
      assert.matches(case[2], p.peer:sent(), 1, true)
    end
    local p = t.begin(function(conn) conn:write((select(2, pcall(connect.connect, 80)))) end, {})
    assert.matches("an address such as \"example.com:80\" expected, not 80", p.peer:sent(), 1, true)
  end)

  it("raises where nothing can wait", function()
    assert.has_error(function() connect.connect "db.test:80" end)
    local _, err = pcall(connect.connect, "db.test:80")
    assert.equal("hook", err.code)
    local p = t.begin({ initial = "s", states = { s = function(conn) conn:read(1) end },
      on_message = function(conn) conn:write((select(2, pcall(connect.connect, "db.test:80"))).code) end }, {})
    t.perform(p, t.message "go")
    assert.equal("hook", p.peer:sent())
  end)

  it("ends the connection with the one that made it, after its output", function()
    local p = play("db.test:80", nil, function(conn, up)
      conn.up = up
      conn:read(1)
      up:write "last words"
    end)
    local peer = outside:accept(1)
    p.peer:feed "x"
    assert.equal("done", p.run.reason)
    assert.equal("last words", peer:sent())
    assert.not_equal("open", (peer:status()))
  end)

  it("serves tasks, whose connections end with them", function()
    local p = t.begin(function(conn)
      conn:spawn(function()
        local up = connect.connect "db.test:80"
        conn:write(up:read_line())
      end)
      conn:join()
      conn:write " joined"
    end, {})
    local peer = outside:accept(1)
    peer:feed "from a task\n"
    assert.equal("from a task joined", p.peer:sent())
    assert.not_equal("open", (peer:status()))
  end)

  it("gives up when the one that waits ends", function()
    local p = play("db.test:80", nil, function() error "not to be reached" end)
    p.peer:finish "reset"
    assert.is_true(outside.dials[1].cancelled)
    assert.equal("reset", p.run.reason)
  end)

  it("closes a connection that has come for a coroutine that is given up before it goes on", function()
    local p = t.begin({
      initial = "first",
      states = {
        first = function() connect.connect "db.test:80" error "not to be reached" end,
        second = function(conn) conn:write "second" conn:read(1) end,
      },
      on_message = function() return "second" end,
    }, {})
    mailbox.deliver(core.conn_of(p.peer:handle()), nil, "go")
    local peer = outside:accept(1)
    assert.equal("second", p.peer:sent())
    assert.not_equal("open", (peer:status()))
  end)

  it("cancels a dial whose coroutine is given up", function()
    local p = t.begin({
      initial = "first",
      states = {
        first = function() connect.connect "one.test:80" end,
        second = function(conn) conn:read(1) connect.connect "two.test:80" conn:write "two" end,
      },
      on_message = function() return "second" end,
    }, {})
    t.perform(p, t.message "go")
    assert.is_true(outside.dials[1].cancelled)
    p.peer:feed "x"
    outside:accept(2)
    assert.equal("two", p.peer:sent())
  end)

  it("has the limits of the one that made it", function()
    local p = t.begin(function(conn)
      local up = connect.connect "db.test:80"
      conn:write((select(2, pcall(up.read_line, up)).code))
    end, { limits = { frame = 16 } })
    outside:accept(1):feed(("x"):rep(100))
    assert.equal("limit", p.peer:sent())
  end)

  it("gives an error of the upstream to the one that reads it", function()
    local p = play("db.test:80", nil, function(conn, up)
      local ok, err = pcall(up.read, up, 4)
      conn:write(tostring(ok), err.code)
    end)
    outside:accept(1):finish "reset"
    assert.equal("falsereset", p.peer:sent())
    assert.equal("done", p.run.reason)
  end)

  it("is not woken by other things", function()
    local p = play("db.test:80", nil, function(conn, up) conn:write(tostring(up ~= nil)) end)
    t.perform(p, t.message "a message")
    p.peer:feed "input"
    park.wake(core.conn_of(p.peer:handle()))
    core.settle()
    assert.equal("", p.peer:sent())
    outside:accept(1)
    assert.equal("true", p.peer:sent())
  end)

  it("says so where there is no network", function()
    outside:restore()
    local p = play("db.test:80", nil, function(conn, _, err) conn:write(err.code) end)
    assert.equal("unreachable", p.peer:sent())
    outside = dialled()
  end)

  it("leaves nothing behind", function()
    collectgarbage() -- plays of other specs go
    local before = outside.world:open_count(1)
    for i = 1, 50 do
      local p = play("db.test:80", nil, function() end)
      if i % 2 == 0 then outside:accept(i) else outside:fail(i, "refused", "x") end
      assert.equal("done", p.run.reason)
    end
    assert.is_true(outside.world:open_count(1) <= before)
  end)
end)
