-- The world of tests: what ld.connect reaches, and how that goes wrong.
local gossip = require "spec.support.gossip"
local ld = require "linedancer"
local scratch = require "spec.support.scratch"
local t = require "linedancer.testing"

local ADDRESS = "10.0.0.1:80"

-- Every line comes back, in brackets.
local function echo(conn)
  local line = conn:read_line()
  if not line then return end
  conn:write("<", line, ">\n")
  return "main"
end

-- A handler that connects to ADDRESS and calls FN(conn, up), or writes the error's code.
local function client(fn, opts)
  return function(conn)
    local up, err = ld.connect(ADDRESS, opts)
    if not up then
      conn:write(err.code)
      return
    end
    fn(conn, up)
  end
end

local ask = client(function(conn, up)
  up:write "question\n"
  conn:write(tostring(up:read_line()))
end)

local function message_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "nothing was raised")
  return tostring(err)
end

describe("ld.connect in a world", function()
  local world

  before_each(function() world = t.world() end)
  after_each(function() world:close() end)

  it("reaches the handler that listens there", function()
    world:listen(ADDRESS, echo)
    local peer = world:connect(ask)
    assert.equal("<question>", peer:sent())
    assert.equal("done", peer.reason)
    world:listen("unix:/run/x", function(conn) conn:write(conn.listener, "\n") end)
    assert.equal("unix:/run/x", world:connect(function(conn)
      conn:write(assert(ld.connect "unix:/run/x"):read_line())
    end):sent())
    assert.equal(0, world:open_count(1))
  end)

  it("is refused where nobody listens, and says what to do", function()
    local peer = world:connect(function(conn)
      local up, err = ld.connect(ADDRESS)
      conn:write(tostring(up), " ", tostring(err))
    end)
    assert.matches("^nil refused: nobody in this world listens on 10.0.0.1:80; see world:listen", peer:sent())
  end)

  it("is answered by the test itself, as a peer", function()
    local other
    world:accept(ADDRESS, function(peer)
      other = peer
      peer:send "welcome\n"
    end)
    local peer = world:connect(client(function(conn, up)
      conn:write(up:read_line(), ";")
      up:write "hello\n"
      conn:write(tostring(up:read_line()))
    end))
    assert.equal("welcome;", peer:sent())
    assert.equal("hello\n", other:sent())
    assert.is_nil(other.reason)
    other:send("bye\n"):finish()
    assert.equal("bye", peer:sent())
    assert.equal("closed", other.reason)
  end)

  it("carries an end of one side across, and lets the other go on", function()
    world:listen(ADDRESS, function(conn)
      local text = {}
      for line in conn:lines() do text[#text + 1] = line end
      conn:write(table.concat(text, "+"), "\n")
    end)
    local peer = world:connect(client(function(conn, up)
      up:write "a\nb\n"
      up:shutdown()
      conn:write(up:read_line(), tostring(up:read_line()))
    end))
    assert.equal("a+bnil", peer:sent())
  end)

  it("carries a reset across, and tells a writer whose reader has gone", function()
    world:listen(ADDRESS, function(conn) conn:reset() end)
    local function code(fn)
      return world:connect(client(function(conn, up)
        local ok, err = pcall(fn, up)
        conn:write(ok and "nothing" or err.code)
      end)):sent()
    end
    assert.equal("reset", code(function(up) up:read(1) end))
    world:listen(ADDRESS, function(conn) conn:write "bye\n" end)
    assert.equal("closed", code(function(up)
      ld.sleep(0)
      assert(up:read_line() == "bye" and up:read_line() == nil)
      for _ = 1, 10 do
        up:write "x"
        up:flush()
        ld.sleep(0)
      end
      up:read_line()
    end))
  end)

  it("holds a writer while its reader does not read", function()
    local written, done = 0, false
    world:listen(ADDRESS, function(conn)
      conn:read(1)
      ld.sleep(10)
      local size = 1
      for piece in conn:body(2 * 2 ^ 20 - 1) do size = size + #piece end
      done = size
    end)
    world:connect(client(function(_, up)
      for _ = 1, 32 do
        up:write(("x"):rep(65536))
        up:flush()
        written = written + 65536
      end
    end))
    assert.is_true(written > 0 and written < 400000)
    world:advance(11)
    assert.equal(2 ^ 21, written)
    assert.equal(2 ^ 21, done)
  end)

  it("carries much both ways at once, however it is cut", function()
    world:fault { split = 700, short_writes = 900 }
    world:listen(ADDRESS, function(conn)
      local piece = conn:read_some()
      if not piece then return end
      conn:write(piece)
      return "main"
    end)
    local text = ("0123456789"):rep(20000)
    local peer = world:connect(client(function(conn, up)
      up:write(text)
      up:shutdown()
      conn:write(tostring(up:read(#text) == text), tostring(up:read(1)))
    end))
    assert.equal("truenil", peer:sent())
  end)

  it("ends the connection with who made it", function()
    local reason
    world:listen(ADDRESS, { states = { main = function(conn) conn:read(1) end }, on_close = function(_, why)
      reason = why
    end })
    local peer = world:connect(client(function(conn) conn:read(1) end))
    assert.is_nil(reason)
    peer:reset()
    assert.equal("done", reason)
    assert.equal(0, world:open_count(1))
  end)

  it("takes connections that were given back", function()
    local accepted = 0
    world:listen(ADDRESS, {
      states = { main = echo }, enter = { main = function(_, from) if not from then accepted = accepted + 1 end end },
    })
    local polite = client(function(conn, up)
      up:write "question\n"
      conn:write(up:read_line(), tostring(up.reused))
      up:release()
    end, { pool = true })
    assert.equal("<question>false", world:connect(polite):sent())
    assert.equal("<question>true", world:connect(polite):sent())
    assert.equal(1, accepted)
    world:close()
    world = t.world()
    assert.equal("refused", world:connect(polite):sent())
  end)

  it("is refused, times out or is late as the world's faults say, until it heals", function()
    world:listen(ADDRESS, echo):fault { refuse = ADDRESS }
    assert.equal("refused", world:connect(ask):sent())
    world:heal():fault { timeout = ADDRESS }
    local peer = world:connect(client(function() end, { timeout = 3 }))
    world:advance(2.9)
    assert.equal("", peer:sent())
    world:advance(0.2)
    assert.equal("timeout", peer:sent())
    world:heal():fault { delay = 1 }
    peer = world:connect(ask)
    world:advance(2.9) -- there, with the question, and nearly back
    assert.equal("", peer:sent())
    world:advance(0.2)
    assert.equal("<question>", peer:sent())
    world:heal()
    assert.equal("<question>", world:connect(ask):sent())
  end)

  it("forgets a connect whose coroutine has been given up", function()
    local accepted = 0
    world:accept(ADDRESS, function() accepted = accepted + 1 end)
    world:fault { delay = 5 }
    local peer = world:connect(ask)
    peer:reset()
    world:advance(6)
    assert.equal(0, accepted)
    assert.equal(0, world:open_count(1))
  end)

  it("refuses addresses that are none", function()
    assert.matches("lacks the port", message_of(world.listen, world, "10.0.0.1", echo))
    assert.matches("lacks the port", message_of(world.fault, world, { refuse = "x" }))
    assert.matches("unknown key 'worke'", message_of(world.listen, world, ADDRESS, echo, { worke = 2 }))
  end)
end)

describe("ld.connect between workers", function()
  local files, path, world

  setup(function()
    files = scratch.new()
    path = files.write("gossip.lua", gossip)
  end)

  teardown(function() files.remove() end)
  before_each(function() world = t.world { workers = 2 } end)
  after_each(function() world:close() end)

  it("reaches a handler in another worker, from either side", function()
    world:listen(ADDRESS, echo)
    local two = world:connect(path, { worker = 2 })
    assert.equal("<hi>\n", two:send("connect 10.0.0.1:80 hi\n"):sent())
    world:listen(ADDRESS, path, { worker = 2 })
    local one = world:connect(path)
    two:send "register two\n"
    one:send "connect 10.0.0.1:80 send two hi\n"
    assert.equal("true\nheard hi\n", two:sent())
  end)

  it("is answered by the test for a connection of another worker", function()
    local other
    world:accept(ADDRESS, function(peer) other = peer end)
    local two = world:connect(path, { worker = 2 })
    two:send "connect 10.0.0.1:80 hi\n"
    assert.equal("hi\n", other:sent())
    assert.matches("^2%.1%.", other.id)
    other:send "there\n"
    assert.equal("there\n", two:sent())
    world:kill(2)
    assert.equal("killed", other.reason)
  end)

  it("loses the other end when its worker dies, and is refused from then on", function()
    world:listen(ADDRESS, path, { worker = 2 })
    local one = world:connect(path)
    one:send "connect 10.0.0.1:80 subscribe t\n"
    assert.equal("", one:sent())
    world:kill(2)
    assert.equal("nil\n", one:sent())
    assert.equal("refused\n", one:send("connect 10.0.0.1:80 x\n"):sent())
  end)

  it("loses a connection that a worker made when that dies, but not what it had sent", function()
    local heard = {}
    world:listen(ADDRESS, function(conn)
      for line in conn:lines() do heard[#heard + 1] = line end
      heard[#heard + 1] = "end"
    end)
    local two = world:connect(path, { worker = 2 })
    world:fault { delay = 1 }
    two:send "connect 10.0.0.1:80 last words\n"
    world:advance(1.5)
    world:kill(2)
    assert.same({}, heard)
    world:advance(1)
    assert.same({ "last words", "end" }, heard)
  end)

  it("brings what was written before the death, also what the reader had no room for yet", function()
    local size
    world:listen(ADDRESS, function(conn)
      ld.sleep(5)
      size = #conn:read(150001)
    end)
    world:connect(path, { worker = 2 }):send("connect 10.0.0.1:80 " .. ("x"):rep(150000) .. "\n")
    world:kill(2)
    world:advance(6)
    assert.equal(150001, size)
  end)

  it("gives the same answers in every order", function()
    local runs = t.every_order(function(w)
      w:listen(ADDRESS, path, { worker = 2 }):fault { split = 2 }
      local one, two = w:connect(path), w:connect(path, { worker = 2 })
      two:send "register two\n"
      one:send "connect 10.0.0.1:80 send two hello\n"
      one:finish()
      two:send "connect 10.0.0.1:80 register three\n"
      assert.equal("true\nheard hello\ntrue\n", two:sent())
    end, { workers = 2, seeds = 20 })
    assert.equal(20, runs)
  end)
end)
