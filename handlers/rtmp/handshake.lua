--- rtmp/handshake: the bytes before the first chunk, for both sides. (Spec 5.2.)
--
--   C0 = S0 = 3    C1, S1: time:u32 version:u32 random[1528]    C2 = S1, S2 = C1 in the simple form
--
-- Clients with a version hide a digest in C1, an HMAC-SHA256 of its other bytes, at one of two places, and some want
-- one in S1 and, under a key that is made of theirs, at the end of S2. Neither side says which form it uses: we look.
--
--   digest at BASE + 4 + (sum of the four bytes at BASE) % 728, of 32 bytes; BASE is 772 or 8
local ld = require "linedancer"

local M = {}

local crypto = ld.crypto
local SIZE, DIGEST, BASES = 1536, 32, { 772, 8 }
local PLAIN, ENCRYPTED = 3, 6
local SECRET = "\240\238\194\74\128\104\190\232\46\0\208\209\2\158\126\87" -- what follows the text in both keys
  .. "\110\236\93\45\41\128\111\171\147\184\230\54\207\235\49\174"
local SERVER_TEXT, CLIENT_TEXT = "Genuine Adobe Flash Media Server 001", "Genuine Adobe Flash Player 001"
local SERVER_KEY, CLIENT_KEY = SERVER_TEXT .. SECRET, CLIENT_TEXT .. SECRET
local CLIENT_VERSION, SERVER_VERSION = "\9\0\124\2", "\3\5\1\1"

-- Where the digest of BLOCK, a C1 or S1, is with BASE: how many bytes precede it.
local function place(block, base)
  local a, b, c, d = block:byte(base + 1, base + 4)
  return base + 4 + (a + b + c + d) % 728
end

-- The digest that BLOCK has to have AT, by KEY.
local function digest_of(block, at, key)
  return crypto.hmac("sha256", key, block:sub(1, at) .. block:sub(at + DIGEST + 1))
end

-- The digest that BLOCK holds by KEY, or nil when it holds none.
local function find(block, key)
  for _, base in ipairs(BASES) do
    local at = place(block, base)
    local digest = block:sub(at + 1, at + DIGEST)
    if digest == digest_of(block, at, key) then return digest, base end
  end
end

-- A C1 or S1 with a digest by KEY, at BASE.
local function sign(version, base, key)
  local block = "\0\0\0\0" .. version .. crypto.random(SIZE - 8)
  local at = place(block, base)
  return block:sub(1, at) .. digest_of(block, at, key) .. block:sub(at + DIGEST + 1)
end

-- A C2 or S2 for who sent DIGEST, by KEY.
local function response(digest, key)
  local random = crypto.random(SIZE - DIGEST)
  return random .. crypto.hmac("sha256", crypto.hmac("sha256", key, digest), random)
end

-- S1 and S2 for C1.
local function answer(c1)
  local digest, base
  if c1:sub(5, 8) ~= "\0\0\0\0" then digest, base = find(c1, CLIENT_TEXT) end
  if not digest then return "\0\0\0\0\0\0\0\0" .. crypto.random(SIZE - 8), c1 end
  return sign(SERVER_VERSION, base, SERVER_TEXT), response(digest, SERVER_KEY)
end

local function check_version(conn, version)
  if version == PLAIN then return end
  if version == ENCRYPTED then conn:fail "RTMPE is not supported" end
  conn:fail(("this is no RTMP: it begins with byte %d"):format(version))
end

--- The server's side. True, or nil when the client left before it said anything. Raises `fail` for what is no RTMP, at
-- its first byte. C2 is not checked: clients send all sorts of it.
function M.serve(conn)
  local version = conn:unpack "B"
  if not version then return nil end
  check_version(conn, version)
  local s1, s2 = answer(conn:expect(SIZE))
  conn:write("\3", s1, s2)
  conn:skip(SIZE)
  return true
end

--- The client's side, with a server of either form, on a connection that ld.connect made. Raises `fail` for what is no
-- RTMP. The server's digests are not checked.
function M.greet(conn)
  conn:write("\3", sign(CLIENT_VERSION, BASES[1], CLIENT_TEXT))
  check_version(conn, conn:expect "B")
  local s1 = conn:expect(SIZE)
  conn:skip(SIZE)
  local digest = s1:sub(5, 8) ~= "\0\0\0\0" and find(s1, SERVER_TEXT)
  conn:write(digest and response(digest, CLIENT_KEY) or s1)
end

return M
