--- linedancer.topic.trie: who subscribes to which pattern, to be found by topic.
--
-- A node is a level of patterns: { pattern, subscribers = set, local_count, children = by level, child_count, parent,
-- level }. A subscriber is anything; those that are no numbers are counted as local.
local order = require "linedancer.order"

local M = {}

local Trie = {}
Trie.__index = Trie

local function new_node(parent, level)
  return { parent = parent, level = level, subscribers = {}, local_count = 0, children = {}, child_count = 0 }
end

function M.new()
  return setmetatable({ root = new_node() }, Trie)
end

--- The node of the pattern with LEVELS, made if need be.
function Trie:node(levels)
  local node = self.root
  for i = 1, #levels do
    local child = node.children[levels[i]]
    if not child then
      child = new_node(node, levels[i])
      node.children[levels[i]] = child
      node.child_count = node.child_count + 1
    end
    node = child
  end
  return node
end

--- Add SUBSCRIBER to NODE. Returns whether it is the first local one.
function Trie.add(_, node, subscriber)
  if node.subscribers[subscriber] then return false end
  node.subscribers[subscriber] = order.next()
  if type(subscriber) == "number" then return false end
  node.local_count = node.local_count + 1
  return node.local_count == 1
end

local function prune(node)
  while node.parent and node.child_count == 0 and not next(node.subscribers) do
    local parent = node.parent
    parent.children[node.level] = nil
    parent.child_count = parent.child_count - 1
    node = parent
  end
end

--- Remove SUBSCRIBER, which NODE has. Returns whether it was the last local one. An unused node is gone.
function Trie.remove(_, node, subscriber)
  node.subscribers[subscriber] = nil
  local was_local = type(subscriber) ~= "number"
  if was_local then node.local_count = node.local_count - 1 end
  prune(node)
  return was_local and node.local_count == 0
end

local function take(node, found)
  for subscriber, number in pairs(node.subscribers) do found[subscriber] = number end
end

local function collect(node, levels, i, found)
  local children = node.children
  local plain = i > 1 or levels[1]:byte(1) ~= 36 -- no leading wildcard stands for "$..."
  local rest = plain and children["#"]
  if rest then take(rest, found) end
  if i > #levels then return take(node, found) end
  local one = plain and children["+"]
  if one then collect(one, levels, i + 1, found) end
  local same = children[levels[i]]
  if same then collect(same, levels, i + 1, found) end
end

--- The set (of linedancer.order) of those whose patterns match the topic with LEVELS.
function Trie:match(levels)
  local found = {}
  collect(self.root, levels, 1, found)
  return found
end

return M
