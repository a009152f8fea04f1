--- rtmp.http: plays the streams of the handler "rtmp" over HTTP, as FLV, to browsers among others.
--
--   GET /APP/NAME.flv[?query]   the stream, from a key frame on, until it ends: 200, or 302, 403, 404, 503
--   GET /streams                what rtmp/desk knows of all streams, as JSON, if options.stats allows it
--   GET /...                    a file, of those that options.files names
--
--   request --> watch                      until the stream or the client ends
--   request --> request ...                for anything else, while the client keeps the connection
--
-- A browser's player waits for each track that the FLV header promises: it says what there is, once that is known.
local ld = require "linedancer"
local access = require "handlers.rtmp.access"
local desk = require "handlers.rtmp.desk"
local flv = require "handlers.rtmp.flv"
local json = require "linedancer.json"
local relay = require "handlers.rtmp.relay"
local stream = require "handlers.rtmp.stream"
local viewer = require "handlers.rtmp.viewer"

local LOOK, POLL = 1, 0.1 -- seconds between looks at a viewer, and for a publisher
local REASONS = {
  [200] = "OK", [204] = "No Content", [302] = "Found", [400] = "Bad Request", [403] = "Forbidden", [404] = "Not Found",
  [405] = "Method Not Allowed", [413] = "Content Too Large", [431] = "Request Header Fields Too Large",
  [503] = "Service Unavailable",
}

local TYPES = {
  html = "text/html; charset=utf-8", js = "text/javascript; charset=utf-8", css = "text/css; charset=utf-8",
  json = "application/json", map = "application/json", svg = "image/svg+xml", png = "image/png", ico = "image/x-icon",
  txt = "text/plain; charset=utf-8",
}

local states = {}

local function head(conn, status, fields)
  conn:write(("HTTP/1.1 %d %s\r\nAccess-Control-Allow-Origin: %s\r\nCache-Control: no-store\r\n%s\r\n"):format(status,
    REASONS[status], conn.options.origin, fields))
end

-- Does the client, whose last one was REQUEST, go on with this connection?
local function keeps(conn, request)
  if request.version == "1.0" or conn.draining then return false end
  for option in (request.headers.connection or ""):lower():gmatch "[^%s,]+" do
    if option == "close" then return false end
  end
  return true
end

-- An answer whose body is TEXT. MORE: header lines.
local function answer(conn, request, status, text, kind, more)
  local keep = keeps(conn, request)
  head(conn, status, ("Content-Type: %s\r\nContent-Length: %d\r\n%s%s"):format(kind or "text/plain", #text, more or "",
    keep and "" or "Connection: close\r\n"))
  if request.method ~= "HEAD" then conn:write(text) end
  if keep then return "request" end
end

local function refuse(conn, request, status, text, more)
  return answer(conn, request, status, text .. "\n", nil, more)
end

-- Wait until stream NAME is there; false when it does not come.
local function await(conn, name)
  relay.demand(name, conn.options)
  local till = ld.now() + conn.options.http_wait
  while not stream.is_live(name) do
    if ld.now() >= till then return false end
    ld.sleep(POLL)
  end
  return true
end

local function decode(path)
  return (path:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- What the request for PATH asks for, as rtmp/access has it; or nil and why not.
local function request_for(conn, request, path)
  local app, name, query = access.split("", nil, path)
  if not app then return nil, name end
  app, name = name:match "^(.*)/([^/]+)$"
  if not name then return nil, "no such stream" end
  return {
    what = "play", app = app, name = name, query = query, peer = conn.peer, id = conn.id, protocol = "http",
    url = request.target, agent = request.headers["user-agent"],
  }
end

local function play(conn, request, path)
  local wanted, reason = request_for(conn, request, path)
  if not wanted then return refuse(conn, request, 404, reason) end
  local verdict
  verdict, reason = access.may(conn, wanted)
  local elsewhere = type(verdict) == "table" and tostring(verdict.redirect)
  if elsewhere and not elsewhere:find "[%c%s]" then
    return refuse(conn, request, 302, "it is elsewhere", "Location: " .. elsewhere .. "\r\n")
  end
  if verdict ~= true then return refuse(conn, request, 403, reason or "not allowed") end
  local name, most = access.stream(wanted), conn.options.max_viewers
  if not await(conn, name) then return refuse(conn, request, 404, "no such stream") end
  if most > 0 and desk.viewers(name) >= most then return refuse(conn, request, 503, "too many viewers") end
  head(conn, 200, "Content-Type: video/x-flv\r\nConnection: close\r\n")
  if request.method == "HEAD" then return end
  return "watch", wanted
end

local function streams(conn, request)
  return answer(conn, request, 200, json.encode(desk.streams()) .. "\n", "application/json")
end

local function preflight(conn, request)
  local keep = keeps(conn, request)
  head(conn, 204, "Access-Control-Allow-Methods: GET, HEAD\r\nAccess-Control-Allow-Headers: *\r\n"
    .. "Access-Control-Max-Age: 86400\r\n" .. (keep and "" or "Connection: close\r\n"))
  if keep then return "request" end
end

-- The file called NAME, which is on this machine.
local function send_file(conn, request, name)
  local file, text = io.open(name, "rb"), nil
  if file then
    text = file:read "*a"
    file:close()
  end
  if not text then
    ld.log.warn("cannot read a file of rtmp.http", { file = name })
    return refuse(conn, request, 404, "the file is not there")
  end
  return answer(conn, request, 200, text, TYPES[name:match "%.(%w+)$"] or "application/octet-stream")
end

local function has_body(request)
  return request.headers["transfer-encoding"] or (request.headers["content-length"] or "0") ~= "0"
end

local function route(conn, request)
  local before, parameters = request.target:match "^([^?]*)(.*)$"
  local path = before:match "^/(.+)%.flv$"
  if path then return play(conn, request, decode(path) .. parameters) end
  if before == "/streams" and conn.options.stats then return streams(conn, request) end
  local file = conn.options.files[before]
  if file then return send_file(conn, request, file) end
  return refuse(conn, request, 404, "there is nothing here; streams are at /APP/NAME.flv")
end

function states.request(conn)
  conn.answering = false
  local request = conn:packet "http"
  if not request then return end
  conn.answering = true
  if not request.method then conn:fail "a response, not a request" end
  if not conn.counted and not access.enter(conn) then
    request.version = "1.0"
    return refuse(conn, request, 503, "too many connections from this address")
  end
  if has_body(request) then
    request.version = "1.0" -- what follows is not read
    return refuse(conn, request, 413, "no body is taken")
  end
  if request.method == "OPTIONS" then return preflight(conn, request) end
  if request.method ~= "GET" and request.method ~= "HEAD" then
    return refuse(conn, request, 405, "GET or HEAD, not " .. request.method:sub(1, 20),
      "Allow: GET, HEAD, OPTIONS\r\n")
  end
  return route(conn, request)
end

function states.watch(conn, request)
  local name = access.stream(request)
  conn.role = { kind = "viewer", request = request, name = name, moved = ld.now() }
  conn:write(flv.header(desk.tracks(name)))
  conn:notsent_lowat(viewer.NOTSENT)
  conn.role.channel = stream.follow(conn, name, conn.options, { format = "flv" })
  desk.view(conn, name, conn.role.channel)
  conn:timer("look", LOOK)
  ld.log.info("playing", { conn = conn.id, peer = conn.peer, stream = name, protocol = "http" })
  while conn:read_some() do end -- luacheck: ignore 542
end

local function on_timer(conn)
  if viewer.is_stalled(conn, conn.role, ld.now()) then
    ld.log.info("rtmp connection ends", { conn = conn.id, peer = conn.peer, reason = "stalled" })
    return conn:close "stalled"
  end
  conn:timer("look", LOOK)
end

local function on_message(conn, _, message)
  if message.rtmp == "kick" then return conn:close(message.reason or "kicked") end
  if message.closed and conn.role and conn.role.channel.name == message.closed then conn:close "ended" end
end

-- A request that cannot be read is answered as well.
local function on_error(conn, err)
  if conn.role then return end
  local request = { version = "1.0", headers = {} }
  if err.code == "fail" then refuse(conn, request, 400, err.message) end
  if err.code == "limit" then refuse(conn, request, 431, "the request is too long") end
end

-- An answer that is being made is finished first.
local function on_drain(conn)
  conn.draining = true
  if conn.role or not conn.answering then conn:close "drain" end
end

local function on_close(conn, reason)
  access.leave(conn)
  if not conn.role then return end
  desk.leave(conn, conn.role.name)
  access.done(conn, conn.role.request, reason)
end

local options = {
  origin = "*",   -- Access-Control-Allow-Origin
  stats = false,  -- may anybody see /streams?
  http_wait = 5,  -- seconds that a viewer waits for a publisher
  files = {},     -- { ["/"] = "index.html" }: files by path; their names count from where the gateway was started
}
for name, default in pairs(require "handlers.rtmp.options") do options[name] = default end

return {
  initial = "request",
  states = states,
  options = options,
  limits = { frame = 2^14, output = 2^20 },
  timeouts = { request = 60, watch = false },
  start = desk.open,
  on_message = on_message,
  on_timer = on_timer,
  on_drain = on_drain,
  on_error = on_error,
  on_close = on_close,
}
