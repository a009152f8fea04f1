--- linedancer.testing.listener: who answers ld.connect in a world.
local address = require "linedancer.address"
local peers = require "linedancer.testing.peer"
local shape = require "linedancer.shape"

local M = {}

local OPTIONS = { worker = true, options = true, limits = true }

local function key_of(text)
  local target, message = address.target(text)
  if not target then error(message, 3) end
  return target.key
end

local function check(opts)
  shape.known_keys(opts, OPTIONS, "")
  return true
end

local function serve(world, slot, machine)
  return {
    lives = function() return world.core:incarnation(slot) ~= nil end,
    accept = function(link, from)
      local served = world:open(slot, machine)
      world.network:join({ link, served }, { from, slot })
      served:begin()
    end,
  }
end

--- Have ld.connect(TEXT) reach a connection of HANDLER, as of connect(). OPTS: worker (1), options, limits. When
-- that worker dies, connects are refused.
---@function world:listen
---@param text string address, as of ld.connect()
---@param handler linedancer.Handler|linedancer.State|string as of world:connect()
---@param opts? { worker?: integer, options?: table, limits?: linedancer.HandlerLimits } worker = where it is (1)
---@return linedancer.testing.World world
function M.listen(world, text, handler, opts)
  opts = opts or {}
  local ok, message = shape.guard(check)(opts)
  if not ok then error(message, 2) end
  local key, slot = key_of(text), opts.worker or 1
  world:ensure(slot)
  return world:guarded(function()
    local plan = { plain = true, listener = text, options = opts.options, limits = opts.limits }
    world.network:listen(key, serve(world, slot, (world:stage(slot, handler, plan))))
  end)
end

--- Call FN(peer) with the other end of each connection that ld.connect(TEXT) makes. FN may send, not wait.
---@function world:accept
---@param text string address, as of ld.connect()
---@param fn fun(peer: linedancer.testing.Peer) what is called with each
---@return linedancer.testing.World world
function M.accept(world, text, fn)
  world.network:listen(key_of(text), {
    lives = function() return true end,
    accept = function(link, slot) fn(peers.new(world, slot, link)) end,
  })
  return world
end

return M
