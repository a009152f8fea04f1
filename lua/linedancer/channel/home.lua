--- linedancer.channel.home: the home of a channel that spans workers, where its blobs get their order.
--
-- A worker with followers is a replica: it is sent the limits, the preamble and the log from the newest mark, and then
-- one copy of each blob. The home's log is the queue of its replicas: one whose bus is full is fed from its place in
-- the log later, and begins again at the newest mark when that place has gone.
--
-- Fields of a channel that has its home here: home = this slot; epoch; replicas = { [slot] = { next =, version =,
-- marked =, waiting =, join = } }; origin = where its epoch begins in its log; version, head = of the preamble;
-- mark_at = place of a mark on what comes next.
local alarm = require "linedancer.alarm"
local bus = require "linedancer.bus"
local park = require "linedancer.park"
local registry = require "linedancer.channel.registry"

local M = { perform = {} }

local RETRY = 0.02 -- seconds until a full queue is tried again

local tenures = {} -- by name: the task that holds it
local epochs = 0

-- SLOT, which asked by JOIN, a number, begins at blob AT, if that is there; else at the newest mark.
local function open(channel, slot, join, at)
  local tail, _, first = channel.log:range()
  if not at or at < tail then at = first end
  at = math.max(at, channel.origin)
  channel.replicas[slot] = { next = at, version = channel.version, join = join }
  bus.tell(slot, "channel.open", channel.name, join, channel.epoch, channel.limits, channel.head, at)
end

-- Send SLOT what it has not got yet; SEND is bus.post, or bus.tell to have it kept. False when the queue is full.
local function send_all(channel, slot, send)
  local replica = channel.replicas[slot]
  if replica.next < channel.log:range() then
    open(channel, slot, replica.join)
    replica = channel.replicas[slot]
  end
  local name, epoch, _, head = channel.name, channel.epoch, channel.log:range()
  if replica.version ~= channel.version then
    replica.version = channel.version
    bus.tell(slot, "channel.preamble", name, epoch, channel.head)
  end
  while replica.next < head do
    local data, mark = channel.log:entry(replica.next)
    local _, why = send(slot, "channel.data", name, epoch, replica.next, data, mark)
    if why then return false end
    replica.next = replica.next + 1
  end
  if channel.mark_at == head and replica.marked ~= head then
    replica.marked = head
    bus.tell(slot, "channel.data", name, epoch, head, "", true)
  end
  return true
end

local feed

local function feed_again(name, slot)
  local channel = registry.find(name)
  local replica = channel and channel.replicas and channel.replicas[slot]
  if not replica or not replica.waiting then return end
  replica.waiting = nil
  feed(channel, slot)
end

function feed(channel, slot)
  if channel.replicas[slot].waiting or send_all(channel, slot, bus.post) then return end
  channel.replicas[slot].waiting = true
  alarm.set(RETRY, feed_again, channel.name, slot)
end

local function feed_all(channel)
  for slot in pairs(channel.replicas) do feed(channel, slot) end
end

--- What a publisher does to CHANNEL, whose home is here. DATA: a string, slice, buffer or blob.
function M.perform.publish(channel, data, mark)
  channel:append(data, mark)
  if mark and #data == 0 then channel.mark_at = select(2, channel.log:range()) end
  feed_all(channel)
end

function M.perform.preamble(channel, data)
  channel:greet(data)
  channel.head, channel.version = data, channel.version + 1
  feed_all(channel)
end

-- The channel called NAME has its home here no longer; CLOSED: its publisher said so.
local function resign(name, closed)
  local task, channel = tenures[name], registry.find(name)
  tenures[name] = nil
  park.wake(task) -- it ends, and the name is free
  if channel then
    for slot in pairs(channel.replicas) do send_all(channel, slot, bus.tell) end
    channel.log:finish()
    channel.home, channel.epoch, channel.replicas, channel.own = nil, nil, nil, nil
  end
  bus.broadcast("channel.over", name, closed)
end

function M.perform.close(channel)
  channel:tell_closed()
  resign(channel.name, true)
end

--- TASK has registered CHANNEL's name: an epoch begins, with an empty log, so that no blob comes twice to those who
-- had the last one's.
function M.begin(channel, task)
  local limits = channel.limits
  epochs = epochs + 1
  tenures[channel.name] = task
  registry.limit(channel, limits)
  channel.log:finish()
  channel.home, channel.replicas, channel.joining = bus.slot, {}, nil
  channel.epoch = ("%d.%d.%d"):format(bus.slot, bus.incarnation, epochs)
  channel.origin = select(2, channel.log:range())
  channel.head, channel.version, channel.mark_at = "", 0, nil
  bus.broadcast("channel.home", channel.name, channel.epoch)
end

--- Whoever asks for the home of the channel called NAME here: if that was collected, and its name is still held, let it
-- go now, not at the next sweep.
function M.vacate(name)
  local task, channel = tenures[name], registry.find(name)
  if not task or channel and channel.replicas then return end
  tenures[name] = nil
  park.wake(task)
  bus.broadcast("channel.over", name, false)
end

--- Is the channel called NAME at home here by TASK?
function M.is_held(name, task) return tenures[name] == task end

-- EPOCH and EXPECTED: where a replica is; true: it is at the beginning of any epoch.
bus.on("channel.join", function(from, name, join, epoch, expected)
  local channel = registry.find(name)
  if not channel or not channel.replicas then
    M.vacate(name)
    bus.tell(from, "channel.not", name)
    return
  end
  registry.touch(channel)
  local at = epoch == true and math.max(channel.origin, (channel.log:range())) or nil
  open(channel, from, join, epoch == channel.epoch and expected or at)
  feed(channel, from)
end)

bus.on("channel.leave", function(from, name)
  local channel = registry.find(name)
  if channel and channel.replicas then channel.replicas[from] = nil end
end)

bus.on_worker(function(slot, _, up)
  if up then return end
  for _, channel in registry.each() do
    if channel.replicas then channel.replicas[slot] = nil end
  end
end)

bus.on_reset(function() tenures = {} end)

-- A channel that was collected leaves its name behind.
registry.on_sweep(function()
  for name in pairs(tenures) do
    if not registry.find(name) then resign(name, false) end
  end
  return next(tenures) ~= nil
end)

return M
