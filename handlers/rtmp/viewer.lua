--- rtmp/viewer: a client that plays.
--
-- A role: { kind = "viewer", id, request, name = of the stream, channel, since = when it began, or its publisher went,
-- paused, taken = bytes that it had taken at the last look, moved = when those were fewer }.
local ld = require "linedancer"
local access = require "handlers.rtmp.access"
local amf0 = require "handlers.rtmp.amf0"
local chunk = require "handlers.rtmp.chunk"
local desk = require "handlers.rtmp.desk"
local link = require "handlers.rtmp.link"
local relay = require "handlers.rtmp.relay"
local stream = require "handlers.rtmp.stream"

local M = {}

--- Bytes that the kernel may hold unsent, so that a slow viewer skips, not lags.
M.NOTSENT = 2 ^ 18

local function refuse(conn, id, reason, extra)
  link.status(conn, id, "error", "NetStream.Play.StreamNotFound", reason, extra)
  conn:close("refused: " .. reason)
end

local function follow(conn, role)
  role.channel = stream.follow(conn, role.name, conn.options, { id = role.id, add = true })
  role.since = ld.now()
  desk.view(conn, role.name, role.channel)
end

-- Begin, before the first of the stream.
local function greet(conn, id, name)
  link.begin(conn, id)
  link.status(conn, id, "status", "NetStream.Play.Reset", ("Playing and resetting '%s'."):format(name))
  link.status(conn, id, "status", "NetStream.Play.Start", ("Started playing '%s'."):format(name))
  conn:write(chunk.encode(5, 18, 0, id, amf0.encode("|RtmpSampleAccess", true, true)))
end

--- CONN asks to play on message stream ID what REQUEST says. Returns the role; nil after a refusal. Waits.
function M.begin(conn, id, request)
  local options = conn.options
  local verdict, reason = access.may(conn, request)
  if not verdict then return refuse(conn, id, reason) end
  if type(verdict) == "table" then
    return refuse(conn, id, "redirected", { { "redirect", tostring(verdict.redirect) } })
  end
  local name = access.stream(request)
  if options.max_viewers > 0 and desk.viewers(name) >= options.max_viewers then
    return refuse(conn, id, "too many viewers")
  end
  relay.demand(name, options)
  if options.wait == 0 and not stream.is_live(name) then return refuse(conn, id, "no such stream") end
  local role = { kind = "viewer", id = id, request = request, name = name, moved = ld.now() }
  greet(conn, id, name)
  conn:notsent_lowat(M.NOTSENT)
  follow(conn, role)
  ld.log.info("playing", { conn = conn.id, peer = conn.peer, stream = name, agent = request.agent })
  return role
end

local function unfollow(conn, role)
  if not role.channel then return end
  conn:unfollow(role.channel)
  desk.leave(conn, role.name)
  role.channel = nil
end

--- Pause or, when FLAG is false, go on, with what is then live.
function M.pause(conn, role, flag)
  if role.paused == flag then return end
  role.paused = flag
  if flag then
    unfollow(conn, role)
    link.status(conn, role.id, "status", "NetStream.Pause.Notify", "Paused.")
  else
    link.status(conn, role.id, "status", "NetStream.Unpause.Notify", "Unpaused.")
    follow(conn, role)
  end
end

--- The channel called NAME has been closed by its publisher: tell the client, if it is ROLE's.
function M.closed(conn, role, name)
  if not role.channel or role.channel.name ~= name then return end
  role.since = ld.now()
  link.finish(conn, role.id)
  link.status(conn, role.id, "status", "NetStream.Play.UnpublishNotify", ("'%s' has ended."):format(role.name))
end

--- Has CONN, the viewer ROLE, taken nothing for options.stall seconds, at time NOW, though there was something?
function M.is_stalled(conn, role, now)
  local place = conn:following(role.channel)
  local unsent = conn.unsent
  local taken = place and place.sent - unsent
  if not place or place.behind == 0 and unsent == 0 or taken ~= role.taken then
    role.taken, role.moved = taken, now
    return false
  end
  return now - role.moved > conn.options.stall
end

--- Look at ROLE at time NOW: a reason to end the connection, or nil.
function M.look(conn, role, now)
  if role.paused then return nil end
  if stream.is_live(role.name) then
    role.since = now
  elseif conn.options.wait > 0 and now - role.since > conn.options.wait then
    link.status(conn, role.id, "error", "NetStream.Play.StreamNotFound", "no such stream")
    return "no publisher"
  end
  if M.is_stalled(conn, role, now) then return "stalled" end
end

--- ROLE ends for REASON; LOST: with the connection.
function M.leave(conn, role, reason, lost)
  desk.leave(conn, role.name)
  access.done(conn, role.request, reason)
  if lost then return end
  unfollow(conn, role)
  link.status(conn, role.id, "status", "NetStream.Play.Stop", ("Stopped playing '%s'."):format(role.name))
end

return M
