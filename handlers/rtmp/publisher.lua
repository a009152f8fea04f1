--- rtmp/publisher: a client that publishes.
--
-- A role: { kind = "publisher", id, path = as the client named it, request, publication, counted = messages at the last
-- look, active = when there was one, recorder }.
local ld = require "linedancer"
local access = require "handlers.rtmp.access"
local link = require "handlers.rtmp.link"
local record = require "handlers.rtmp.record"
local relay = require "handlers.rtmp.relay"
local stream = require "handlers.rtmp.stream"

local M = {}

-- Say why not, then flush and close.
local function refuse(conn, id, code, reason, extra)
  link.status(conn, id, "error", "NetStream.Publish." .. code, reason, extra)
  conn:close("refused: " .. reason)
end

local function open(conn, id, request)
  local name = access.stream(request)
  local publication, why = stream.open(name, conn.options, {
    publisher = conn.peer, agent = request.agent, type = request.type, protocol = "rtmp",
  })
  if publication then return publication end
  refuse(conn, id, "BadName", ("the stream '%s' is %s"):format(name, why))
end

--- CONN asks to publish on message stream ID what REQUEST says, which it called PATH. Returns the role; nil after a
-- refusal. Waits.
function M.begin(conn, id, request, path)
  local verdict, reason = access.may(conn, request)
  if not verdict then return refuse(conn, id, "Denied", reason) end
  if type(verdict) == "table" then
    return refuse(conn, id, "Denied", "redirected", { { "redirect", tostring(verdict.redirect) } })
  end
  local publication = open(conn, id, request)
  if not publication then return nil end
  local role = {
    kind = "publisher", id = id, path = path, request = request, publication = publication, counted = 0,
    active = ld.now(),
  }
  if conn.options.record ~= "" and (request.type ~= "live" or conn.options.record_live) then
    role.recorder = record.new(publication.name, {
      path = conn.options.record, rotate = conn.options.record_rotate, size = conn.options.record_size,
      append = request.type == "append",
    })
  end
  relay.push_all(publication, conn.options)
  link.begin(conn, id)
  link.status(conn, id, "status", "NetStream.Publish.Start", ("'%s' is published."):format(access.stream(request)))
  ld.log.info("publishing", { conn = conn.id, peer = conn.peer, stream = publication.name, agent = request.agent })
  return role
end

--- Media came for ROLE.
function M.message(_, role, kind, time, body)
  role.publication:message(kind, time, body)
  if role.recorder then role.recorder:message(kind, time, body) end
end

--- Look at ROLE at time NOW: a reason to end the connection, or nil.
function M.look(conn, role, now)
  if role.recorder then role.recorder:look(now) end
  local count = role.publication.meter:messages()
  if count ~= role.counted then
    role.counted, role.active = count, now
  elseif now - role.active > conn.options.publish_timeout then
    return "no media"
  end
end

--- A message came from FROM for the publisher ROLE: a reason to end the connection, or nil; and whether it was for it.
function M.hear(_, role, from, message)
  local mine, word = stream.hear(role.publication, from, message)
  return word == "taken" and "taken over" or nil, mine
end

--- ROLE ends for REASON; LOST: with the connection.
function M.leave(conn, role, reason, lost)
  role.publication:close(lost and not (reason == "done" or reason == "drain"))
  if role.recorder then role.recorder:close() end
  access.done(conn, role.request, reason)
  ld.log.info("published", { conn = conn.id, stream = role.publication.name, reason = reason })
  if lost then return end
  link.status(conn, role.id, "status", "NetStream.Unpublish.Success",
    ("'%s' is not published any more."):format(role.publication.name))
end

return M
