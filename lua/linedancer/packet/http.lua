--- linedancer.packet.http: the head of an HTTP/1 request or response (RFC 9112), as one frame.
--
--   { method = "GET", target = "/", version = "1.1", headers = { host = "a.example" }, fields = { { name, value } } }
--   { status = 200, reason = "OK", version = "1.1", headers = ..., fields = ... }
--
-- `headers` has lower-case names; repeated ones are joined by ", ". The body is left for the handler to read.
local M = {}

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

-- A line of the head. After the first one an end is no clean end.
local function next_line(conn, head)
  if head then return conn:expect "y" end
  local line = conn:read_line()
  while line == "" do line = conn:read_line() end -- RFC 9112 2.2: empty lines before a request are skipped
  return line
end

function M.read(conn)
  local line = next_line(conn)
  if not line then return nil end
  local head = start_line(conn, line)
  head.headers, head.fields = {}, {}
  for field in next_line, conn, head do
    if field == "" then return head end
    add_field(conn, head, field)
  end
end

return M
