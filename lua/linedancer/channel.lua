--- linedancer.channel: logs of blobs that many connections follow, in all workers.
--
-- A publish is written once into the channel's log; each follower is sent everything from its place on, whole blobs and
-- in order, as fast as it takes them. A newcomer gets the preamble, and then the log from the newest mark, or, without
-- one, what comes. One that falls off the log, or is over its lag behind, loses its place, as its policy says.
--
-- Followers stay when a publisher closes the channel, and have the next one's preamble and blobs.
local api = require "linedancer.api"
local bus = require "linedancer.bus"
local bytes = require "linedancer.bytes"
local counter = require "linedancer.counter"
local errors = require "linedancer.errors"
local mailbox = require "linedancer.mailbox"
local registry = require "linedancer.channel.registry"
local release = require "linedancer.release"
local suggest = require "linedancer.suggest"

local M = {}

local W, status, leaf = api.vm, api.status, api.struct
local set_arg = bytes.set_arg
local Channel = registry.Channel

local NAME_MAX, BLOB_MAX, PREAMBLE_VALUES = 240, 8 * 2 ^ 20, 4096
local POLICIES = { skip = 0, drop = 1, close = 2 }
local following = {} -- by connection: its channels, in the order in which it began

local spread -- how channels span workers; nil in a single process

local function take_place()
  spread = bus.slot > 0 and require "linedancer.channel.spread" or nil
end

take_place()
bus.on_reset(take_place)

local function number(opts, key, low, high)
  local n = opts[key]
  if n == nil then return nil end
  if type(n) ~= "number" or not (n >= low and n <= high) then
    error(("%s: a number from %g to %g expected, got %s"):format(key, low, high, tostring(n)), 4)
  end
  return n
end

local function check_keys(opts, known)
  if type(opts) ~= "table" then error("a table of options expected, got " .. type(opts), 4) end
  for key in pairs(opts) do
    local found = false
    for i = 1, #known do found = found or known[i] == key end
    if not found then
      error(("no option is called '%s'%s"):format(tostring(key), suggest.hint(tostring(key), known)), 4)
    end
  end
end

--- Options of ld.channel().
---@class linedancer.ChannelOptions
---@field bytes? integer that its log keeps at most (4 MB, up to 1 GB)
---@field items? integer blobs that its log keeps at most (10,000, up to 2^24)
---@field merge? number seconds that blobs wait to be sent together (0, up to 60)
---@field places? "any"|"marks" where newcomers may begin ("any")

--- Options of conn:follow().
---@class linedancer.FollowOptions
---@field lag? number bytes that it may be behind (any)
---@field policy? "skip"|"drop"|"close" what happens when it is more, or falls off the log ("skip")
---@field add? boolean follow it besides what is followed already

--- Where a follower is.
---@class linedancer.Place
---@field channel string name of the channel
---@field behind integer bytes that are still to be sent
---@field sent integer bytes that were
---@field skipped integer times that it lost its place
---@field lost integer blobs that it missed so
---@field waiting boolean whether it waits for a mark

--- What channel:stats() returns, of this worker.
---@class linedancer.ChannelStats
---@field items integer blobs in the log
---@field bytes integer in the log
---@field followers integer connections
---@field published integer blobs, ever
---@field skipped integer times that followers lost their places
---@field dropped integer times that followers dropped blobs
---@field closed integer followers that were closed
---@field lost integer blobs that followers passed over
---@field tail integer number of the oldest blob
---@field head integer number of the next blob
---@field home? integer worker where the channel has its home

local function set_limits(channel, opts)
  check_keys(opts, { "bytes", "items", "merge", "places" })
  local limits = channel.limits
  limits.bytes = number(opts, "bytes", 1, 2 ^ 30) or limits.bytes
  limits.items = number(opts, "items", 1, 2 ^ 24) or limits.items
  limits.merge = number(opts, "merge", 0, 60) or limits.merge
  limits.places = opts.places or limits.places
  if limits.places ~= "any" and limits.places ~= "marks" then
    error("places: 'any' or 'marks' expected, got " .. tostring(opts.places), 3)
  end
  if not spread or spread.is_home(channel) then registry.limit(channel, limits) end
end

--- The channel called NAME: the same object for the same name. OPTS: bytes (4 MB) and items (10,000) that its log keeps
-- at most, merge (0): seconds that blobs wait to be sent together; places: "any", or "marks": nobody begins but at a
-- mark, and who finds none, or loses its place, waits for the next one. The options last given in the worker where the
-- channel has its home hold; elsewhere they are for when it moves there.
---@function ld.channel
---@param name string 1 to 240 bytes
---@param opts? linedancer.ChannelOptions what its log keeps
---@return linedancer.Channel channel
function M.get(name, opts)
  if type(name) ~= "string" or #name < 1 or #name > NAME_MAX then
    error(("a channel's name has 1 to %d bytes"):format(NAME_MAX), 2)
  end
  local channel = registry.get(name)
  if opts ~= nil then set_limits(channel, opts) end
  return channel
end

local function check(channel, st)
  if st == 0 then return end
  local message
  if st == status.LIMIT then
    message = ("channel '%s' keeps at most %d bytes"):format(channel.name, channel.limits.bytes)
  end
  error(errors.new(status[st], message), 3)
end

-- DATA, when its size is within what can be sent to another worker.
local function sized(data)
  if type(data) == "number" then return tostring(data) end
  if type(data) ~= "string" and not bytes.is(data) then
    error("bytes expected (a string, slice, buffer or blob), got " .. type(data), 3)
  end
  if #data > BLOB_MAX then
    error(errors.new("limit", ("a blob of a channel has at most %d bytes"):format(BLOB_MAX)), 3)
  end
  return data
end

--- Append DATA (a string, slice, buffer or blob) as one blob; with MARK, newcomers start there. Empty data with MARK
-- sets one on what comes next. True; or nil and "full" when it has to go to another worker whose queue is full. Raises
-- `limit` when the log could not hold it, or it has more than 8 MB.
---@function channel:publish
---@param data linedancer.Data|number one blob, of at most 8 MB
---@param mark? boolean newcomers may begin here
---@return true? ok
---@return string? why "full"
---@raise limit
function Channel:publish(data, mark)
  registry.touch(self)
  data = sized(data)
  if spread then return spread.act(self, "publish", spread.is_home(self) and data or tostring(data), mark and true) end
  self:append(data, mark)
  return true
end

-- Append to the log of this worker; raises as publish() does.
function Channel:append(data, mark)
  set_arg(0, data, 2)
  check(self, self.log:publish(1, mark))
end

-- Set the preamble of the log of this worker.
function Channel:greet(data)
  set_arg(0, data, 2)
  check(self, self.log:preamble(1))
end

--- What newcomers are sent first: all the values together, each a string, slice, buffer or blob; none for no preamble.
-- Who follows already gets it only when it skips past this change, or has got nothing yet.
---@function channel:preamble
---@param ... linedancer.Data|number its parts
---@raise limit
function Channel:preamble(...)
  local count, parts = select("#", ...), {}
  if count > PREAMBLE_VALUES then error("too many values: use a buffer", 2) end
  registry.touch(self)
  for i = 1, count do parts[i] = tostring(sized((select(i, ...)))) end
  local text = sized(table.concat(parts))
  if spread then spread.greet(self, text) else self:greet(text) end
end

--- Tell the followers here that the publisher has gone: a message { closed = name } from nobody.
function Channel:tell_closed()
  for conn in pairs(self.followers) do
    if not mailbox.deliver(conn, nil, { closed = self.name }) then counter.get("channel_notices_dropped"):add() end
  end
end

--- End what was published: followers get what they have not read yet and a message { closed = name }, and stay for who
-- publishes next. The preamble and the marks are gone.
---@function channel:close
function Channel:close()
  registry.touch(self)
  if spread then return spread.close(self) end
  self.log:finish()
  self:tell_closed()
end

--- What the log of this worker has from its newest mark on, oldest first: an array of { a string, is it a mark }.
---@function channel:recent
---@return table[] entries
function Channel:recent()
  local list, _, head, first = {}, self.log:range()
  for i = first, head - 1 do list[#list + 1] = { self.log:entry(i) } end
  return list
end

--- Numbers of the channel in this worker: items, bytes in its log; tail, head: numbers of its oldest and its next blob;
-- followers, published; how often followers skipped, dropped blobs, were closed; lost: blobs that they passed over so.
---@function channel:stats
---@return linedancer.ChannelStats stats
function Channel:stats()
  local stats = self.log:stats()
  stats.home = spread and self.home or nil
  return stats
end

-- Must it stay though nobody follows it here?
function Channel:is_needed() return spread ~= nil and spread.is_needed(self) end

-- It is not used any more.
function Channel:let_go()
  if spread then spread.let_go(self) end
end

local function leave(conn, channel)
  local list = following[conn]
  for i = #list, 1, -1 do
    if list[i] == channel then table.remove(list, i) end
  end
  if not list[1] then following[conn] = nil end
  channel.followers[conn] = nil
  channel.count = channel.count - 1
  channel.used = true
end

local function leave_all(conn)
  while following[conn] do leave(conn, following[conn][1]) end
end

local function join(conn, channel)
  following[conn] = following[conn] or {}
  table.insert(following[conn], channel)
  channel.followers[conn] = true
  channel.count = channel.count + 1
  release.add(conn, leave_all)
  if spread then spread.wanted(channel) end
end

--- Have CONN follow CHANNEL (or the one of that name) instead of what it followed, or, with add = true in OPTS, besides
-- it: at most 16, whose blobs come whole and in no order among channels. OPTS: lag, the bytes that it may be
-- behind (any number that the log holds); policy, when it is more or falls off the log: "skip" (to the newest mark, or
-- the end; the default), "drop" (what is over its lag), "close" (the connection, with the reason "lag"). Following the
-- same channel again only sets these. Nothing happens when CONN has ended. Returns the channel.
---@function conn:follow
---@param channel linedancer.Channel|string it, or its name
---@param opts? linedancer.FollowOptions how
---@return linedancer.Channel channel
---@raise limit
function M.follow(conn, channel, opts)
  if getmetatable(channel) ~= Channel then channel = M.get(channel) end
  opts = opts or {}
  check_keys(opts, { "lag", "policy", "add" })
  local lag, policy = number(opts, "lag", 0, 2 ^ 53) or math.huge, POLICIES[opts.policy or "skip"]
  if not policy then error("policy: 'skip', 'drop' or 'close' expected, got " .. tostring(opts.policy), 2) end
  if leaf.alive(W, conn[1]) == 0 then return channel end
  registry.touch(channel)
  local st = channel.log:follow(conn[1], lag, policy, opts.add)
  if st == status.CLOSED then return channel end
  if st == status.LIMIT then error(errors.new("limit", "a connection follows too many channels", conn), 2) end
  if st ~= 0 then error(errors.new(status[st], nil, conn), 2) end
  local known = channel.followers[conn]
  for _, other in ipairs(opts.add and {} or { unpack(following[conn] or {}) }) do
    if other ~= channel then leave(conn, other) end
  end
  if not known then join(conn, channel) end
  return channel
end

--- Have CONN follow CHANNEL no more, or, without one, nothing. A blob that it was sent in part still goes out whole.
---@function conn:unfollow
---@param channel? linedancer.Channel which one
function M.unfollow(conn, channel)
  for _, known in ipairs { unpack(following[conn] or {}) } do
    if not channel or known == channel then
      known.log:unfollow(conn[1])
      leave(conn, known)
    end
  end
end

--- Where CONN is in CHANNEL, or, without one, in that which it has followed longest: { channel = its name, behind =
-- bytes that it has still to be sent, sent = bytes of it that were, skipped = times that it lost its place, lost =
-- blobs that it missed so, waiting = true while it waits for a mark }. Nil when it does not follow it. What was sent
-- may still be in conn.unsent.
---@function conn:following
---@param channel? linedancer.Channel which one
---@return linedancer.Place? place
function M.following(conn, channel)
  channel = channel or following[conn] and following[conn][1]
  local place = channel and channel.log:place(conn[1])
  if place then place.channel = channel.name end
  return place
end

return M
