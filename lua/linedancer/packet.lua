--- linedancer.packet: the packet modes of Erlang's gen_tcp, and a few more lengths.
--
--   raw              whatever has arrived
--   1 2 4            a big-endian length of that many bytes, which is left out
--   "2le" "4le" "varint" "mqtt" "quic"   other lengths, left out as well
--   line             up to LF, which is kept
--   asn1 cdr sunrm fcgi tpkt   a header that says how long the rest is; both are returned
--   http             the head of a request or response, as a table
--
-- Each returns one frame, or nil at a clean end; limits.frame bounds it.
local http = require "linedancer.packet.http"

local M = {}

--- How conn:packet() cuts frames.
---@alias linedancer.PacketMode
---| "raw" # whatever has arrived
---| 1 # behind a length of one byte
---| 2 # behind a big-endian length of two bytes
---| 4 # behind a big-endian length of four bytes
---| "2le" # behind a little-endian length of two bytes
---| "4le" # behind a little-endian length of four bytes
---| "varint" # behind a length as of Protocol Buffers
---| "mqtt" # behind a length as of MQTT
---| "quic" # behind a length as of QUIC
---| "line" # up to LF, which is kept
---| "asn1" # ASN.1 BER, with its tag and length
---| "cdr" # CORBA's GIOP, with its header
---| "sunrm" # ONC RPC record marking, RFC 5531, with its header
---| "fcgi" # FastCGI 1.0, with its header
---| "tpkt" # TPKT, RFC 1006, with its header
---| "http" # the head of a request or response, as a table

local modes = {}

local function prefixed(format)
  return function(conn) return conn:unpack(format) end
end

modes[1] = prefixed "s1"
modes[2] = prefixed ">s2"
modes[4] = prefixed ">s4"
modes["2le"] = prefixed "<s2"
modes["4le"] = prefixed "<s4"
modes.varint = prefixed "sv"
modes.mqtt = prefixed "sm"
modes.quic = prefixed "sq"
modes.http = http.read

function modes.raw(conn)
  return conn:read_some()
end

function modes.line(conn)
  local line = conn:unpack 't"\n"'
  return line and line .. "\n"
end

-- Header and body of a frame whose header, as decoded by FORMAT, says by SIZE(...) how long both are together.
local function headed(format, size)
  return function(conn)
    local function rest(first, ...)
      if first == nil then return nil end
      return conn:expect(size(conn, first, ...))
    end
    return rest(conn:peek(format))
  end
end

--- TPKT, RFC 1006: version 3, a reserved byte, a length that counts itself.
modes.tpkt = headed(">B B I2", function(conn, version, _, length)
  if version ~= 3 then conn:fail("tpkt version " .. version) end
  if length < 4 then conn:fail("tpkt length " .. length) end
  return length
end)

--- ONC RPC record marking, RFC 5531: a bit for the last fragment, 31 bits of length.
modes.sunrm = headed(">I4", function(_, mark) return 4 + mark % 2 ^ 31 end)

--- FastCGI 1.0: content and padding lengths in a header of 8 bytes.
modes.fcgi = headed(">B B I2 I2 B B", function(conn, version, _, _, content, padding)
  if version ~= 1 then conn:fail("fcgi version " .. version) end
  return 8 + content + padding
end)

--- CORBA's GIOP: a bit of the flags says in which order the length is written.
modes.cdr = headed(">c4 B B B B c4", function(conn, magic, _, _, flags, _, length)
  if magic ~= "GIOP" then conn:fail "cdr without GIOP" end
  local a, b, c, d = length:byte(1, 4)
  if flags % 2 == 1 then a, b, c, d = d, c, b, a end
  return 12 + ((a * 256 + b) * 256 + c) * 256 + d
end)

local MAX_TAG = 6 -- bytes after the first one of a high tag number

-- How many bytes the tag takes, from the bytes seen so far; nil: more are needed.
local function tag_size(head)
  if head:byte(1) % 32 ~= 31 then return 1 end
  for i = 2, #head do
    if head:byte(i) < 128 then return i end
  end
end

--- ASN.1 BER: a tag, a length of its own form, the value. The header is peeked byte by byte, since its own size is in
-- it.
function modes.asn1(conn)
  local head = conn:peek(1)
  if not head then return nil end
  local tag = tag_size(head)
  while not tag do
    if #head > MAX_TAG then conn:fail "asn1 tag too long" end
    head = conn:peek(#head + 1)
    tag = tag_size(head)
  end
  local first = conn:peek(tag + 1):byte(-1)
  if first < 128 then return conn:expect(tag + 1 + first) end
  local count = first - 128
  if count == 0 or count > 4 then conn:fail("asn1 length of " .. count .. " bytes") end
  local length = 0
  for _, byte in ipairs { conn:peek(tag + 1 + count):byte(tag + 2, -1) } do length = length * 256 + byte end
  return conn:expect(tag + 1 + count + length)
end

--- One frame from CONN in MODE. Raises a message for a mode that does not exist.
function M.read(conn, mode)
  local read = modes[mode]
  if not read then error("no packet mode is called " .. tostring(mode), 2) end
  return read(conn)
end

return M
