--- linedancer.channel.replica: the log of a channel in a worker that has followers and not the home.
--
-- It joins the home: it is sent limits, preamble and the log from the newest mark, and then all that comes, in order.
-- When the home is lost it stays as it is, until there is another.
--
-- Fields of a channel that are used here: home = slot of its home, if that is known; joining = has asked it for its
-- log, by the request number join; epoch = of the log here, if it is in step with the home's; expected = number of the
-- next blob; head = the preamble.
local alarm = require "linedancer.alarm"
local bus = require "linedancer.bus"
local ids = require "linedancer.id"
local log = require "linedancer.log"
local names = require "linedancer.names"
local registry = require "linedancer.channel.registry"

local M = { PREFIX = "channel/" }

local SEEK = 5 -- seconds until a home is looked for again
local seeking, joins = false, 0

--- The worker of ID (default: who holds CHANNEL's name), if it is another one and lives.
function M.holder_of(channel, id)
  local slot, incarnation = ids.parse(id or names.whereis(M.PREFIX .. channel.name))
  if slot and slot ~= bus.slot and bus.is_living(slot, incarnation) then return slot end
end

--- Ask CHANNEL's home for its log. EPOCH: that of the log here; or true when followers here have waited for this one,
-- and are to miss nothing of it.
function M.join(channel, epoch)
  joins = joins + 1
  channel.joining, channel.join = true, joins
  bus.tell(channel.home, "channel.join", channel.name, joins, epoch, channel.expected)
end

local function seek()
  seeking = false
  for _, channel in registry.each() do
    if channel.count > 0 and not channel.home then M.wanted(channel) end
  end
end

local function seek_later()
  if seeking then return end
  seeking = true
  alarm.set(SEEK, seek)
end

--- CHANNEL has followers here.
function M.wanted(channel)
  if channel.epoch or channel.joining or channel.pending then return end
  channel.home = channel.home or M.holder_of(channel)
  if channel.home then M.join(channel) else seek_later() end
end

--- CHANNEL's home is lost.
function M.lost(channel)
  channel.joining, channel.epoch = nil, nil
  if channel.count > 0 then seek_later() end
end

--- CHANNEL has neither followers nor users here.
function M.let_go(channel)
  if channel.replicas or not (channel.epoch or channel.joining) then return end
  bus.tell(channel.home, "channel.leave", channel.name)
  channel.joining, channel.epoch = nil, nil
  channel.log:finish()
end

-- The channel called NAME, if its home is FROM.
local function at_home(from, name)
  local channel = registry.find(name)
  return channel and channel.home == from and channel or nil
end

M.at_home = at_home

bus.on("channel.open", function(from, name, number, epoch, limits, head, at)
  local channel = at_home(from, name)
  if not channel or channel.join ~= number or not (channel.joining or channel.epoch) then return end
  local goes_on = channel.epoch == epoch
  registry.limit(channel, limits)
  if not goes_on then
    channel.log:finish()
  elseif at ~= channel.expected then
    channel.log:cut()
  end
  if head ~= (goes_on and channel.head or "") then channel:greet(head) end
  channel.epoch, channel.head, channel.expected, channel.joining = epoch, head, at, nil
end)

-- The same, if the log here is in step with the home's EPOCH.
local function in_step(from, name, epoch)
  local channel = at_home(from, name)
  return channel and channel.epoch == epoch and not channel.joining and channel or nil
end

bus.on("channel.preamble", function(from, name, epoch, head)
  local channel = in_step(from, name, epoch)
  if not channel then return end
  channel:greet(head)
  channel.head = head
end)

bus.on("channel.data", function(from, name, epoch, number, data, mark)
  local channel = in_step(from, name, epoch)
  if not channel then return end
  if number ~= channel.expected then
    log.warn("channel out of step", { channel = name, expected = channel.expected, got = number })
    return M.join(channel, epoch)
  end
  channel:append(data, mark)
  if data ~= "" then channel.expected = number + 1 end
end)

return M
