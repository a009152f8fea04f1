local bit = require "bit"
local handshake = require "handlers.rtmp.handshake"
local ld = require "linedancer"
local t = require "linedancer.testing"

local crypto = ld.crypto

local ADDRESS = "10.0.0.1:1935"
local SECRET = ("f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae"):gsub("%x%x", function(digits)
  return string.char(tonumber(digits, 16))
end)
local FMS, PLAYER = "Genuine Adobe Flash Media Server 001", "Genuine Adobe Flash Player 001"

-- The server's side, and one byte for each byte that follows.
local server = {
  initial = "greeted",
  states = {
    greeted = function(conn)
      if not handshake.serve(conn) then return end
      return "chunk"
    end,
    chunk = function(conn)
      local byte = conn:read(1)
      if not byte then return end
      conn:write(byte)
      return "chunk"
    end,
  },
}

local function xor(text, byte)
  return (text:gsub(".", function(c) return string.char(bit.bxor(c:byte(), byte)) end))
end

-- RFC 2104, by the digest alone.
local function hmac(key, data)
  if #key > 64 then key = crypto.digest("sha256", key) end
  key = key .. ("\0"):rep(64 - #key)
  return crypto.digest("sha256", xor(key, 0x5c) .. crypto.digest("sha256", xor(key, 0x36) .. data))
end

local function place(block, base)
  local sum = 0
  for i = 1, 4 do sum = sum + block:byte(base + i) end
  return sum % 728 + base + 4
end

-- A block of 1536 bytes with the four bytes of BASE set to WHERE and a digest by KEY there; and the digest.
local function with_digest(version, base, where, key)
  local block = ("\0\0\0\0" .. version .. ("some random bytes "):rep(100)):sub(1, 1536)
  block = block:sub(1, base) .. where .. block:sub(base + 5)
  local at = place(block, base)
  local digest = hmac(key, block:sub(1, at) .. block:sub(at + 33))
  return block:sub(1, at) .. digest .. block:sub(at + 33), digest
end

-- The digest in BLOCK as told by BASE, if it is one by KEY.
local function digest_in(block, base, key)
  local at = place(block, base)
  local digest = block:sub(at + 1, at + 32)
  return digest == hmac(key, block:sub(1, at) .. block:sub(at + 33)) and digest or nil
end

-- Is BLOCK signed for one whose digest is DIGEST?
local function is_signed(block, digest, full_key)
  return block:sub(-32) == hmac(hmac(full_key, digest), block:sub(1, -33))
end

local PLAIN = "\0\0\3\232\0\0\0\0" .. ("plain "):rep(300):sub(1, 1528)
local C2 = ("whatever"):rep(192)

describe("rtmp handshake", function()
  local random = crypto.random

  after_each(function() crypto.random = random end)

  -- What a server answers to C1.
  local function answer(c1)
    local run = t.play(server, { "\3" .. c1 })
    assert.equal("greeted", run.state)
    assert.equal(3073, #run.sent)
    assert.equal("\3", run.sent:sub(1, 1))
    return run.sent:sub(2, 1537), run.sent:sub(1538)
  end

  describe("of a server", function()
    it("echoes a plain C1", function()
      local s1, s2 = answer(PLAIN)
      assert.equal(PLAIN, s2)
      assert.equal("\0\0\0\0", s1:sub(5, 8))
      assert.not_equal(s1, (answer(PLAIN)))
    end)

    it("answers a digest by one in the same place, and signs", function()
      for _, base in ipairs { 772, 8 } do
        for _, where in ipairs { "\0\0\0\0", "\182\182\182\181", "\182\182\182\182", "\255\255\255\255", "\1\2\3\4" } do
          local c1, digest = with_digest("\9\0\124\2", base, where, PLAYER)
          local s1, s2 = answer(c1)
          assert.is_true(s1:byte(5) >= 3)
          assert.is_string(digest_in(s1, base, FMS))
          assert.is_true(is_signed(s2, digest, FMS .. SECRET))
        end
      end
    end)

    it("takes a digest that is none for random bytes", function()
      local c1 = with_digest("\9\0\124\2", 8, "\1\2\3\4", "another key")
      local s1, s2 = answer(c1)
      assert.equal(c1, s2)
      assert.equal("\0\0\0\0", s1:sub(5, 8))
    end)

    it("does not look for a digest where the version is 0", function()
      local c1 = with_digest("\0\0\0\0", 8, "\1\2\3\4", PLAYER)
      assert.equal(c1, select(2, answer(c1)))
    end)

    it("takes any C2, with chunks behind it, however TCP cuts it", function()
      crypto.random = function(n) return ("r"):rep(n) end
      for _, c1 in ipairs { PLAIN, (with_digest("\9\0\124\2", 772, "\1\2\3\4", PLAYER)) } do
        local script = { "\3" .. c1 .. C2 .. "ab" }
        local sent = t.play(server, { "\3" .. c1 }).sent .. "ab"
        t.every_split(server, script, { sent = sent, state = "chunk" })
      end
    end)

    it("is done when the client leaves before a byte, and truncated when it leaves later", function()
      for _, c1 in ipairs { PLAIN, (with_digest("\9\0\124\2", 8, "\1\2\3\4", PLAYER)) } do
        t.every_truncation(server, "\3" .. c1 .. C2)
      end
      assert.same({ sent = "", reason = "done" }, t.play(server, { t.eof }))
      assert.equal("truncated", t.play(server, { "\3", t.eof }).reason)
    end)

    it("refuses what is no RTMP at its first byte", function()
      assert.same({ sent = "", reason = "no RTMP: first byte 0x47" }, t.play(server, { "G" }))
      assert.same({ sent = "", reason = "no RTMP: first byte 0x16" }, t.play(server, { "\22" }))
      assert.same({ sent = "", reason = "no RTMP: first byte 0x00" }, t.play(server, { "\0" }))
      assert.same({ sent = "", reason = "RTMPE is not supported" }, t.play(server, { "\6" }))
    end)
  end)

  describe("of a client", function()
    local world

    before_each(function() world = t.world() end)
    after_each(function() world:close() end)

    -- A client that writes what came of it, and after it the first byte that the server sent behind its handshake.
    local function client(conn)
      local up = assert(ld.connect(ADDRESS))
      local ok, result = pcall(handshake.greet, up)
      conn:write(tostring(result), ";")
      if ok and result then
        up:write "!"
        conn:write(tostring(up:read(1)))
      end
    end

    -- The client meets a server that is this test: its peer, and the server's.
    local function meet()
      local other
      world:accept(ADDRESS, function(peer) other = peer end)
      return world:connect(client), other
    end

    it("and of a server agree", function()
      world:listen(ADDRESS, server)
      for _ = 1, 20 do assert.equal("true;!", world:connect(client):sent()) end
    end)

    it("begins with a digest, and waits", function()
      local _, other = meet()
      local sent = other:sent()
      assert.equal(1537, #sent)
      assert.equal("\3", sent:sub(1, 1))
      assert.not_equal("\0\0\0\0", sent:sub(6, 9))
      assert.is_string(digest_in(sent:sub(2), 8, PLAYER))
    end)

    it("echoes the S1 of a plain server, before S2", function()
      local peer, other = meet()
      local c1 = other:sent():sub(2)
      other:send("\3" .. PLAIN)
      assert.equal(PLAIN, other:sent())
      other:send(c1)
      assert.equal("!", other:sent())
      other:send "x"
      assert.equal("true;x", peer:sent())
    end)

    it("signs for a server with a digest, wherever it is", function()
      for _, base in ipairs { 772, 8 } do
        local peer, other = meet()
        other:sent()
        local s1, digest = with_digest("\4\0\0\1", base, "\200\100\50\25", FMS)
        other:send("\3" .. s1)
        local c2 = other:sent()
        assert.equal(1536, #c2)
        assert.is_true(is_signed(c2, digest, PLAYER .. SECRET))
        other:send(C2 .. "x")
        assert.equal("true;x", peer:sent())
      end
    end)

    it("goes on with a server whose digest and signature are wrong", function()
      local peer, other = meet()
      other:sent()
      local s1 = with_digest("\4\0\0\1", 8, "\1\2\3\4", "another key")
      other:send("\3" .. s1 .. C2 .. "x")
      assert.equal(s1 .. "!", other:sent())
      assert.equal("true;x", peer:sent())
    end)

    it("reads the server's side however TCP cuts it", function()
      for _, s1 in ipairs { PLAIN, (with_digest("\4\0\0\1", 8, "\1\2\3\4", FMS)) } do
        for cut = 1, 3073, 97 do
          local peer, other = meet()
          local bytes = "\3" .. s1 .. C2 .. "x"
          other:send(bytes:sub(1, cut)):send(bytes:sub(cut + 1))
          assert.equal("true;x", peer:sent())
        end
      end
    end)

    it("is nil when the server leaves before a byte, and raises when it leaves later or is none", function()
      local peer, other = meet()
      other:finish()
      assert.equal("nil;", peer:sent())
      peer, other = meet()
      other:send("\3" .. PLAIN):finish()
      assert.matches("^truncated: ", peer:sent())
      peer, other = meet()
      other:send "HTTP/1.1 400 Bad Request\r\n"
      assert.matches("^fail: no RTMP: first byte 0x48", peer:sent())
    end)
  end)
end)
