--- linedancer.channel.spread: channels that span workers, as their publishers see them.
--
-- A channel has its home (linedancer.channel.home) in the worker that registered the name "channel/NAME", the first to
-- publish in it. Publishers elsewhere send the home what they do; workers with followers have replicas of its log
-- (linedancer.channel.replica). When the home dies or resigns, followers stay, and the worker of the next publisher is
-- the home of a new epoch, which replicas join again.
--
-- Fields of a channel that are used here: home = slot of its home, if that is known; has_sent = something to it;
-- pending = { { what, data, mark }..., bytes =, greets =, returned =, echo = } while it is not known; own = preamble
-- that was set here.
local bus = require "linedancer.bus"
local counter = require "linedancer.counter"
local home = require "linedancer.channel.home"
local log = require "linedancer.log"
local names = require "linedancer.names"
local park = require "linedancer.park"
local registry = require "linedancer.channel.registry"
local replica = require "linedancer.channel.replica"
local tasks = require "linedancer.task"

local M = { wanted = replica.wanted, let_go = replica.let_go }

local CLAIM_PAUSE, CLAIMS_MAX = 0.05, 20 -- seconds; attempts to register a name

local perform, holder_of, at_home = home.perform, replica.holder_of, replica.at_home
local dropped = counter.get "channel_publishes_dropped"
local refusing = {} -- by slot of a publisher: names of channels of which all comes back, as some did, until it asks

--- Is CHANNEL's home here?
function M.is_home(channel) return channel.home == bus.slot end

--- Must CHANNEL stay though nobody follows it here?
function M.is_needed(channel)
  return channel.pending ~= nil or channel.replicas ~= nil and next(channel.replicas) ~= nil
end

local function send(channel, what, data, mark)
  channel.has_sent = true
  bus.tell(channel.home, "channel.do", channel.name, what, data, mark)
end

-- The home of CHANNEL is known: do what was pending, in order.
local function catch_up(channel)
  local pending = channel.pending
  channel.pending = nil
  if channel.home ~= bus.slot then
    for _, op in ipairs(pending) do send(channel, op[1], op[2], op[3]) end
    if channel.count > 0 then M.wanted(channel) end
    return
  end
  if channel.own and not pending.greets then perform.preamble(channel, channel.own) end
  for _, op in ipairs(pending) do
    local ok, err = pcall(M.act, channel, op[1], op[2], op[3])
    if not ok then log.error("publish failed", { channel = channel.name, error = tostring(err) }) end
  end
end

-- Try to get the channel called NAME, which has something pending: true if its home is here now, false if it is known
-- elsewhere, nil if not.
local function claim(name, self)
  local ok, why, holder = names.register(replica.PREFIX .. name)
  local channel = registry.find(name)
  if ok then
    home.begin(channel, self)
  else
    channel.home = why == "taken" and holder_of(channel, holder) or nil
    if not channel.home then return nil end
  end
  catch_up(channel)
  return ok or false
end

-- A task, which holds the name for as long as the home is here. It must not hold the channel, lest that stay for ever.
local function contend(name)
  local self = park.current()
  home.vacate(name)
  for _ = 1, CLAIMS_MAX do
    local won = claim(name, self)
    if won ~= nil then
      while won and home.is_held(name, self) do park.sleep() end
      return
    end
    tasks.sleep(CLAIM_PAUSE)
  end
  local channel = registry.find(name)
  log.error("channel has no home", { channel = name, dropped = #channel.pending })
  dropped:add(#channel.pending)
  channel.pending = nil
end

-- Begin to keep what is to be done until there is a home.
local function hold(channel)
  channel.pending = { bytes = 0, returned = 0 }
end

-- Keep it. Nil and "full" when that is more than the log would hold.
local function postpone(channel, what, data, mark)
  local size = #(data or "")
  if not channel.pending then
    hold(channel)
    tasks.spawn(contend, channel.name)
  end
  local pending = channel.pending
  if pending.bytes + size > channel.limits.bytes or #pending >= channel.limits.items then return nil, "full" end
  pending.bytes = pending.bytes + size
  pending.greets = pending.greets or what == "preamble"
  pending[#pending + 1] = { what, data, mark }
  return true
end

-- CHANNEL's home has gone. If its worker lives, what was sent to it comes back, and goes to the next home before what
-- is done meanwhile: an echo tells that no more will come.
local function lose_home(channel, is_dead)
  if channel.has_sent and not channel.pending and not is_dead then
    hold(channel)
    channel.pending.echo = channel.home
    bus.tell(channel.home, "channel.echo", channel.name)
  end
  channel.home, channel.has_sent = nil, nil
  replica.lost(channel)
end

--- What a publisher does to CHANNEL: "publish", data, mark; "preamble", data; "close". DATA is a string, and, at home,
-- any bytes. True; or nil and "full".
function M.act(channel, what, data, mark)
  if channel.home == bus.slot then
    perform[what](channel, data, mark)
    return true
  end
  if not channel.pending then channel.home = channel.home or holder_of(channel) end
  if channel.pending or not channel.home then return postpone(channel, what, data, mark) end
  if what ~= "publish" then
    send(channel, what, data)
    return true
  end
  local ok, why = bus.post(channel.home, "channel.do", channel.name, what, data, mark)
  if ok then channel.has_sent = true end
  if ok or why == "full" then return ok, why end
  lose_home(channel, true)
  return postpone(channel, what, data, mark)
end

--- A publisher here replaces CHANNEL's preamble, and does so again in the next epoch.
function M.greet(channel, data)
  channel.own = data
  M.act(channel, "preamble", data)
end

--- The publisher of CHANNEL, here, has gone.
function M.close(channel)
  channel.own = nil
  if channel.home or channel.pending or holder_of(channel) then
    M.act(channel, "close")
  else
    channel.log:finish()
    channel:tell_closed()
  end
end

-- What other workers say.

bus.on("channel.do", function(from, name, what, data, mark)
  local channel = registry.find(name)
  local refused = refusing[from] or {}
  if channel and channel.replicas and not refused[name] then
    registry.touch(channel)
    perform[what](channel, data, mark)
  else
    home.vacate(name)
    refused[name], refusing[from] = true, refused
    bus.tell(from, "channel.back", name, what, data, mark)
  end
end)

-- What was sent to FROM from here, which is not the home.
bus.on("channel.back", function(from, name, what, data, mark)
  local channel = registry.get(name)
  if channel.home == from then lose_home(channel) end
  local pending = channel.pending
  if not pending then return dropped:add() end
  pending.returned = pending.returned + 1
  table.insert(pending, pending.returned, { what, data, mark })
  pending.greets = pending.greets or what == "preamble"
end)

bus.on("channel.echo", function(from, name)
  if refusing[from] then refusing[from][name] = nil end
  bus.tell(from, "channel.echoed", name)
end)

local function echoed(from, name)
  local channel = registry.find(name)
  if not channel or not channel.pending or channel.pending.echo ~= from then return end
  channel.pending.echo = nil
  if channel.pending[1] then
    tasks.spawn(contend, name)
  else
    channel.pending = nil
    if channel.count > 0 then M.wanted(channel) end
  end
end

bus.on("channel.echoed", echoed)

bus.on("channel.not", function(from, name)
  local channel = at_home(from, name)
  if channel then lose_home(channel) end
end)

bus.on("channel.home", function(from, name, epoch)
  local channel = registry.find(name)
  if not channel or channel.replicas then return end
  if channel.home == from and (channel.joining or channel.epoch == epoch) then return end
  if channel.home then lose_home(channel) end
  channel.home = from
  if channel.count > 0 then replica.join(channel, true) end
end)

bus.on("channel.over", function(from, name, closed)
  local channel = at_home(from, name)
  if not channel then return end
  if channel.epoch then channel.log:finish() end
  lose_home(channel)
  if not closed then return end
  channel.own = nil
  channel:tell_closed()
end)

bus.on_worker(function(slot, _, up)
  if up then return end
  refusing[slot] = nil
  for name, channel in registry.each() do
    if channel.home == slot then lose_home(channel, true) end
    echoed(slot, name)
  end
end)

return M
