--- linedancer.message: messages between connections and tasks, wherever they are.
--
-- To one of the same worker a message is not copied (see linedancer.codec), and its fate is known at once. To another
-- worker it is sent as bytes, in order; when it cannot be delivered there, the sender gets the message
-- { undelivered = what it sent, why = "full" | "gone" } from the target's id.
local api = require "linedancer.api"
local bus = require "linedancer.bus"
local calls = require "linedancer.message.call"
local codec = require "linedancer.codec"
local id = require "linedancer.id"
local mailbox = require "linedancer.mailbox"
local park = require "linedancer.park"
local watches = require "linedancer.message.watch"

local M = { call = calls.call, reply = calls.reply, watch = watches.watch, unwatch = watches.unwatch }

local here, find, id_of = id.here, id.find, id.of
local prepare, current = codec.prepare, park.current
local deliver = mailbox.deliver
local counted = require("linedancer.counter").get "undelivered_lost"

--- An id, or the table of a connection or task of this worker.
---@alias linedancer.Receiver string|linedancer.Conn|linedancer.Task

local W, alive = api.vm, api.struct.alive

--- The id of the connection or task whose code runs, or nil.
---@function ld.self
---@return string? id
function M.self()
  local conn = current()
  return conn and id_of(conn)
end

--- Send MESSAGE to TO, an id or the table of a connection or task; TOPIC (a string, may be nil) goes with it. True; or
-- nil and "full" or "gone". Raises an error for a message that cannot be sent, and for what is no id.
---@function ld.send
---@param to linedancer.Receiver whom
---@param message any a plain value; a table is not copied within a worker
---@param topic? string goes with it
---@return true? ok
---@return string? why "full" or "gone"
function M.send(to, message, topic)
  if topic ~= nil and type(topic) ~= "string" then error("a topic is a string, not a " .. type(topic), 2) end
  local target, slot = here[to], nil
  if not target then target, slot = find(to) end
  local sender = current()
  local from = sender and id_of(sender)
  if slot then
    local bytes, refusal = bus.encode("send", id.plain(to), from, topic, message)
    if not bytes then error(refusal, 2) end
    return bus.post_bytes(slot, bytes)
  end
  local value, problem = prepare(message)
  if problem then error(problem, 2) end
  if not target then return nil, "gone" end
  return deliver(target, from, value, topic)
end

bus.on("send", function(slot, to, from, topic, message)
  local target, ok, why = here[to], nil, "gone"
  if target then ok, why = deliver(target, from, message, topic) end
  if ok or not from then return end
  if not bus.post(slot, "undelivered", from, to, why, message) then counted:add() end
end)

bus.on("undelivered", function(_, from, to, why, message)
  local sender = here[from]
  if not sender or alive(W, sender[1]) == 0 then return end
  if not deliver(sender, to, { undelivered = message, why = why }) then counted:add() end
end)

return M
