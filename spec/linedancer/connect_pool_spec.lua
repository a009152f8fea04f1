-- Connections that are given back, and who gets them next.
local connect = require "linedancer.connect"
local core = require("linedancer.api").core
local dialled = require "spec.support.dialled"
local pool = require "linedancer.connect.pool"
local t = require "linedancer.testing"

local outside
local address, number = nil, 0

-- A play that connects and then does FN(conn, up).
local function play(fn, opts, to)
  return t.begin(function(conn)
    fn(conn, assert(connect.connect(to or address, opts or { pool = true })))
  end, {})
end

local function ask(conn, up)
  up:write "ask\n"
  conn:write(up:read_line(), " ", tostring(up.reused))
end

local function ask_and_release(conn, up)
  ask(conn, up)
  up:release()
end

-- A connection that has answered once and is idle; its far end.
local function idle_one(opts)
  play(ask_and_release, opts)
  local peer = outside:accept(#outside.dials)
  peer:feed "first\n"
  return peer
end

local function is_open(peer) return (peer:status()) == "open" end

describe("connect with pool", function()
  before_each(function()
    outside = dialled()
    number = number + 1
    address = ("pool%d.test:80"):format(number)
  end)
  after_each(function() outside:restore() end)

  it("gives a released connection to the next who asks", function()
    local peer = idle_one()
    assert.is_true(is_open(peer))
    local p = play(ask_and_release)
    assert.equal(1, #outside.dials)
    assert.equal("ask\nask\n", peer:sent())
    peer:feed "second\n"
    assert.equal("second true", p.peer:sent())
    assert.equal("done", p.run.reason)
    assert.is_true(is_open(peer))
  end)

  it("gives the youngest first", function()
    local peers = {}
    for i = 1, 2 do play(ask_and_release) peers[i] = outside:accept(i) end
    peers[2]:feed "reply\n"
    peers[1]:feed "reply\n" -- the last to be released
    play(ask)
    assert.same({ "ask\nask\n", "ask\n" }, { peers[1]:sent(), peers[2]:sent() })
  end)

  it("leaves the one who released it nothing", function()
    local mine
    local p = play(function(conn, up)
      up.secret = "mine"
      mine = up
      up:write "x"
      up:flush()
      up:release()
      up:write "too late"
      local ok, err = pcall(up.read, up, 1)
      conn:write(tostring(ok), err.code, " ", (select(2, pcall(up.release, up))))
    end)
    local peer = outside:accept(1)
    assert.matches("^falseclosed .*released before", p.peer:sent())
    assert.equal("x", peer:sent())
    play(function(conn, up)
      conn:write(tostring(up.secret), tostring(up == mine))
      up:read(1)
    end)
    assert.is_true(is_open(peer))
    assert.equal("", peer:sent())
  end)

  it("does not outlive the one who took it, unless that releases it", function()
    local peer = idle_one()
    local p = play(function(conn) conn:read(1) end)
    p.peer:finish "eof"
    assert.is_false(is_open(peer))
  end)

  it("closes one with unread input", function()
    play(ask_and_release)
    local peer = outside:accept(1)
    peer:feed "reply\nand more"
    assert.is_false(is_open(peer))
  end)

  it("closes one with output that is not sent", function()
    play(function(_, up)
      up:write "later"
      up:release()
    end)
    local peer = outside:accept(1)
    assert.equal("later", peer:sent())
    assert.is_false(is_open(peer))
  end)

  it("closes one that is half closed, or read by a task", function()
    play(function(_, up) up:shutdown() up:release() end)
    assert.is_false(is_open(outside:accept(1)))
    play(function(conn, up)
      conn:spawn(function() pcall(up.read, up, 1) end)
      require("linedancer").sleep(1)
      up:release()
      conn:read(1)
    end)
    local peer = outside:accept(2)
    core.advance(1)
    assert.is_false(is_open(peer))
  end)

  it("closes one that a task of its own hangs on", function()
    play(function(conn, up)
      up:spawn(function() conn:read(1) end)
      require("linedancer").sleep(1)
      up:release()
    end)
    local peer = outside:accept(1)
    core.advance(1)
    assert.is_false(is_open(peer))
  end)

  it("closes an idle one to which anything comes", function()
    for _, happening in ipairs {
      function(peer) peer:feed "stray" end,
      function(peer) peer:finish "eof" end,
      function(peer) peer:finish "reset" end,
    } do
      local peer = idle_one()
      local before, dials = pool.count(), #outside.dials
      happening(peer)
      core.settle()
      assert.is_false(is_open(peer))
      assert.equal(before - 1, pool.count())
      play(ask)
      assert.equal(dials + 1, #outside.dials)
    end
  end)

  it("closes an idle one at its time, and not one that is in use", function()
    local peer = idle_one { pool = { idle = 5 } }
    core.advance(4)
    assert.is_true(is_open(peer))
    local p = play(function(conn, up)
      conn:read(1)
      ask_and_release(conn, up)
    end, { pool = { idle = 5 } })
    core.advance(10)
    p.peer:feed "x"
    peer:feed "late\n"
    assert.equal("late true", p.peer:sent())
    core.advance(6)
    assert.is_false(is_open(peer))
  end)

  it("keeps so many for an address, and the youngest", function()
    local opts, peers = { pool = { size = 2 } }, {}
    for i = 1, 3 do play(ask_and_release, opts) peers[i] = outside:accept(i) end
    for i = 1, 3 do peers[i]:feed "reply\n" end
    assert.same({ false, true, true }, { is_open(peers[1]), is_open(peers[2]), is_open(peers[3]) })
  end)

  it("keeps 256 in all", function()
    local oldest = idle_one()
    for i = 1, 256 do
      play(ask_and_release, nil, ("many%d-%d.test:80"):format(number, i))
      outside:accept(#outside.dials):feed "reply\n"
    end
    assert.equal(256, pool.count())
    assert.is_false(is_open(oldest))
  end)

  it("keeps those apart that were made in different ways", function()
    idle_one { pool = true, source = "127.0.0.2" }
    for i, opts in ipairs { { pool = true }, { pool = true, bind = "lo" } } do
      play(ask, opts)
      assert.equal(1 + i, #outside.dials)
    end
    play(ask, { source = "127.0.0.2" }) -- and who does not ask for it gets none
    assert.equal(4, #outside.dials)
    play(ask, { pool = true, source = "127.0.0.2", timeout = 3 })
    assert.equal(4, #outside.dials)
  end)

  it("raises when one that was not made with pool is released", function()
    local p = play(function(conn, up) conn:write((select(2, pcall(up.release, up)))) end, {})
    outside:accept(1)
    assert.matches("made with pool", p.peer:sent())
  end)

  it("takes no harm from releasing one that has ended", function()
    local p = play(function(conn, up)
      conn:write(tostring(up:read_line()))
      require("linedancer").sleep(1)
      up:release()
      conn:write " released"
    end)
    outside:accept(1):finish "eof"
    core.advance(1)
    assert.equal("nil released", p.peer:sent())
  end)

  it("is emptied by a gateway that stops", function()
    local peer = idle_one()
    require("linedancer.machine").drain(5)
    core.settle()
    assert.is_false(is_open(peer))
    assert.equal(0, pool.count())
  end)
end)
