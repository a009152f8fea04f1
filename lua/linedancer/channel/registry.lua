--- linedancer.channel.registry: the channels of this worker by name, and how long they live.
--
-- A name stands for one channel as long as that is followed, used, or referred to. One that nobody follows and nobody
-- has used for a minute or two is let go: it stays for those who refer to it, and else is collected with its log.
local alarm = require "linedancer.alarm"
local api = require "linedancer.api"
local bus = require "linedancer.bus"

local M = {}

local core = api.core

local SWEEP = 60 -- seconds
local DEFAULTS = { bytes = 4 * 2 ^ 20, items = 10000, merge = 0, places = "any" }

--- The class of channels; linedancer.channel adds its methods.
M.Channel = { __name = "linedancer.channel" }
M.Channel.__index = M.Channel

local known = setmetatable({}, { __mode = "v" })
local active = {} -- those that must stay
local swept = {} -- functions called at each sweep
local due = false

local function sweep()
  due = false
  local more = false
  for name, channel in pairs(active) do
    if channel.used or channel.count > 0 or channel:is_needed() then
      channel.used, more = false, true
    else
      active[name] = nil
      channel:let_go()
    end
  end
  for i = 1, #swept do more = swept[i]() or more end
  if more then M.arm() end
end

--- Have sweeps go on.
function M.arm()
  if due then return end
  due = true
  alarm.set(SWEEP, sweep)
end

--- Call FN at each sweep; it returns whether it wants another.
function M.on_sweep(fn) swept[#swept + 1] = fn end

--- CHANNEL is used: it stays.
function M.touch(channel)
  channel.used = true
  if active[channel.name] then return end
  active[channel.name] = channel
  M.arm()
end

--- The channel called NAME, if this worker has it.
function M.find(name) return known[name] end

--- The channel called NAME, made now if need be.
--
-- { name, log = the core's, limits = { bytes, items, merge, places }, followers = { [conn] = true }, count = theirs,
--   used = since the last sweep }
function M.get(name)
  local channel = known[name]
  if not channel then
    local limits = {}
    for key, value in pairs(DEFAULTS) do limits[key] = value end
    channel = setmetatable({
      name = name, limits = limits, log = core.channel(limits.bytes, limits.items, limits.merge, false),
      followers = {}, count = 0,
    }, M.Channel)
    known[name] = channel
  end
  M.touch(channel)
  return channel
end

--- A log of blobs that many connections follow.
---@class linedancer.Channel
---@field name string by which all workers know it

local OWN = { name = true, limits = true, log = true, followers = true, count = true }

-- Channels are what they were when they were new, but for their followers.
bus.on_reset(function()
  for _, channel in pairs(known) do
    for field in pairs(channel) do
      if not OWN[field] then channel[field] = nil end
    end
    channel.log:finish()
  end
  active = {}
end)

--- The limits of CHANNEL hold in its log here.
function M.limit(channel, limits)
  channel.log:limit(limits.bytes, limits.items, limits.merge, limits.places == "marks")
end

--- Iterate over the channels that are known: name, channel.
function M.each() return pairs(known) end

return M
