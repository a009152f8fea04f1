--- address: reads the addresses of listeners, "127.0.0.1:7000", "[::1]:7000", ":7000", "unix:/run/x.sock", and those
-- to connect to, "example.com:80".
--
-- Pure text: nothing is looked up and nothing is bound. ":7000" is every interface, IPv4 and IPv6 on one socket.
local shape = require "linedancer.shape"
local source = require "linedancer.handler.source"

local MAX_UNIX_PATH = 107 -- sun_path holds 108 bytes with the closing zero
local MAX_NAME = 253

local M = {}

local refuse = shape.refuse

local function port_of(text, whole)
  if not text:find("^%d+$") then
    refuse("address '%s': the port must be a number from 0 to 65535, not '%s'", whole, text)
  end
  local port = #text <= 9 and tonumber(text, 10) or math.huge
  if port > 65535 then refuse("address '%s': port %s is out of range, 0 to 65535", whole, text) end
  return port
end

-- "127.0.0.1" -> 127, 0, 0, 1. A leading zero is refused, since some read it as octal.
local function ipv4(host)
  local bytes = { host:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
  for i, digits in ipairs(bytes) do
    if #digits > 3 or tonumber(digits) > 255 or digits:find("^0%d") then return nil end
    bytes[i] = tonumber(digits)
  end
  return #bytes == 4 and bytes or nil
end

-- The 16-bit groups of one side of "::", or nil. An IPv4 tail makes the last two.
local function groups_of(text)
  local groups = {}
  if text == "" then return groups end
  for part in (text .. ":"):gmatch("([^:]*):") do
    if groups.tail then return nil end
    local bytes = ipv4(part)
    if bytes then
      groups[#groups + 1] = bytes[1] * 256 + bytes[2]
      groups[#groups + 1] = bytes[3] * 256 + bytes[4]
      groups.tail = true
    elseif part:find("^%x%x?%x?%x?$") then
      groups[#groups + 1] = tonumber(part, 16)
    else
      return nil
    end
  end
  return groups
end

-- "::1" -> its eight groups, or nil.
local function ipv6(host)
  local at = host:find("::", 1, true)
  if not at then
    local groups = groups_of(host)
    return groups and #groups == 8 and groups or nil
  end
  local head, tail = groups_of(host:sub(1, at - 1)), groups_of(host:sub(at + 2))
  if not head or not tail or head.tail or #head + #tail > 7 then return nil end
  local groups = {}
  for i = 1, 8 do groups[i] = head[i] or tail[i - 8 + #tail] or 0 end
  return groups
end

local function unix(path, whole, base_dir)
  if path == "" then refuse("address '%s' lacks the path: unix:/run/name.sock", whole) end
  if path:find("%z") then refuse("address '%s': a socket path holds no zero byte", whole) end
  path = source.join(base_dir, path)
  if #path > MAX_UNIX_PATH then
    refuse("address 'unix:%s': the path has %d bytes, a socket path at most %d", path, #path, MAX_UNIX_PATH)
  end
  return { family = "unix", path = path, text = "unix:" .. path, key = "unix:" .. path }
end

local function bad_host(host, whole)
  if host:find(":", 1, true) and not host:find("[", 1, true) then
    refuse("address '%s': an IPv6 address stands in brackets, such as [::1]:7000", whole)
  end
  if host == "*" then refuse("address '%s': all interfaces are written without a host, such as :7000", whole) end
  refuse("address '%s': '%s' is no IP address; a listener binds 127.0.0.1, [::1], localhost or, for all, only :PORT",
    whole, host)
end

local function inet(text)
  local host, port = text:match("^(.*):([^:%]]*)$")
  if not host then
    local digits = text:match("^%d+$")
    refuse("address '%s' lacks %s", text, digits and "the colon: write ':" .. digits .. "'"
      or "the port: HOST:PORT, :PORT or unix:PATH")
  end
  local bracketed = host:match("^%[(.*)%]$")
  local groups = host == "" and ipv6("::") or bracketed and ipv6(bracketed)
  if groups then
    port = port_of(port, text)
    host = bracketed or "::"
    local key = ("%x:%x:%x:%x:%x:%x:%x:%x"):format(unpack(groups)) .. ":" .. port
    return { family = "ipv6", host = host, port = port, text = ("[%s]:%d"):format(host, port), key = key }
  end
  if host == "localhost" then host = "127.0.0.1" end
  if not ipv4(host) then bad_host(host, text) end
  port = port_of(port, text)
  local canonical = ("%s:%d"):format(host, port)
  return { family = "ipv4", host = host, port = port, text = canonical, key = canonical }
end

local function parse(text, base_dir)
  if type(text) ~= "string" then
    refuse("an address is a string such as \"127.0.0.1:7000\", not %s", shape.describe(text))
  end
  if text == "" then refuse "the address is empty: write HOST:PORT, :PORT or unix:PATH" end
  local path = text:match("^unix:(.*)$")
  if path then return unix(path, text, base_dir) end
  return inet(text)
end

--- { family = "ipv4" | "ipv6" | "unix", host =, port =, path =, text =, key = }, or nil and a message.
--
-- `text` is what to show; two addresses with the same `key` are the same one. A relative socket path is below BASE_DIR.
M.parse = shape.guard(parse)

-- RFC 1123, and the underscore that many names have.
local function is_name(host)
  if #host > MAX_NAME then return false end
  local labels = 0
  for label in (host:gsub("%.$", "") .. "."):gmatch("([^.]*)%.") do
    if #label > 63 or not label:find("^[%w_][%w_-]*$") or label:find("-$") then return false end
    labels = labels + 1
  end
  return labels > 0
end

local function bad_target(host, whole)
  if host == "" then refuse("address '%s' lacks the host: HOST:PORT", whole) end
  if host:find("[\128-\255]") then
    refuse("address '%s': a name beyond ASCII is written in its xn-- form", whole)
  end
  if host:find(":", 1, true) and not host:find("[", 1, true) then
    refuse("address '%s': an IPv6 address stands in brackets, such as [::1]:7000", whole)
  end
  refuse("address '%s': '%s' is neither a name nor an IP address", whole, host)
end

-- The family of HOST and how it is written without brackets; nil when it can be none. What ends in a number is meant as
-- an IPv4 address, never as a name.
local function host_of(host)
  local bracketed = host:match("^%[(.*)%]$")
  if bracketed then return ipv6(bracketed) and "ipv6", bracketed end
  if ipv4(host) then return "ipv4", host end
  if not host:find("^%d+%.?$") and not host:find("%.%d+%.?$") and is_name(host) then return "name", host:lower() end
end

local function target(text)
  if type(text) ~= "string" then
    refuse("an address is a string such as \"example.com:80\", not %s", shape.describe(text))
  end
  local path = text:match("^unix:(.*)$")
  if path then return unix(path, text) end
  local host, port = text:match("^(.*):([^:%]]*)$")
  if not host then refuse("address '%s' lacks the port: HOST:PORT or unix:PATH", text) end
  local family, bare = host_of(host)
  if not family then bad_target(host, text) end
  port = port_of(port, text)
  if port == 0 then refuse("address '%s': nobody listens on port 0", text) end
  local canonical = (family == "ipv6" and "[%s]:%d" or "%s:%d"):format(bare, port)
  return { family = family, host = bare, port = port, text = canonical, key = canonical }
end

--- The same for an address to connect to; `family` may be "name" as well, which is lower-case.
M.target = shape.guard(target)

local function source_of(text)
  if type(text) ~= "string" then
    refuse("source must be a string such as \"10.0.0.5\", not %s", shape.describe(text))
  end
  local host, port = text, nil
  if not ipv4(text) and not ipv6(text) then
    host, port = text:match("^%[(.*)%]:(%d+)$")
    if not host then host, port = text:match("^([^:]*):(%d+)$") end
    if not host then host = text:match("^%[(.*)%]$") end
  end
  if not host or not (ipv4(host) or ipv6(host)) then
    refuse("source '%s' is no IP address of this machine: write 10.0.0.5, 10.0.0.5:4000 or [fd00::5]:4000", text)
  end
  return { family = ipv4(host) and "ipv4" or "ipv6", host = host, port = port and port_of(port, text) or 0 }
end

--- A local address to connect from, "10.0.0.5", "10.0.0.5:4000", "fd00::5" or "[fd00::5]:4000": { family, host, port },
-- port 0 for any; or nil and a message.
M.source = shape.guard(source_of)

return M
