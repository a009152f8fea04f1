--- rtmp.handshake: what both sides say before the first chunk.
--
--   C0, S0   version:u8, 3                        6 would be RTMPE
--   C1, S1   time:u32 version:u32 random:1528     a digest of 32 bytes may lie among the random ones
--   C2, S2   the other's C1 or S1; or, to one with a digest, random:1504 signature:32
--
--   client   C0 C1 ------------> C2 --> chunks
--   server          S0 S1 S2 -->           nobody verifies C2; chunks may follow it at once
--
-- A version other than 0 says that there may be a digest. Its place is told by four bytes at one of two bases; it is
-- an HMAC of the rest. Flash takes video from servers with a digest only; the keys are known to everybody.
local crypto = require("linedancer").crypto

local SIZE, DIGEST = 1536, 32
local BASES = { 772, 8 } -- offsets of the four bytes
local SPREAD = 728 -- places for a digest behind them

local TAIL = "\240\238\194\74\128\104\190\232\46\0\208\209\2\158\126\87\110\236\93\45\41\128\111\171\147\184\230\54\207"
  .. "\235\49\174"
local SERVER, CLIENT = "Genuine Adobe Flash Media Server 001", "Genuine Adobe Flash Player 001"
local SERVER_FULL, CLIENT_FULL = SERVER .. TAIL, CLIENT .. TAIL

local START = "\0\0\0\0" -- time
local PLAIN_VERSION = "\0\0\0\0"
local SERVER_VERSION = "\4\5\0\1"
local CLIENT_VERSION = "\9\0\124\2"
local OWN_BASE = 8 -- of a client's digest

local M = {}

local function hmac(key, data) return crypto.hmac("sha256", key, data) end

-- How many bytes of BLOCK come before the digest that BASE tells of.
local function offset(block, base)
  local a, b, c, d = block:byte(base + 1, base + 4)
  return (a + b + c + d) % SPREAD + base + 4
end

-- The digest of BLOCK, whose place begins after AT bytes.
local function digest(block, at, key)
  return hmac(key, block:sub(1, at) .. block:sub(at + DIGEST + 1))
end

-- The digest that the peer's BLOCK carries, and its base; or nil.
local function find(block, key)
  if block:sub(5, 8) == PLAIN_VERSION then return nil end
  for _, base in ipairs(BASES) do
    local at = offset(block, base)
    local found = block:sub(at + 1, at + DIGEST)
    if found == digest(block, at, key) then return found, base end
  end
end

-- BLOCK with its digest.
local function imprint(block, base, key)
  local at = offset(block, base)
  return block:sub(1, at) .. digest(block, at, key) .. block:sub(at + DIGEST + 1)
end

-- C2 or S2 for a peer whose digest is THEIRS.
local function signed(theirs, full_key)
  local random = crypto.random(SIZE - DIGEST)
  return random .. hmac(hmac(full_key, theirs), random)
end

-- S1 and S2 for C1.
local function answer(c1)
  local random = crypto.random(SIZE - 8)
  local theirs, base = find(c1, CLIENT)
  if not theirs then return START .. PLAIN_VERSION .. random, c1 end
  return imprint(START .. SERVER_VERSION .. random, base, SERVER), signed(theirs, SERVER_FULL)
end

local function check_version(conn, version)
  if version == 6 then conn:fail "RTMPE is not supported" end
  if version ~= 3 then conn:fail(("no RTMP: first byte 0x%02x"):format(version)) end
end

--- The server's side, on a new connection: true once the client may send chunks; nil when it left before its first
-- byte. Raises `fail` for what is no RTMP, as soon as its first byte is there, and `truncated`.
function M.serve(conn)
  local version = conn:unpack "B"
  if not version then return nil end
  check_version(conn, version)
  conn:write("\3", answer(conn:expect(SIZE)))
  conn:skip(SIZE)
  return true
end

--- The client's side, on a connection of ld.connect: true once chunks may be sent; nil when the server left before its
-- first byte. Raises as serve() does. A server's digest is used, never verified: some get theirs wrong.
function M.greet(conn)
  conn:write("\3", imprint(START .. CLIENT_VERSION .. crypto.random(SIZE - 8), OWN_BASE, CLIENT))
  local version = conn:unpack "B"
  if not version then return nil end
  check_version(conn, version)
  local s1 = conn:expect(SIZE)
  local theirs = find(s1, SERVER)
  conn:write(theirs and signed(theirs, CLIENT_FULL) or s1)
  conn:skip(SIZE)
  return true
end

-- OpenSSL takes milliseconds to start: not in the first handshake.
hmac(SERVER, crypto.random(1))

return M
