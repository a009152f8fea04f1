--- linedancer.testing.world: many connections in several workers, on one virtual clock, without a socket.
--
--   local world = t.world { workers = 2, seed = 1 }
--   local one = world:connect(handler)
--   local two = world:connect("handlers.line", { worker = 2, options = { room = "x" } })
--   assert.equal("hello\n", one:send("hello\n"):sent())
--   world:advance(10)
--
-- Worker 1 is the test's own Lua state: its handlers may be written in the test. The others are states of their own,
-- which share nothing with it, and load their handlers from files. They talk as processes do, through queues, and the
-- world delivers what lies in them until nothing is left to do. Without a seed it does so in a fixed order; with one,
-- in an order drawn from it, in which only what one worker tells another stays in order.
--
-- There is one world at a time: a new one closes the one before.
local bus = require "linedancer.bus"
local codec = require "linedancer.codec"
local core = require("linedancer.api").core
local log = require "linedancer.log"
local faults = require "linedancer.testing.fault"
local listeners = require "linedancer.testing.listener"
local network = require "linedancer.testing.network"
local origins = require "linedancer.testing.origin"
local peers = require "linedancer.testing.peer"
local secret = require "linedancer.secret"
local shape = require "linedancer.shape"
local worker = require "linedancer.testing.worker"

local M = {}

local STEPS_MAX, TURNS_MAX = 100000, 1000 -- of one run; turns of workers in a row, each of up to 16 mailboxes full

--- Many connections in several workers, on one virtual clock.
---@class linedancer.testing.World
---@field workers integer how many
---@field seed? integer of its order

local OPTIONS = { workers = true, seed = true, options = true, limits = true }
local CONNECT = {
  worker = true, state = true, args = true, setup = true, options = true, limits = true, name = true,
}

local current

local function check(opts, known)
  local ok, message = shape.guard(function() shape.known_keys(opts, known, "") return true end)()
  if not ok then error(message, 3) end
end

local World = {}
World.__index = World

function World:fail(text, ...)
  local seed = self.seed and (" (seed %d)"):format(self.seed) or ""
  error(text:format(...) .. seed, 3)
end

-- Worker SLOT does OP. See linedancer.testing.worker.
function World:call(slot, op, ...)
  if slot == 1 then return worker.ops[op](...) end
  local bytes, machine = self.core:call(slot, assert(codec.encode(op, ...)))
  if not machine then return codec.decode(bytes) end
  return machine, select(2, codec.decode(bytes))
end

-- A connection of MACHINE in worker SLOT; with PARENT, a handle, one that has no coroutine.
function World:open(slot, machine, parent)
  local link = self.core:open(slot, machine, parent)
  link:pace(self.faults.split, self.faults.short_writes)
  self.links[#self.links + 1] = { link = link, slot = slot }
  return link
end

--- Seconds on the clock.
---@function world:now
---@return number seconds
function World:now() return (self.core:now()) end

-- A number from 1 to N, of the seed's sequence.
function World:draw(n)
  if not self.seed then return 1 end
  self.random = self.random * 48271 % 2147483647
  return math.floor(self.random / 2147483647 * n) + 1
end

-- Worker SLOT tells the world.
function World:told(slot, kind, ...)
  if kind == "dial" then
    self.network:dial(slot, ...)
  elseif kind == "cancel" then
    self.network:cancel(slot, ...)
  elseif kind == "log" then
    local level, text, fields = ...
    fields.worker = slot
    log[level](text, fields)
  end
end

-- Let one thing happen of those that can; false when there is none. Counts in `turns` those in a row that are turns.
function World:step()
  local outside = self.network:choices() -- first: it makes room for writers
  local count = self.core:choices()
  if count + outside == 0 then return false end
  local choice = self:draw(count + outside)
  if choice > count then
    self.network:perform(choice - count)
    self.turns = 0
    return true
  end
  local turn, slot, bytes = self.core:perform(choice)
  self.turns = turn and self.turns + 1 or 0
  if slot then self:told(slot, codec.decode(bytes:sub(2))) end
  return true
end

function World:begin_running()
  if self.closed then self:fail "the world has been closed" end
  if self.running then self:fail "a handler cannot move the world that it lives in" end
  self.running = true
end

local function settle(self)
  self.turns = 0
  for _ = 1, STEPS_MAX do
    if not self:step() and not peers.leave_ended(self) then return end
    if self.turns > TURNS_MAX then break end
  end
  self:fail("the world does not come to rest")
end

-- FN(world, ...), and all that follows from it.
function World:guarded(fn, ...)
  self:begin_running()
  self.core:clock(self:now()) -- t.play moves the first worker's alone
  local ok, err = pcall(function(...)
    fn(self, ...)
    settle(self)
  end, ...)
  self.running = false
  if not ok then error(err, 0) end
  return self
end

local function nothing() end

--- Let everything happen that can without time going by. What is sent does so by itself.
---@function world:run
---@return linedancer.testing.World world
function World:run()
  return self:guarded(nothing)
end

-- When the next thing is due.
local function due(self)
  local now, alarm = self.core:now()
  return math.max(now, math.min(alarm, self.network:next()))
end

local function advance(self, seconds)
  local till = self:now() + seconds
  settle(self)
  while due(self) <= till do
    self.core:clock(due(self))
    settle(self)
  end
  self.core:clock(till)
end

--- Let SECONDS go by, for all workers, and everything happen that is due meanwhile.
---@function world:advance
---@param seconds number how many
---@return linedancer.testing.World world
function World:advance(seconds)
  if not shape.finite(seconds) or seconds < 0 then error("seconds expected, got " .. tostring(seconds), 2) end
  return self:guarded(advance, seconds)
end

-- The worker in SLOT lives, if need be from now on.
function World:ensure(slot)
  if type(slot) ~= "number" or not (slot >= 1 and slot <= self.workers and slot % 1 == 0) then
    error(("worker %s of a world of %d"):format(tostring(slot), self.workers), 3)
  end
  if self.core:incarnation(slot) then return end
  self.core:start(slot, package.path, package.cpath, require("jit").status())
  self:call(slot, "secret", secret.root())
end

-- Have worker SLOT make HANDLER ready: its machine, and the number of the play there.
function World:stage(slot, handler, opts)
  local given = { value = handler }
  if slot > 1 or type(handler) == "string" then
    local origin, message = origins.of(handler)
    if not origin then error(message, 0) end
    given = { origin = origin }
  end
  local plan = {}
  for key, value in pairs(opts) do plan[key] = value end
  plan.setup, plan.worker = nil, nil
  plan.options, plan.limits = plan.options or self.options, plan.limits or self.limits
  self.count = self.count + 1
  return (self:call(slot, "open", self.count, given, plan)), self.count
end

local function connect(self, handler, opts)
  local slot = opts.worker or 1
  local machine, number = self:stage(slot, handler, opts)
  local link = self:open(slot, machine)
  local peer = peers.new(self, slot, link, number)
  if opts.setup then opts.setup(core.conn_of(link:handle())) end
  link:begin()
  return peer
end

--- Begin a connection of HANDLER: what its module returned, or that module's name or path. OPTS, all optional: worker
-- (1), state and args, where it begins and with which values, setup(conn), run before anything of the handler (in
-- worker 1), options, limits. Returns the other end; see linedancer.testing.peer. A worker that was killed starts
-- again.
---@function world:connect
---@param handler linedancer.Handler|linedancer.State|string what its module returned; or the module's name, or path
---@param opts? linedancer.testing.ConnectOptions where it begins, and with what
---@return linedancer.testing.Peer peer
function World:connect(handler, opts)
  opts = opts or {}
  check(opts, CONNECT)
  local slot = opts.worker or 1
  self:ensure(slot)
  if opts.setup and slot > 1 then error("setup is a function of this worker: worker 1 alone can call it", 2) end
  local peer
  self:guarded(function() peer = connect(self, handler, opts) end)
  return peer
end

World.listen, World.accept = listeners.listen, listeners.accept
World.fault, World.heal, World.kill = faults.fault, faults.heal, faults.kill

--- The number of connections and tasks that live in worker SLOT.
---@function world:open_count
---@param slot integer worker
---@return integer count
function World:open_count(slot) return self.core:open_count(slot) end

-- At the end nobody listens any more, but names are let go.
local function quiesce(self)
  for _ = 1, STEPS_MAX do
    if self.core:choices() == 0 then return end
    self.core:perform(1)
  end
end

--- End the world: all its connections and tasks go, without a word to their handlers, and the workers but the first.
---@function world:close
function World:close()
  if self.closed then return end
  self:begin_running()
  if current == self then current = nil end
  worker.silence()
  for _, entry in ipairs(self.links) do
    if entry.slot == 1 then entry.link:drop() end
  end
  for slot = 2, self.workers do
    if self.core:incarnation(slot) then self.core:kill(slot) end
  end
  pcall(quiesce, self)
  self.core:close()
  bus.reset()
  worker.finish()
  self.closed, self.links, self.peers = true, {}, {}
end

local function check_options(opts)
  shape.known_keys(opts, OPTIONS, "")
  if opts.seed ~= nil then shape.whole(opts.seed, 0, "seed") end
  return shape.whole(opts.workers or 1, 1, "workers")
end

--- A world. OPTS: workers (1, at most 16), seed (a whole number; none: a fixed order), and options and limits, for
-- connections that are given none of their own.
---@function t.world
---@param opts? linedancer.testing.WorldOptions how many workers, in which order
---@return linedancer.testing.World world
function M.new(opts)
  opts = opts or {}
  local workers, message = shape.guard(check_options)(opts)
  if not workers then error(message, 2) end
  if current then current:close() end
  if core.worker() ~= 0 then error("there is no world within a world", 2) end
  local self = setmetatable({
    workers = workers, seed = opts.seed, options = opts.options, limits = opts.limits, core = core.world(workers),
    faults = faults.none(), links = {}, peers = {}, count = 0,
    random = ((opts.seed or 0) * 7919 + 104729) % 2147483646 + 1,
  }, World)
  self.network = network.new(self)
  bus.reset()
  worker.begin(function(...) self:told(1, ...) end)
  current = self
  for slot = 2, workers do self:ensure(slot) end
  for _ = 1, 3 do self:draw(1) end -- neighbours among seeds part
  return self:run()
end

--- Call FN(world) for OPTS.seeds (50) worlds, with as many seeds; OPTS may hold what new() takes. An error names its
-- seed, with which t.world does the same again.
---@function t.every_order
---@param fn fun(world: linedancer.testing.World) a test
---@param opts? linedancer.testing.OrderOptions how many orders
---@return integer seeds
function M.every_order(fn, opts)
  local plan, seeds = {}, 50
  for key, value in pairs(opts or {}) do
    if key == "seeds" then seeds = value else plan[key] = value end
  end
  for seed = 1, seeds do
    plan.seed = seed
    local world = M.new(plan)
    local ok, err = pcall(fn, world)
    world:close()
    if not ok then error(("seed %d: %s"):format(seed, tostring(err)), 0) end
  end
  return seeds
end

return M
