--- linedancer.topic: messages to whoever is interested.
--
-- A subscriber gets (from, message, topic) once, however many of its patterns match (see linedancer.topic.pattern). A
-- message that its mailbox has no room for is dropped and counted as `topic_dropped`. Workers tell each other which
-- patterns they have, and each gets one copy of a message for all its subscribers.
local api = require "linedancer.api"
local bus = require "linedancer.bus"
local codec = require "linedancer.codec"
local dropped = require("linedancer.counter").get "topic_dropped"
local errors = require "linedancer.errors"
local id_of = require("linedancer.id").of
local deliver = require("linedancer.mailbox").deliver
local current = require("linedancer.park").current
local order = require "linedancer.order"
local patterns = require "linedancer.topic.pattern"
local release = require "linedancer.release"
local trie = require("linedancer.topic.trie").new()

local M = {}

local W, alive = api.vm, api.struct.alive
local MAX_PATTERNS = 10000 -- of a connection
local BATCH = 500 -- patterns in a message between workers
local CACHED_MAX = 1000 -- topics

local mine = {} -- by connection: { count =, nodes = by pattern }
local theirs = {} -- by slot: nodes by pattern
local cached, cached_count = {}, 0 -- by topic: { conns = array, slots = array }

-- The subscribers have changed.
local function uncache()
  if cached_count > 0 then cached, cached_count = {}, 0 end
end

-- Tell another worker, or all when SLOT is nil, that LIST of patterns came or went.
local function announce(slot, kind, list)
  for first = 1, #list, BATCH do
    local batch = { unpack(list, first, math.min(first + BATCH - 1, #list)) }
    if slot then bus.tell(slot, kind, batch) else bus.broadcast(kind, batch) end
  end
end

local function remove(conn, list)
  local subscriptions, last = mine[conn], {}
  for _, pattern in ipairs(list) do
    local node = subscriptions.nodes[pattern]
    if node then
      subscriptions.nodes[pattern] = nil
      subscriptions.count = subscriptions.count - 1
      if trie:remove(node, conn) then last[#last + 1] = pattern end
    end
  end
  uncache()
  announce(nil, "unsubscribe", last)
end

local function remove_all(conn)
  local list = {}
  for pattern in pairs(mine[conn].nodes) do list[#list + 1] = pattern end
  remove(conn, list)
end

local function ended(conn)
  remove_all(conn)
  mine[conn] = nil
end

local subscriptions_of = release.lister(mine, "nodes", ended)

--- Have CONN, a connection or task of this worker, get what is published on topics that PATTERN matches, until it ends.
-- Nothing happens when it has ended. Raises `limit` for more than 10,000 patterns, 1024 bytes or 64 levels.
---@function conn:subscribe, task:subscribe
---@param pattern string levels separated by /; + is any one level, # at the end any number of them
---@raise limit
function M.subscribe(conn, pattern)
  local levels, problem = patterns.pattern(pattern)
  if not levels then error(problem, 2) end
  if alive(W, conn[1]) == 0 then return end
  local subscriptions = subscriptions_of(conn)
  if subscriptions.nodes[pattern] then return end
  if subscriptions.count >= MAX_PATTERNS then
    error(errors.new("limit", "a connection has at most " .. MAX_PATTERNS .. " patterns", conn), 2)
  end
  local node = trie:node(levels)
  subscriptions.nodes[pattern], subscriptions.count = node, subscriptions.count + 1
  uncache()
  if trie:add(node, conn) then announce(nil, "subscribe", { pattern }) end
end

--- Undo subscribe(); without PATTERN for all patterns of CONN. What has been queued already is still received.
---@function conn:unsubscribe, task:unsubscribe
---@param pattern? string as it was given to subscribe()
function M.unsubscribe(conn, pattern)
  if pattern ~= nil then
    local levels, problem = patterns.pattern(pattern)
    if not levels then error(problem, 2) end
  end
  if not mine[conn] then return end
  if pattern ~= nil then remove(conn, { pattern }) else remove_all(conn) end
end

local function find(topic, levels)
  local match = { conns = {}, slots = {} }
  for _, subscriber in ipairs(order.keys(trie:match(levels))) do
    local list = type(subscriber) == "number" and match.slots or match.conns
    list[#list + 1] = subscriber
  end
  if cached_count >= CACHED_MAX then uncache() end
  cached[topic], cached_count = match, cached_count + 1
  return match
end

local function deliver_all(conns, from, message, topic)
  local count = 0
  for i = 1, #conns do
    local ok, why = deliver(conns[i], from, message, topic)
    if ok then
      count = count + 1
    elseif why == "full" then
      dropped:add()
    end
  end
  return count
end

--- Send MESSAGE to all that subscribe to TOPIC, the publisher too if it does. Returns how many got it in this worker.
-- Raises an error for a message that cannot be sent, and for what is no topic.
---@function ld.publish
---@param topic string levels separated by /
---@param message any a plain value
---@return integer count connections and tasks of this worker that got it
---@raise limit
function M.publish(topic, message)
  local match = cached[topic]
  if not match then
    local levels, problem = patterns.topic(topic)
    if not levels then error(problem, 2) end
    match = find(topic, levels)
  end
  local value, problem = codec.prepare(message)
  if problem then error(problem, 2) end
  local sender = current()
  local from = sender and id_of(sender)
  if match.slots[1] then
    local bytes, refusal = bus.encode("publish", topic, from, value)
    if not bytes then error(refusal, 2) end
    for _, slot in ipairs(match.slots) do
      if not bus.post_bytes(slot, bytes) then dropped:add() end
    end
  end
  return deliver_all(match.conns, from, value, topic)
end

bus.on("publish", function(_, topic, from, message)
  local match = cached[topic]
  if not match then
    local levels, problem = patterns.topic(topic)
    if not levels then error(problem) end
    match = find(topic, levels)
  end
  deliver_all(match.conns, from, message, topic)
end)

bus.on("subscribe", function(slot, list)
  local nodes = theirs[slot] or {}
  theirs[slot] = nodes
  uncache()
  for _, pattern in ipairs(list) do
    local levels, problem = patterns.pattern(pattern)
    if not levels then error(problem) end
    nodes[pattern] = trie:node(levels)
    trie:add(nodes[pattern], slot)
  end
end)

bus.on("unsubscribe", function(slot, list)
  local nodes = theirs[slot]
  if not nodes then return end
  uncache()
  for _, pattern in ipairs(list) do
    local node = nodes[pattern]
    nodes[pattern] = nil
    if node then trie:remove(node, slot) end
  end
end)

-- Patterns that a connection of this worker has, each once.
local function all_patterns()
  local set, list = {}, {}
  for _, subscriptions in pairs(mine) do
    for pattern in pairs(subscriptions.nodes) do
      if not set[pattern] then list[#list + 1] = pattern end
      set[pattern] = true
    end
  end
  return list
end

bus.on_worker(function(slot, _, up)
  if up then return announce(slot, "subscribe", all_patterns()) end
  for _, node in pairs(theirs[slot] or {}) do trie:remove(node, slot) end
  theirs[slot] = nil
  uncache()
end)

return M
