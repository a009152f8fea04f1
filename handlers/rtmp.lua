--- rtmp: publish, play and relay live streams, as encoders and players of RTMP 1.0 and Enhanced RTMP do.
--
--   C0 C1 -->                     handshake, see rtmp/handshake
--   <-- S0 S1 S2
--   C2 -->
--   chunks <-->                   see rtmp/chunk; each message has a kind:
--     1-6                         about the connection, see rtmp/link
--     8, 9                        audio, video
--     15, 18                      data, such as metadata, in AMF3 and AMF0
--     17, 20                      commands, see rtmp/session
--     22                          several of these in one
--
--   handshake --> read --> message --> read ...      until the client ends its side
--
-- A message of any size may be half read while the handler answers pings, hears messages and sends to viewers.
local ld = require "linedancer"
local access = require "handlers.rtmp.access"
local chunk = require "handlers.rtmp.chunk"
local desk = require "handlers.rtmp.desk"
local handshake = require "handlers.rtmp.handshake"
local link = require "handlers.rtmp.link"
local publisher = require "handlers.rtmp.publisher"
local relay = require "handlers.rtmp.relay"
local session = require "handlers.rtmp.session"
local stream = require "handlers.rtmp.stream"
local viewer = require "handlers.rtmp.viewer"

local LOOK = 1 -- seconds between looks at a connection
local TICK = 1 / 16 -- looks are at multiples of it, so that the gateway wakes once for many
local TURN = 256 -- messages after which others have a turn
local PING = 20 -- seconds between pings

local function look_again(conn) conn:timer("look", LOOK - ld.now() % TICK) end

local states = {}

function states.handshake(conn)
  if not access.enter(conn) then conn:fail "too many connections from this address" end
  conn:quick_ack(true) -- until it publishes or plays
  if not handshake.serve(conn) then return end
  session.init(conn)
  look_again(conn)
  return "read"
end

function states.read(conn)
  local kind, time, id, body = chunk.read(conn)
  if not kind then return end
  link.acknowledge(conn)
  return "message", kind, time, id, body
end

-- AMF3 messages begin with a byte that says that what follows is AMF0.
local function without_first(body)
  if #body < 2 then return "" end
  return ld.buffer():put(body, 2)
end

local function dispatch(conn, kind, time, id, body)
  if kind == 8 or kind == 9 or kind == 18 then
    session.media(conn, kind, time, id, body)
  elseif kind == 20 then
    session.command(conn, id, body)
  elseif kind == 17 then
    session.command(conn, id, without_first(body))
  elseif kind == 15 then
    session.media(conn, 18, time, id, without_first(body))
  else
    link.handle(conn, kind, body)
  end
end

-- A function of its own: LuaJIT does not compile one that makes functions.
local function dispatch_all(conn, time, id, body)
  link.aggregate(conn, time, id, body, function(...) dispatch(conn, ...) end)
end

function states.message(conn, kind, time, id, body)
  local count = conn.session.count + 1
  conn.session.count = count
  if count % TURN == 0 then ld.sleep(0) end
  if kind == 22 then
    dispatch_all(conn, time, id, body)
  else
    dispatch(conn, kind, time, id, body)
  end
  return "read"
end

local NONE = {}

local function roles_of(conn) return pairs(conn.session and conn.session.streams or NONE) end

local function module_of(role) return role.kind == "publisher" and publisher or viewer end

-- Why CONN should end at time NOW, or nil.
local function look(conn, now)
  for _, role in roles_of(conn) do
    if role then
      conn.session.since = now
      local reason = module_of(role).look(conn, role, now)
      if reason then return reason end
    end
  end
  if now - conn.session.since > conn.options.setup then return "neither published nor played" end
end

-- End CONN for REASON. Its roles end now: what is left of the connection may take some seconds to flush.
local function finish(conn, reason)
  ld.log.info("rtmp connection ends", { conn = conn.id, peer = conn.peer, reason = reason })
  session.close(conn, reason)
  conn:close(reason)
end

local function on_timer(conn)
  local now = ld.now()
  local reason = look(conn, now)
  if reason then return finish(conn, reason) end
  if now - conn.session.pinged >= PING then
    conn.session.pinged = now
    link.ping(conn)
  end
  look_again(conn)
end

-- The stream of CHANNEL (nil: any) has ended: tell its viewers.
local function end_views(conn, channel)
  for _, role in roles_of(conn) do
    if role and role.kind == "viewer" then viewer.closed(conn, role, channel or role.channel and role.channel.name) end
  end
end

-- What publishers make of MESSAGE from FROM: a reason to end CONN, or nil.
local function hear(conn, from, message)
  for _, role in roles_of(conn) do
    local reason = role and role.kind == "publisher" and publisher.hear(conn, role, from, message)
    if reason then return reason end
  end
end

local function on_message(conn, from, message)
  if message.rtmp == "kick" then return finish(conn, message.reason or "kicked") end
  if message.rtmp == "ping" then return link.ping(conn) end
  if message.closed then return end_views(conn, message.closed) end
  local reason = hear(conn, from, message)
  if reason then finish(conn, reason) end
end

local function on_error(conn, err)
  session.close(conn, err.code == "fail" and err.message or err.code)
end

-- A viewer is told that it is over, and a publisher that it is to come back.
local function on_drain(conn, seconds)
  end_views(conn)
  ld.log.debug("rtmp drain", { conn = conn.id, seconds = seconds })
  conn:close "drain"
end

return {
  initial = "handshake",
  states = states,
  options = require "handlers.rtmp.options",
  limits = { frame = 2^16, output = 2^20 },
  start = function(listeners)
    desk.open()
    for _, options in ipairs(listeners) do relay.pull_all(options) end
  end,
  timeouts = { handshake = 10, read = { idle = 60 }, message = 60 },
  on_message = on_message,
  on_timer = on_timer,
  on_drain = on_drain,
  on_error = on_error,
  on_close = function(conn, reason)
    access.leave(conn)
    session.close(conn, reason)
  end,
  commands = {
    kick = function(name)
      local holder = ld.whereis(stream.key(name))
      return holder ~= nil and ld.send(holder, { rtmp = "kick" }) or false
    end,
    streams = function() return desk.streams() end,
  },
}
