--- rtmp/session: the commands of a client. (Spec 7.2.)
--
--   connect --> createStream --> publish or play, on the message stream that was created --> deleteStream
--
-- Who publishes is in rtmp/publisher, who plays in rtmp/viewer. A message stream has one role at a time, a connection
-- any number of streams up to STREAMS_MAX.
--
-- conn.session = { app, url, agent = as connect gave them; connected; since = its beginning, or when it last had one;
-- count = messages so far; pinged = when it last was; streams = { [id] = role, or false } }. A role is { kind =
-- "publisher" or "viewer", id, request, ... }.
local ld = require "linedancer"
local access = require "handlers.rtmp.access"
local adobe = require "handlers.rtmp.adobe"
local amf0 = require "handlers.rtmp.amf0"
local desk = require "handlers.rtmp.desk"
local link = require "handlers.rtmp.link"
local publisher = require "handlers.rtmp.publisher"
local viewer = require "handlers.rtmp.viewer"

local M = {}

local STREAMS_MAX = 8
local AGENT_MAX = 100 -- bytes of what a client calls itself, which is logged
local BUDGET = { depth = 32, nodes = 2000, bytes = 2 ^ 16 }
-- What Enhanced RTMP calls capsEx: multitrack 2, ModEx 4, nanosecond offsets 8.
local CAPS = 2 + 4 + 8
local FORWARDS = 4 -- of a FourCC's mask

local commands = {}

--- Have CONN, past its handshake, be a client's.
function M.init(conn)
  link.init(conn)
  conn.session = { streams = {}, since = ld.now(), pinged = ld.now(), count = 0 }
end

-- VALUE as a text; numbers are names, too. Nil for what is none.
local function text(value)
  if type(value) == "number" then return ("%.14g"):format(value) end
  return type(value) == "string" and value or nil
end

local function refuse_connect(conn, tid, description, extra)
  local info = {
    { "level", "error" }, { "code", "NetConnection.Connect.Rejected" }, { "description", description },
  }
  if extra then info[#info + 1] = { "ex", amf0.object(extra) } end
  link.announce_chunks(conn)
  link.command(conn, 0, "_error", tid, amf0.null, amf0.object(info))
  conn:close("refused: " .. description)
end

-- A FourCC list: what the client named, as all is passed on.
local function four_cc(info, wanted)
  local list = wanted.fourCcList
  if amf0.kind(list) == "array" then info[#info + 1] = { "fourCcList", list } end
  for _, key in ipairs { "videoFourCcInfoMap", "audioFourCcInfoMap" } do
    if type(wanted[key]) == "table" then info[#info + 1] = { key, amf0.object { { "*", FORWARDS } } } end
  end
  if type(wanted.capsEx) == "number" then info[#info + 1] = { "capsEx", CAPS } end
end

local function accept(conn, tid, wanted)
  link.announce_window(conn)
  link.announce_bandwidth(conn)
  link.announce_chunks(conn)
  local info = {
    { "level", "status" }, { "code", "NetConnection.Connect.Success" }, { "description", "Connection succeeded." },
    { "objectEncoding", wanted.objectEncoding == 3 and 3 or 0 },
  }
  four_cc(info, wanted)
  link.command(conn, 0, "_result", tid,
    amf0.object { { "fmsVer", "FMS/3,5,7,7009" }, { "capabilities", 31 }, { "mode", 1 } }, amf0.object(info))
  conn.session.connected = true
end

-- Ask for, or check, the credentials that a client of this kind sends with its app.
local function check_adobe(conn, tid)
  local options = conn.options
  if options.user == "" then return true end
  local ok, answer = adobe.check(conn.session.app:match "%?(.*)$", function(user)
    return user == options.user and options.password or nil
  end)
  if ok then desk.spent(answer) else refuse_connect(conn, tid, answer) end
  return ok
end

-- The properties of a connect, whatever the case of their names.
local function properties(value)
  local lower = {}
  if type(value) == "table" then
    for _, key in ipairs(amf0.keys(value)) do
      lower[tostring(key):lower()] = value[key]
    end
  end
  return lower, type(value) == "table" and value or {}
end

local function request_of(conn, what)
  local session = conn.session
  return {
    what = what, app = session.app, url = session.url, agent = session.agent, peer = conn.peer, id = conn.id,
    protocol = "rtmp",
  }
end

function commands.connect(conn, _, tid, value)
  local session = conn.session
  if session.app then conn:fail "a second connect" end
  local given, wanted = properties(value)
  session.app, session.url, session.agent = text(given.app) or "", text(given.tcurl), text(given.flashver)
  if session.agent then session.agent = session.agent:sub(1, AGENT_MAX) end
  local request = request_of(conn, "connect")
  request.query = access.query(session.app, session.url)
  if not check_adobe(conn, tid) then return end
  local verdict, reason = access.connect(conn, request)
  if not verdict then return refuse_connect(conn, tid, reason) end
  if type(verdict) == "table" and verdict.redirect then
    return refuse_connect(conn, tid, "redirected", { { "code", 302 }, { "redirect", tostring(verdict.redirect) } })
  end
  accept(conn, tid, wanted)
end

-- Answer TID, unless nobody waits for it.
local function result(conn, tid, value)
  if tid ~= 0 then link.command(conn, 0, "_result", tid, amf0.null, value) end
end

function commands.createStream(conn, _, tid)
  local streams = conn.session.streams
  for id = 1, STREAMS_MAX do
    if streams[id] == nil then
      streams[id] = false
      return result(conn, tid, id)
    end
  end
  link.command(conn, 0, "_error", tid, amf0.null, amf0.object {
    { "level", "error" }, { "code", "NetConnection.Call.Failed" },
    { "description", ("no more than %d streams"):format(STREAMS_MAX) },
  })
end

local function acknowledge(conn, _, tid) result(conn, tid, amf0.undefined) end

for _, name in ipairs { "releaseStream", "FCSubscribe", "FCUnsubscribe", "_checkbw", "checkBandwidth" } do
  commands[name] = acknowledge
end

function commands.getStreamLength(conn, _, tid) result(conn, tid, 0) end

function commands.FCPublish(conn, _, tid, _, name)
  result(conn, tid, amf0.undefined)
  link.command(conn, 0, "onFCPublish", tid, amf0.null, amf0.object {
    { "code", "NetStream.Publish.Start" }, { "description", text(name) or "" },
  })
end

-- End the role of message stream ID.
local function leave(conn, id, reason)
  local role = conn.session.streams[id]
  if not role then return end
  conn.session.streams[id] = false
  local module = role.kind == "publisher" and publisher or viewer
  module.leave(conn, role, reason)
end

function commands.FCUnpublish(conn, _, tid, _, name)
  for id, role in pairs(conn.session.streams) do
    if role and role.kind == "publisher" and role.path == text(name) then leave(conn, id, "unpublished") end
  end
  result(conn, tid, amf0.undefined)
end

function commands.closeStream(conn, id) leave(conn, id, "closed") end

-- The argument is an id; GStreamer sends the name, on the stream meant.
function commands.deleteStream(conn, id, _, _, which)
  if type(which) == "number" then id = which end
  leave(conn, id, "deleted")
  conn.session.streams[id] = nil
end

-- The message stream ID is free for a role: true. Clients that create none use 1, or 0 for it.
local function claim(conn, id)
  if id > STREAMS_MAX then conn:fail("message stream " .. id) end
  leave(conn, id, "replaced")
  return id
end

-- What a publish or play of PATH asks for; nil after a refusal with CODE.
local function request_for(conn, what, id, path, code)
  local session = conn.session
  local app, name, query = access.split(session.app, session.url, text(path) or "")
  if not app then
    link.status(conn, id, "error", code, name)
    return conn:close("refused: " .. name)
  end
  local request = request_of(conn, what)
  request.app, request.name, request.query = app, name, query
  return request
end

-- CONN has, or has had, a role: it is not one that only connects.
local function settle(conn)
  conn.session.since = ld.now()
  conn:quick_ack(false)
end

function commands.publish(conn, id, _, _, path, kind)
  local request = request_for(conn, "publish", id, path, "NetStream.Publish.BadName")
  if not request then return end
  claim(conn, id)
  kind = type(kind) == "string" and kind:lower() or "live"
  request.type = (kind == "record" or kind == "append") and kind or "live"
  conn.session.streams[id] = publisher.begin(conn, id, request, text(path)) or false
  settle(conn)
end

function commands.play(conn, id, _, _, path)
  local request = request_for(conn, "play", id, path, "NetStream.Play.StreamNotFound")
  if not request then return end
  claim(conn, id)
  conn.session.streams[id] = viewer.begin(conn, id, request) or false
  settle(conn)
end

function commands.play2(conn, id, tid, _, options)
  if type(options) == "table" then return commands.play(conn, id, tid, nil, options.streamName) end
end

function commands.pause(conn, id, _, _, flag)
  local role = conn.session.streams[id]
  if role and role.kind == "viewer" then viewer.pause(conn, role, flag == true) end
end

function commands.seek(conn, id)
  link.status(conn, id, "error", "NetStream.Seek.Failed", "A live stream cannot seek.")
end

local function ignore() end

-- Answers of the client; what it would like to receive, which is the same for all viewers; and what some send besides.
for _, name in ipairs { "_result", "_error", "onStatus", "onBWDone", "receiveAudio", "receiveVideo", "setPeerInfo" } do
  commands[name] = ignore
end

local function unknown(conn, name, tid)
  if tid == 0 then return end
  link.command(conn, 0, "_error", tid, amf0.null, amf0.object {
    { "level", "error" }, { "code", "NetConnection.Call.Failed" },
    { "description", ("there is no command '%s'"):format(name:sub(1, 40)) },
  })
end

--- A command came on message stream ID: BODY in AMF0. Raises `fail` for what is no command, or before connect.
function M.command(conn, id, body)
  local values, problem = amf0.decode(body, BUDGET)
  local name, tid = values[1], values[2]
  if type(name) ~= "string" then conn:fail("a command without a name: " .. (problem or "it is no text")) end
  if problem then conn:fail(("command '%s': %s"):format(name:sub(1, 40), problem)) end
  if type(tid) ~= "number" then tid = 0 end
  if not conn.session.connected and name ~= "connect" then
    conn:fail(("command '%s' before connect"):format(name:sub(1, 40)))
  end
  local fn = commands[name]
  if fn then return fn(conn, id, tid, values[3], values[4], values[5]) end
  unknown(conn, name, tid)
end

--- Media or metadata of KIND came for message stream ID.
function M.media(conn, kind, time, id, body)
  local role = conn.session.streams[id]
  if role and role.kind == "publisher" then publisher.message(conn, role, kind, time, body) end
end

--- The connection has ended for REASON: all its roles end. Does not wait.
function M.close(conn, reason)
  if not conn.session then return end
  for id, role in pairs(conn.session.streams) do
    if role then
      conn.session.streams[id] = false
      local module = role.kind == "publisher" and publisher or viewer
      module.leave(conn, role, reason, true)
    end
  end
end

return M
