--- linedancer.network: is an address in one of these networks?
local ffi = require "ffi"

local M = {}

local FAMILY = { [4] = 2, [6] = 10 } -- AF_INET, AF_INET6

ffi.cdef "int inet_pton(int af, const char *src, void *dst);"

local scratch = ffi.new "uint8_t[16]"

--- The 16 bytes of the address TEXT, an IPv4 one as ::ffff:a.b.c.d, and 96 or 0, the bits that precede its own; nil
-- when it is none.
function M.parse(text)
  if ffi.C.inet_pton(FAMILY[4], text, scratch) == 1 then
    return ("\0"):rep(10) .. "\255\255" .. ffi.string(scratch, 4), 96
  end
  if ffi.C.inet_pton(FAMILY[6], text, scratch) == 1 then return ffi.string(scratch, 16), 0 end
end

local known = {} -- by text: { bytes =, bits = }

-- "10.0.0.0/8", "::1", "fe80::/10". Raises a message for what is none.
local function network(text)
  if known[text] then return known[text] end
  local address, length = tostring(text):match "^([^/]+)/?(%d*)$"
  local bytes, before = M.parse(address or "")
  local bits = bytes and (length == "" and 128 or before + tonumber(length))
  if not bits or bits > 128 then error(("'%s' is no network such as 10.0.0.0/8 or ::1"):format(tostring(text)), 0) end
  known[text] = { bytes = bytes, bits = bits }
  return known[text]
end

local LOCAL = 255 -- as of core/network.h

--- A network as core/network.h has it, 17 bytes; "unix:" is everybody on unix sockets. Raises a message for what is
-- none.
function M.pack(text)
  if text == "unix:" then return ("\0"):rep(16) .. string.char(LOCAL) end
  local net = network(text)
  local whole = math.floor(net.bits / 8)
  local bytes = net.bytes:sub(1, whole)
  if whole < 16 then
    local unit = 2 ^ (8 - net.bits % 8)
    local byte = net.bytes:byte(whole + 1)
    bytes = bytes .. string.char(byte - byte % unit) .. ("\0"):rep(15 - whole)
  end
  return bytes .. string.char(net.bits)
end

local function matches(bytes, net)
  local whole = math.floor(net.bits / 8)
  if bytes:sub(1, whole) ~= net.bytes:sub(1, whole) then return false end
  local rest = net.bits % 8
  if rest == 0 then return true end
  local unit = 2 ^ (8 - rest)
  return math.floor(bytes:byte(whole + 1) / unit) == math.floor(net.bytes:byte(whole + 1) / unit)
end

--- The host of PEER, "1.2.3.4:5", "[::1]:5" or the path of a unix socket.
function M.host(peer)
  peer = peer or ""
  return peer:match "^%[([^%]]*)%]" or peer:match "^([%d%.]+):%d+$" or peer
end

--- Is the host of PEER in one of NETWORKS, an array of texts? A peer without an IP address is in none. Raises a message
-- for a text that is no network.
function M.is_in(peer, networks)
  if #networks == 0 then return false end
  local bytes = M.parse(M.host(peer))
  for _, text in ipairs(networks) do
    local net = network(text)
    if bytes and matches(bytes, net) then return true end
  end
  return false
end

return M
