--- workers: several workers in one process, each with its own copy of the modules that talk to others.
--
-- Their connections share one real pool and its virtual clock. Bus and supervisor are pretended: nothing moves before
-- pump().
local real = require "linedancer.api"
local tasks = require "linedancer.task"
local mailbox = require "linedancer.mailbox"

local M = {}

local OWN = {
  "bus", "id", "message.notice", "message.answer", "message.call", "message.watch", "message", "names",
  "topic.trie", "topic",
}

local World = {}
World.__index = World

local function u32(n)
  return string.char(math.floor(n / 2 ^ 24), math.floor(n / 2 ^ 16) % 256, math.floor(n / 256) % 256, n % 256)
end

local function s2(text) return string.char(math.floor(#text / 256), #text % 256) .. text end

local function read_s2(message, pos)
  local size = message:byte(pos) * 256 + message:byte(pos + 1)
  return message:sub(pos + 2, pos + 1 + size), pos + 2 + size
end

local function worker_news(worker, up)
  return "W" .. string.char(0, worker.slot) .. u32(worker.incarnation) .. string.char(up and 1 or 0)
end

-- The modules named in OWN, loaded afresh over CORE.
local function load_modules(core)
  local kept, modules = { api = package.loaded["linedancer.api"] }, {}
  package.loaded["linedancer.api"] = setmetatable({ core = core }, { __index = real })
  for _, name in ipairs(OWN) do
    kept[name] = package.loaded["linedancer." .. name] or false
    package.loaded["linedancer." .. name] = nil
  end
  for _, name in ipairs(OWN) do modules[name] = require("linedancer." .. name) end
  package.loaded["linedancer.api"] = kept.api
  for _, name in ipairs(OWN) do package.loaded["linedancer." .. name] = kept[name] or nil end
  return modules
end

function World:start(slot, incarnation)
  local worker = { slot = slot, incarnation = incarnation, alive = true }
  local core = setmetatable({}, { __index = real.core })
  function core.worker() return slot, incarnation, self.count end
  function core.ask(bytes) self.asked[#self.asked + 1] = { worker = worker, bytes = bytes } end
  function core.on_bus(message, control) worker.hear, worker.control = message, control end
  function core.post(to, bytes)
    local target = self.workers[to]
    if self.full or not target or not target.alive then return nil end
    self.posted = self.posted + 1
    self.wire[#self.wire + 1] = { from = worker, to = target, bytes = bytes }
    return true
  end
  for name, module in pairs(load_modules(core)) do worker[name] = module end
  for _, other in pairs(self.workers) do
    if other.alive then worker.control(worker_news(other, true)) end
  end
  for name, id in pairs(self.names) do worker.control("N" .. s2(name) .. s2(id)) end
  self.workers[slot] = worker
  return worker
end

--- The others hear that WORKER is ready.
function World:announce(worker)
  for _, other in pairs(self.workers) do
    if other ~= worker and other.alive then other.control(worker_news(worker, true)) end
  end
end

function World:tell_all(message)
  for _, worker in pairs(self.workers) do
    if worker.alive then worker.control(message) end
  end
end

--- The worker in SLOT dies; what it has posted is still on its way.
function World:kill(slot)
  local dead = self.workers[slot]
  dead.alive = false
  self:tell_all(worker_news(dead, false))
  for name, id in pairs(self.names) do
    if id:find(("^%d%%.%d%%."):format(slot, dead.incarnation)) then
      self.names[name] = nil
      self:tell_all("N" .. s2(name) .. s2 "")
    end
  end
  return dead
end

local function register(self, ask)
  local take = ask.bytes:byte(6)
  local name, pos = read_s2(ask.bytes, 7)
  local id = read_s2(ask.bytes, pos)
  local previous = self.names[name] or ""
  local ok = previous == "" or previous == id or take == 1
  if ok then
    self.names[name] = id
    self:tell_all("N" .. s2(name) .. s2(id))
  end
  ask.worker.control("A" .. ask.bytes:sub(2, 5) .. string.char(ok and 1 or 0) .. s2(previous))
end

local function unregister(self, ask)
  local name, pos = read_s2(ask.bytes, 2)
  if self.names[name] ~= read_s2(ask.bytes, pos) then return end
  self.names[name] = nil
  self:tell_all("N" .. s2(name) .. s2 "")
end

--- Let everything that is on its way arrive, until nothing is.
function World:pump()
  real.core.settle()
  while self.wire[1] or self.asked[1] and not self.hung do
    local ask = not self.hung and table.remove(self.asked, 1)
    if ask and ask.worker.alive then (ask.bytes:byte() == 82 and register or unregister)(self, ask) end
    local item = table.remove(self.wire, 1)
    if item and item.to.alive then item.to.hear(item.from.slot, item.from.incarnation, item.bytes) end
    real.core.settle()
  end
end

--- SECONDS pass.
function World:advance(seconds)
  real.core.advance(seconds)
  self:pump()
end

--- COUNT workers that know each other.
function M.new(count)
  local self = setmetatable({ count = count, workers = {}, wire = {}, asked = {}, names = {}, posted = 0 }, World)
  for slot = 1, count do self:announce(self:start(slot, 1)) end
  return self
end

local Actor = {}
Actor.__index = Actor

local function act(actor)
  while true do
    local from, message, topic = mailbox.receive()
    if type(message) == "function" then
      message()
    else
      actor.got[#actor.got + 1] = { from or false, message, topic }
      if actor.hear then actor.hear(from, message, topic) end
    end
  end
end

--- A task that collects what it gets in got, { from, message, topic } each, and calls hear(from, message, topic) if it
-- has that. MODULES are those of a worker, or { id = } of this process.
function M.actor(modules)
  local actor = setmetatable({ got = {} }, Actor)
  actor.task = tasks.spawn(act, actor)
  actor.id = modules.id.of(actor.task)
  real.core.settle()
  return actor
end

--- Begin FN(...) in the task. Returns a table that has { fn's results } or the error once it is over.
function Actor:begin(fn, ...)
  local result, args = {}, { ... }
  local count = select("#", ...)
  mailbox.deliver(self.task, "spec", function()
    local values = { pcall(fn, unpack(args, 1, count)) }
    result.over, result.ok, result.err = true, values[1], not values[1] and values[2] or nil
    result.n = table.maxn(values) - 1
    for i = 1, result.n do result[i] = values[i + 1] end
  end)
  real.core.settle()
  return result
end

--- FN(...) in the task, which does not wait; its results.
function Actor:run(fn, ...)
  local result = self:begin(fn, ...)
  assert(result.over, "it waits")
  if not result.ok then error(result.err, 0) end
  return unpack(result, 1, result.n)
end

--- The task ends, with REASON.
function Actor:stop(reason)
  self.task[2] = reason
  self.task:cancel()
  real.core.settle()
end

--- What it got, without the senders; forgotten by this.
function Actor:take()
  local got = {}
  for i, entry in ipairs(self.got) do got[i] = entry[2] end
  self.got = {}
  return got
end

return M
