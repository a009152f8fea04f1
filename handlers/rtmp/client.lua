--- rtmp/client: the client's side, on a connection that ld.connect made: to play from a server, or to publish to one.
--
--   local up = assert(client.view "rtmp://origin/live/x")
--   for kind, time, id, body in client.messages(up) do ... end
--
-- up.conn is the connection; up.app, up.name, up.id = app, name and message stream; up.last = ld.now() at the last
-- message. All of it waits, and belongs to the connection or task that called open().
local ld = require "linedancer"
local adobe = require "handlers.rtmp.adobe"
local amf0 = require "handlers.rtmp.amf0"
local chunk = require "handlers.rtmp.chunk"
local handshake = require "handlers.rtmp.handshake"
local link = require "handlers.rtmp.link"

local M = {}

local PORT, TIMEOUT = "1935", 10 -- TIMEOUT: seconds for each of open(), play() and publish()
local LOGINS = 3 -- connections that it may take to log in
local AGENT = "FMLE/3.0 (compatible; Linedancer " .. ld.version .. ")"

--- URL without what only its server should know: who logs in, and the query.
function M.public(url)
  return (tostring(url):gsub("^(%w+://)[^/]*@", "%1"):gsub("%?.*", ""))
end

--- The same for who publishes there: without the name, which is often the key that allows it.
function M.public_target(url) return (M.public(url):gsub("(.)/[^/]*$", "%1/...")) end

--- The parts of URL, "rtmp://[user:password@]host[:port]/app[/more]/name[?query]": { host = with port, user, password,
-- app, name, base = the URL without the name }. Nil and a message for what is none.
function M.parse(url)
  local authority, path = tostring(url):match "^rtmp://([^/]+)/(.+)$"
  local shown = M.public(url)
  if not authority then return nil, ("'%s' is no URL such as rtmp://host/app/name"):format(shown) end
  local credentials, host = authority:match "^(.*)@([^@]*)$"
  host = host or authority
  local app, name = path:match "^([^?]*)/([^/?]*%??.*)$"
  if not app or app == "" or name == "" then
    return nil, ("'%s' names no stream: rtmp://host/app/name"):format(shown)
  end
  local user, password = (credentials or ""):match "^([^:]*):?(.*)$"
  local base = "rtmp://" .. host .. "/" .. app
  if not host:find ":%d+$" then host = host .. ":" .. PORT end
  return { host = host, user = user, password = password, app = app, name = name, base = base }
end

-- Call FN(...), which reads CONN; when that takes more than SECONDS, the connection is closed, which ends it. What FN
-- returns; or nil and an error.
local function within(seconds, conn, fn, ...)
  local late = false
  local guard = ld.spawn(function()
    ld.sleep(seconds)
    late = true
    conn:close "timeout"
  end)
  local function done(ok, ...)
    guard:cancel()
    if ok then return ... end
    local err = (...)
    if late then return nil, "no answer in time" end
    if type(err) == "table" and err.code then return nil, err end
    error(err, 0)
  end
  return done(pcall(fn, ...))
end

local function without_first(body) return ld.buffer():put(body, 2) end

-- The next message that is not about the connection; of a command, the decoded values in place of the body.
local function next_message(up)
  local conn, queue = up.conn, up.queue
  while not queue[1] do
    local kind, time, id, body = chunk.read(conn)
    if not kind then return nil end
    up.last = ld.now()
    link.acknowledge(conn)
    if kind == 22 then
      link.aggregate(conn, time, id, body, function(part_kind, at, stream, part)
        queue[#queue + 1] = { part_kind, at, stream, ld.buffer():put(part) }
      end)
    elseif not link.handle(conn, kind, body) then
      queue[1] = { kind, time, id, body }
    end
  end
  local message = table.remove(queue, 1)
  local kind, time, id, body = message[1], message[2], message[3], message[4]
  if kind == 15 and #body > 1 then kind, body = 18, without_first(body) end
  if kind == 17 and #body > 1 then kind, body = 20, without_first(body) end
  if kind == 20 then body = amf0.decode(body) end
  return kind, time, id, body
end

local function call(up, id, name, ...)
  up.tid = up.tid + 1
  link.command(up.conn, id, name, up.tid, ...)
  return up.tid
end

-- The description in the information object of a command.
local function description_of(values)
  local info = values[4]
  if type(info) ~= "table" then return "refused" end
  return tostring(info.description or info.code or "refused")
end

-- Read until the answer to TID: its values; or nil and why not.
local function answer(up, tid)
  while true do
    local kind, _, _, values = next_message(up)
    if not kind then return nil, "the server has left" end
    if kind == 20 and values[2] == tid then
      if values[1] == "_result" then return values end
      if values[1] == "_error" then return nil, description_of(values), values end
    end
  end
end

-- Read until an onStatus: true when its code is one of GOOD; or nil and why not.
local function await_status(up, good)
  while true do
    local kind, _, _, values = next_message(up)
    if not kind then return nil, "the server has left" end
    local info = kind == 20 and values[1] == "onStatus" and values[4]
    if type(info) == "table" then
      if good[info.code] then return true end
      if info.level == "error" then return nil, description_of(values) end
    end
  end
end

local function greet(up, app, base)
  local conn = up.conn
  conn:quick_ack(true) -- until it plays or publishes
  handshake.greet(conn)
  link.init(conn)
  link.announce_chunks(conn)
  local tid = call(up, 0, "connect", amf0.object {
    { "app", app }, { "type", "nonprivate" }, { "flashVer", AGENT }, { "tcUrl", base },
    { "fpad", false }, { "capabilities", 15 }, { "audioCodecs", 4071 }, { "videoCodecs", 252 }, { "videoFunction", 1 },
  })
  local values, problem = answer(up, tid)
  if not values then return nil, problem end
  link.announce_window(conn)
  return true
end

-- One connection, up to the answer to its connect; QUERY, "?...", follows the app.
local function dial(parts, query, opts)
  local conn, err = ld.connect(parts.host, { timeout = opts.timeout or TIMEOUT })
  if not conn then return nil, err end
  local up = {
    conn = conn, app = parts.app, name = parts.name, tid = 0, queue = {}, last = ld.now(),
    timeout = opts.timeout or TIMEOUT,
  }
  local ok, problem = within(up.timeout, conn, greet, up, parts.app .. query, parts.base .. query)
  if ok then return up end
  conn:close()
  return nil, problem
end

--- Connect to the server of URL, and tell it the app. OPTS: timeout, in seconds (10). Returns what the others take; or
-- nil and an error, an object or a text.
function M.open(url, opts)
  local parts, message = M.parse(url)
  if not parts then return nil, message end
  local query, problem = "", nil
  for _ = 1, LOGINS do
    local up
    up, problem = dial(parts, query, opts or {})
    if up then return up end
    local next_query = parts.user ~= "" and adobe.respond(tostring(problem), parts.user, parts.password)
    if not next_query then break end
    query = "?" .. next_query
  end
  return nil, problem
end

local function create_stream(up)
  local values, problem = answer(up, call(up, 0, "createStream", amf0.null))
  if not values then return nil, problem end
  up.id = tonumber(values[4]) or 1
  return true
end

local function settled(up, ...)
  up.conn:quick_ack(false)
  return ...
end

local PLAYING = { ["NetStream.Play.Start"] = true }
local PUBLISHING = { ["NetStream.Publish.Start"] = true }

local function begin_playing(up)
  local ok, problem = create_stream(up)
  if not ok then return nil, problem end
  call(up, up.id, "play", amf0.null, up.name, -1000)
  link.buffer_length(up.conn, up.id, 1000)
  return settled(up, await_status(up, PLAYING))
end

--- Begin to play. True; or nil and why not.
function M.play(up)
  return within(up.timeout, up.conn, begin_playing, up)
end

--- open() and play() in one: what plays URL; or nil and why not.
function M.view(url, opts)
  local up, problem = M.open(url, opts)
  if not up then return nil, problem end
  local ok
  ok, problem = M.play(up)
  if ok then return up end
  up.conn:close()
  return nil, problem
end

local function begin_publishing(up)
  call(up, 0, "releaseStream", amf0.null, up.name)
  call(up, 0, "FCPublish", amf0.null, up.name)
  local ok, problem = create_stream(up)
  if not ok then return nil, problem end
  call(up, up.id, "publish", amf0.null, up.name, "live")
  return settled(up, await_status(up, PUBLISHING))
end

--- Begin to publish: then messages are written to up.conn, or it follows a channel of them. True; or nil and why not.
function M.publish(up)
  return within(up.timeout, up.conn, begin_publishing, up)
end

--- End what was published, then the connection.
function M.finish(up)
  call(up, 0, "FCUnpublish", amf0.null, up.name)
  call(up, 0, "deleteStream", amf0.null, up.id)
  up.conn:close()
end

--- The next message: kind, time, message stream id and body, a buffer, but of a command (kind 20) its decoded values.
-- What is about the connection is dealt with. Nil when the server has left. Raises as reads do.
M.read = next_message

-- Does this status say that the stream is over?
local function is_over(values)
  local info = values[1] == "onStatus" and values[4]
  local code = type(info) == "table" and info.code
  return code == "NetStream.Play.UnpublishNotify" or code == "NetStream.Play.Stop"
    or code == "NetStream.Play.StreamNotFound" or code == "NetStream.Play.Complete"
end

--- Iterate over audio, video and data (kinds 8, 9 and 18) until the server or the stream ends.
function M.messages(up)
  return function()
    while true do
      local kind, time, id, body = next_message(up)
      if not kind or kind == 20 and is_over(body) then return nil end
      if kind == 8 or kind == 9 or kind == 18 then return kind, time, id, body end
    end
  end
end

return M
