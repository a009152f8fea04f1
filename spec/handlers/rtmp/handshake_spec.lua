local t = require "linedancer.testing"
local ld = require "linedancer"
local handshake = require "handlers.rtmp.handshake"
local quietly = require "spec.support.quietly"

local hmac = ld.crypto.hmac
local SECRET = "\240\238\194\74\128\104\190\232\46\0\208\209\2\158\126\87"
  .. "\110\236\93\45\41\128\111\171\147\184\230\54\207\235\49\174"

-- A server that says what comes after the handshake.
local server = {
  states = {
    serve = function(conn)
      if not handshake.serve(conn) then return end
      conn:write("<", conn:expect(5), ">")
    end,
  },
}

local function rest(size) return (("0123456789abcdef"):rep(96)):sub(1, size) end

-- The C1 of a client with a digest that starts at byte AT + 1, for the offset bytes at BASE.
local function c1_with_digest(base, offset)
  local block = "\0\0\0\1\9\0\124\2" .. rest(1528)
  local high = math.min(offset, 255)
  block = block:sub(1, base) .. string.char(high, math.min(offset - high, 255), math.max(offset - high - 255, 0), 0)
    .. block:sub(base + 5)
  local at = base + 4 + offset % 728
  local digest = hmac("sha256", "Genuine Adobe Flash Player 001", block:sub(1, at) .. block:sub(at + 33))
  return block:sub(1, at) .. digest .. block:sub(at + 33), digest
end

-- Does BLOCK, an S1, hold a digest at the place that BASE says?
local function is_signed(block, base)
  local sum = 0
  for i = base + 1, base + 4 do sum = sum + block:byte(i) end
  local at = base + 4 + sum % 728
  return block:sub(at + 1, at + 32)
    == hmac("sha256", "Genuine Adobe Flash Media Server 001", block:sub(1, at) .. block:sub(at + 33))
end

describe("rtmp handshake, of a server", function()
  local plain = "\0\0\0\7\0\0\0\0" .. rest(1528)

  it("answers a simple client at once, and takes any C2", function()
    local run = t.play(server, { "\3" .. plain })
    assert.equal(3073, #run.sent)
    assert.equal("\3\0\0\0\0\0\0\0\0", run.sent:sub(1, 9))
    assert.equal(plain, run.sent:sub(1538))
    assert.equal("serve", run.state)
    run = t.play(server, { "\3" .. plain .. rest(1536) .. "hello" })
    assert.equal("<hello>", run.sent:sub(3074))
  end)

  it("answers a digest by a digest, at both places and all offsets", function()
    for _, base in ipairs { 772, 8 } do
      for _, offset in ipairs { 0, 1, 255, 600, 727, 728, 765 } do
        local c1, digest = c1_with_digest(base, offset)
        local sent = t.play(server, { "\3" .. c1 }).sent
        local s1, s2 = sent:sub(2, 1537), sent:sub(1538)
        assert.is_true(is_signed(s1, base), base .. " " .. offset)
        local key = hmac("sha256", "Genuine Adobe Flash Media Server 001" .. SECRET, digest)
        assert.equal(hmac("sha256", key, s2:sub(1, 1504)), s2:sub(1505))
      end
    end
  end)

  it("takes a version without a digest for a simple client", function()
    local c1 = "\0\0\0\0\128\0\7\2" .. rest(1528)
    assert.equal(c1, t.play(server, { "\3" .. c1 }).sent:sub(1538))
  end)

  it("does not care how the bytes are cut", function()
    local wire = "\3" .. plain .. rest(1536) .. "hello"
    -- S1 is random: its size will do.
    local counting = { states = { serve = function(conn)
      local kept = conn.write
      local sizes = {}
      rawset(conn, "write", function(_, ...)
        for i = 1, select("#", ...) do sizes[#sizes + 1] = #(select(i, ...)) end
      end)
      handshake.serve(conn)
      kept(conn, table.concat(sizes, " "), conn:expect(5))
    end } }
    assert.is_true(t.every_split(counting, { wire }, { sent = "1 1536 1536hello", reason = "done" }) > 3000)
  end)

  it("is done or truncated when the client leaves", function()
    t.every_truncation(server, "\3" .. plain .. rest(1536) .. "hello")
  end)

  it("refuses what is no RTMP, at its first byte", function()
    for first, reason in pairs {
      ["\6"] = "RTMPE is not supported", G = "this is no RTMP: it begins with byte 71",
      ["\22"] = "this is no RTMP: it begins with byte 22",
    } do
      local run = quietly(server, { first })
      assert.same({ "", reason }, { run.sent, run.reason })
    end
  end)
end)

describe("rtmp handshake, of a client", function()
  local client = {
    states = {
      greet = function(conn)
        local up = assert(ld.connect "server:1935")
        handshake.greet(up)
        up:write "hello"
        conn:write(up:expect(7))
      end,
    },
  }

  it("gets along with our server", function()
    local world = t.world()
    world:listen("server:1935", server)
    assert.equal("<hello>", world:connect(client):sent())
    world:close()
  end)

  -- What the client sends to a server that answers by S0 S1 S2.
  local function talk(answer)
    local world, got = t.world(), nil
    world:accept("server:1935", function(peer) got = peer end)
    local conn = world:connect(client)
    local hello = got:sent()
    got:send(answer)
    local after = got:sent()
    local reason = conn.reason
    world:close()
    return hello, after, reason
  end

  it("repeats what a simple server sends", function()
    local s1 = "\0\0\0\9\0\0\0\0" .. rest(1528)
    local hello, after = talk("\3" .. s1 .. rest(1536))
    assert.equal(1537, #hello)
    assert.equal("\3\0\0\0\0\9\0\124\2", hello:sub(1, 9))
    assert.equal(s1 .. "hello", after)
  end)

  it("gives up where there is no RTMP", function()
    local _, after, reason = talk "HTTP/1.1 400 Bad Request\r\n"
    assert.same({ "", "this is no RTMP: it begins with byte 72" }, { after, reason })
  end)
end)
