--- rtmp.http: plays the streams of the handler "rtmp" over HTTP, as FLV, to browsers among others.
--
--   GET /APP/NAME.flv[?query]   the stream, from a key frame on, until it ends: 200, or 403, 404
--   GET /streams                what rtmp/desk knows of all streams, as JSON, if options.stats allows it
--
--   request --> watch                      until the stream or the client ends
--   request --> request ...                for anything else, while the client keeps the connection
local ld = require "linedancer"
local access = require "handlers.rtmp.access"
local desk = require "handlers.rtmp.desk"
local flv = require "handlers.rtmp.flv"
local json = require "handlers.rtmp.json"
local relay = require "handlers.rtmp.relay"
local stream = require "handlers.rtmp.stream"
local viewer = require "handlers.rtmp.viewer"

local LOOK, POLL = 1, 0.1 -- seconds between looks at a viewer, and for a publisher
local REASONS = {
  [200] = "OK", [204] = "No Content", [400] = "Bad Request", [403] = "Forbidden", [404] = "Not Found",
  [405] = "Method Not Allowed", [413] = "Content Too Large", [431] = "Request Header Fields Too Large",
  [503] = "Service Unavailable",
}

local states = {}

local function head(conn, status, fields)
  conn:write(("HTTP/1.1 %d %s\r\nAccess-Control-Allow-Origin: %s\r\nCache-Control: no-store\r\n%s\r\n"):format(status,
    REASONS[status], conn.options.origin, fields))
end

-- An answer whose body is TEXT; whether the connection goes on is the client's wish.
local function answer(conn, request, status, text, kind)
  local keep = request.version ~= "1.0" and (request.headers.connection or ""):lower() ~= "close"
  head(conn, status, ("Content-Type: %s\r\nContent-Length: %d\r\n%s"):format(kind or "text/plain", #text,
    keep and "" or "Connection: close\r\n"))
  if request.method ~= "HEAD" then conn:write(text) end
  if keep then return "request" end
end

local function refuse(conn, request, status, text)
  return answer(conn, request, status, text .. "\n")
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
  if verdict ~= true then return refuse(conn, request, 403, reason or "redirected") end
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

local function preflight(conn)
  head(conn, 204, "Access-Control-Allow-Methods: GET, HEAD\r\nAccess-Control-Allow-Headers: *\r\n"
    .. "Access-Control-Max-Age: 86400\r\n")
  return "request"
end

function states.request(conn)
  local request = conn:packet "http"
  if not request then return end
  if not request.method then conn:fail "a response, not a request" end
  if not conn.counted and not access.enter(conn) then
    request.version = "1.0"
    return refuse(conn, request, 503, "too many connections from this address")
  end
  if request.method == "OPTIONS" then return preflight(conn) end
  if request.headers["content-length"] or request.headers["transfer-encoding"] then
    request.version = "1.0" -- what follows is not read
    return refuse(conn, request, 413, "no body is taken")
  end
  if request.method ~= "GET" and request.method ~= "HEAD" then
    return refuse(conn, request, 405, "GET or HEAD, not " .. request.method:sub(1, 20))
  end
  local before, parameters = request.target:match "^([^?]*)(.*)$"
  local path = before:match "^/(.+)%.flv$"
  if path then return play(conn, request, path .. parameters) end
  if before == "/streams" and conn.options.stats then return streams(conn, request) end
  return refuse(conn, request, 404, "there is nothing here; streams are at /APP/NAME.flv")
end

function states.watch(conn, request)
  local name = access.stream(request)
  conn.role = { kind = "viewer", request = request, name = name, moved = ld.now() }
  conn:write(flv.header())
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

local function on_close(conn, reason)
  access.leave(conn)
  if not conn.role then return end
  desk.leave(conn, conn.role.name)
  access.done(conn, conn.role.request, reason)
end

local options = { origin = "*", stats = false, http_wait = 5 } -- Access-Control-Allow-Origin; seconds for a publisher
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
  on_error = on_error,
  on_close = on_close,
}
