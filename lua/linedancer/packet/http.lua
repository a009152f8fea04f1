--- linedancer.packet.http: the head of an HTTP/1 request or response (RFC 9112), as one frame.
--
--   { method = "GET", target = "/", version = "1.1", headers = { host = "a.example" }, fields = { { name, value } } }
--   { status = 200, reason = "OK", version = "1.1", headers = ..., fields = ... }
--
-- `headers` has lower-case names; repeated ones are joined by ", ". The body is left for the handler to read.
local errors = require "linedancer.errors"

local M = {}

--- The head of a request or response.
---@class linedancer.HttpHead
---@field method? string of a request
---@field target? string of a request, as it was sent
---@field status? integer of a response
---@field reason? string of a response
---@field version string "1.1"
---@field headers table<string, string> by name in small letters; repeated ones are joined by ", "
---@field fields string[][] { name, value } each, as they came

local MAX_FIELDS = 200

local function start_line(conn, line)
  local method, target, version = line:match "^([^%s%c]+) (%S+) HTTP/(%d%.%d)$"
  if method then return { method = method, target = target, version = version } end
  local number, reason
  version, number, reason = line:match "^HTTP/(%d%.%d) (%d%d%d) ?(.*)$"
  if not version then conn:fail "not an HTTP start line" end
  return { status = tonumber(number), reason = reason, version = version }
end

local function add_field(conn, head, line)
  local name, value = line:match "^([^%s%c:]+):[ \t]*(.-)[ \t]*$"
  if not name then conn:fail "not an HTTP field line" end
  local key = name:lower()
  local known = head.headers[key]
  head.headers[key] = known and known .. ", " .. value or value
  head.fields[#head.fields + 1] = { name, value }
  if #head.fields > MAX_FIELDS then conn:fail "too many HTTP fields" end
end

-- Lines are frames to the core; together they are one, within limits.frame. Returns how many bytes are left to LINE's
-- successors.
local function take(conn, left, line)
  left = left - #line - 2 -- its end
  if left < 0 then error(errors.new("limit", "the HTTP head is over limits.frame", conn), 0) end
  return left
end

function M.read(conn)
  local left = conn.machine.limits.frame
  local first
  repeat -- RFC 9112 2.2: empty lines before a request are skipped
    first = conn:read_line()
    if not first then return nil end
    left = take(conn, left, first)
  until first ~= ""
  local head = start_line(conn, first)
  head.headers, head.fields = {}, {}
  while true do
    local line = conn:expect "y"
    if line == "" then return head end
    left = take(conn, left, line)
    add_field(conn, head, line)
  end
end

return M
