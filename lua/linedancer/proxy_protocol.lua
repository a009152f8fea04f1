--- linedancer.proxy_protocol: who a connection is from, said by proxies; versions 1 and 2.
--
-- After HAProxy's doc/proxy-protocol.txt. Of a listener,
--
--   proxy_protocol = { "10.0.0.0/8", "unix:" }       the networks of proxies; each connection from there begins with a
--                                                    header, and others are turned away
--   proxy_protocol = { "10.0.0.0/8", direct = true,  others come as well, without one
--                      timeout = 5 }                 seconds for the header (5), before any TLS
--
-- and conn.peer, conn.local_address are what the proxy says. core/proxy.c reads the header.
local core = require("linedancer.api").core
local network = require "linedancer.network"
local shape = require "linedancer.shape"

--- The `proxy_protocol` of a listener.
---@class linedancer.ListenerProxy
---@field [integer] string networks of proxies, "10.0.0.0/8" or "unix:"
---@field direct? boolean others come as well, without a header (false)
---@field timeout? number seconds for the header (5)

local M = {}

local at, refuse, typed = shape.at, shape.refuse, shape.typed

local TIMEOUT = 5 -- seconds
local SIGNATURE = "\r\n\r\n\0\r\nQUIT\n"
local TCP4, TCP6, UNKNOWN = 0x11, 0x21, 0x00
local FIELDS = { [1] = "alpn", [2] = "authority", [5] = "unique_id", [0x30] = "netns" }
local SSL, SSL_HEAD = 0x20, 5
local SSL_FIELDS = { [0x21] = "version", [0x22] = "subject", [0x23] = "cipher" }

--- GIVEN, of a listener at PATH of its config, in one form. Refuses what is wrong.
function M.check(given, path)
  typed(given, "table", path)
  local known, packed = { direct = true, timeout = true }, {}
  for i, text in ipairs(given) do
    known[i] = true
    local ok, bytes = pcall(network.pack, typed(text, "string", at(path, i)))
    if not ok then refuse("%s: %s", at(path, i), bytes) end
    packed[i] = bytes
  end
  shape.known_keys(given, known, path)
  if #packed == 0 then refuse("%s names no network of proxies, such as \"10.0.0.0/8\"", path) end
  return {
    networks = table.concat(packed),
    direct = given.direct ~= nil and typed(given.direct, "boolean", at(path, "direct")) or false,
    timeout = given.timeout == nil and TIMEOUT or shape.positive(given.timeout, at(path, "timeout")),
  }
end

-- The fields in TEXT from AT on, by the names that NAMES gives their types; others by their numbers.
local function fields_of(text, start, names, found)
  while start + 2 <= #text do
    local kind, high, low = text:byte(start, start + 2)
    local size = high * 256 + low
    found[names[kind] or kind] = text:sub(start + 3, start + 2 + size)
    start = start + 3 + size
  end
  return found
end

-- What the proxy says of TLS: { client = bits, verified = boolean, version =, subject =, cipher = }.
local function ssl_of(text)
  if #text < SSL_HEAD then return nil end
  local client = text:byte(1)
  local verified = client % 2 == 1 and text:sub(2, 5) == "\0\0\0\0"
  return fields_of(text, SSL_HEAD + 1, SSL_FIELDS, { client = client, verified = verified })
end

--- What a proxy has said of a connection; conn.proxy is false when none has said anything.
---@class linedancer.Proxy
---@field version integer 1 or 2
---@field address string the proxy's own
---@field authority? string host name that the client asked for
---@field alpn? string protocol that was agreed on
---@field unique_id? string of the connection
---@field netns? string name of the network namespace
---@field ssl? table TLS to the proxy: client (bits), verified, version, subject, cipher
---@field [integer] string other fields, by their types
function M.fact(conn)
  local version, text, address = core.origin(conn[1])
  if not version then return false end
  local found = fields_of(text, 1, FIELDS, { version = version, address = address })
  if found[SSL] then found.ssl, found[SSL] = ssl_of(found[SSL]), nil end
  return found
end

-- "1.2.3.4:5" or "[::1]:5" as its family, bytes, text and port; or nil.
local function parse(address)
  local host, port = network.host(address), tonumber((address or ""):match ":(%d+)$")
  local bytes, before = network.parse(host)
  if not bytes or not port then return nil end
  local v4 = before == 96 and not host:find(":", 1, true)
  return v4 and 4 or 6, v4 and bytes:sub(13) or bytes, host, port
end

local function first(family, from, to, from_port, to_port)
  if not family then return "PROXY UNKNOWN\r\n" end
  return ("PROXY TCP%d %s %s %d %d\r\n"):format(family, from, to, from_port, to_port)
end

local function u16(n) return string.char(math.floor(n / 256), n % 256) end

local function second(family, from, to, from_port, to_port)
  local kind = family == 4 and TCP4 or family == 6 and TCP6 or UNKNOWN
  local addresses = family and from .. to .. u16(from_port) .. u16(to_port) or ""
  return SIGNATURE .. "\33" .. string.char(kind) .. u16(#addresses) .. addresses
end

--- The header of VERSION (1 or 2) that says that a connection is from address PEER, and went to address LOCAL, as
-- conn.peer and conn.local_address give them. What has no such address is unknown.
function M.head(version, peer, own)
  local family, from, from_text, from_port = parse(peer)
  local family_to, to, to_text, to_port = parse(own)
  if family ~= family_to then family = nil end
  if version == 1 then return first(family, from_text, to_text, from_port, to_port) end
  return second(family, from, to, from_port, to_port)
end

return M
