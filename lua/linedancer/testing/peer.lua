--- linedancer.testing.peer: the other end of a connection of a world.
--
--   peer:send(bytes) finish() reset()    bytes, an end, or a reset come to the connection; each returns the peer
--   peer:stall() resume()                the peer reads no more, or again
--   peer:sent()                          what the connection has sent since the last call
--   peer:message(value, from, topic)     a message for it (from "test")
--   peer:drain(seconds)                  its worker begins to drain
--   peer.reason state error id           how it ended (nil while it has not), where it is, why it failed, conn.id
local errors = require "linedancer.errors"

local M = {}

local methods, facts = {}, {}

--- The other end of a connection of a world.
---@class linedancer.testing.Peer
---@field id string of the connection
---@field reason? string why it has ended
---@field state? string where it is
---@field error? linedancer.Error with which it ended
---@field half_closed boolean whether the connection has ended its side

local Peer = {}

function Peer.__index(peer, key)
  if methods[key] then return methods[key] end
  return facts[key] and facts[key](peer)
end

--- The peer at the end of LINK, a connection of WORLD's worker SLOT, which is play NUMBER there, or nil's.
function M.new(world, slot, link, number)
  local peer = setmetatable({
    world = world, slot = slot, link = link, number = number, id = world:call(slot, "id", link:handle()),
  }, Peer)
  world.peers[#world.peers + 1] = peer
  return peer
end

-- Let the world go on, if it does not do so anyway: a listener's function is called while it does.
local function go_on(peer)
  if not peer.world.running then peer.world:run() end
  return peer
end

--- Bytes come to the connection, in one segment unless the world cuts them.
---@function peer:send
---@param bytes string what comes
---@return linedancer.testing.Peer peer
function methods:send(bytes)
  self.link:put(bytes)
  return go_on(self)
end

--- The peer ends its side.
---@function peer:finish
---@return linedancer.testing.Peer peer
function methods:finish()
  self.link:stop "eof"
  return go_on(self)
end

--- The peer resets the connection.
---@function peer:reset
---@return linedancer.testing.Peer peer
function methods:reset()
  self.link:stop "reset"
  return go_on(self)
end

--- The peer stops reading: nothing more is taken from the connection.
---@function peer:stall
---@return linedancer.testing.Peer peer
function methods:stall()
  self.stalled = true
  self.link:allow(0)
  return self
end

--- The peer reads again.
---@function peer:resume
---@return linedancer.testing.Peer peer
function methods:resume()
  self.stalled = false
  self.link:allow(nil)
  return go_on(self)
end

--- All bytes that the connection has sent since the last call.
---@function peer:sent
---@return string bytes
function methods:sent()
  if self.rest == nil then return self.link:sent() end
  local rest = self.rest
  self.rest = ""
  return rest
end

--- Deliver VALUE: true; or nil and "full" or "gone".
---@function peer:message
---@param value any a plain value
---@param from? string id of the sender ("test")
---@param topic? string goes with it
---@return true? ok
---@return string? why "full" or "gone"
function methods:message(value, from, topic)
  if self.rest then return nil, "gone" end
  local ok, why = self.world:call(self.slot, "message", self.link:handle(), from or "test", value, topic)
  go_on(self)
  return ok, why
end

--- The worker begins to drain, SECONDS before it gives up.
---@function peer:drain
---@param seconds number how many are left
---@return linedancer.testing.Peer peer
function methods:drain(seconds)
  if not self.rest then self.world:call(self.slot, "drain", seconds) end
  return go_on(self)
end

local function facts_of(peer)
  if peer.rest then return "killed" end
  local status = peer.link:status()
  if not peer.number then return status ~= "open" and status or nil end
  return peer.world:call(peer.slot, "facts", peer.number, peer.link:handle(), status)
end

--- Why the connection has ended; nil while it is open. Of one that the test accepted: "ending", "closed" or "reset".
function facts.reason(peer) return (facts_of(peer)) end

--- The state that it is in.
function facts.state(peer)
  local _, state = facts_of(peer)
  return state
end

--- The error that it ended with.
function facts.error(peer)
  local _, _, err = facts_of(peer)
  return err and errors.new(err.code, err.message, { state = err.state, id = err.conn }, err)
end

--- Has it ended its side?
function facts.half_closed(peer)
  local _, _, shut = peer.link:flow()
  return shut
end

--- A peer that sees the connection's end ends its own side. True when one did.
function M.leave_ended(world)
  local left = false
  for _, peer in ipairs(world.peers) do
    if not peer.left and not peer.stalled and not peer.rest and peer.link:status() == "ending" then
      peer.left, left = true, true
      peer.link:stop "eof"
    end
  end
  return left
end

--- The worker in SLOT is about to die: what its connections have sent was sent.
function M.lose(world, slot)
  for _, peer in ipairs(world.peers) do
    if peer.slot == slot and not peer.rest then peer.rest = peer.link:sent() end
  end
end

return M
