--- linedancer.message.watch: being told when a connection or task has ended.
--
-- The watcher gets { down = id, reason = text } from that id, once. Another worker is asked once for each id, however
-- many watch it here.
local bus = require "linedancer.bus"
local errors = require "linedancer.errors"
local id = require "linedancer.id"
local notice = require "linedancer.message.notice"
local order = require "linedancer.order"
local park = require "linedancer.park"
local release = require "linedancer.release"

local M = {}

local here, find, id_of = id.here, id.find, id.of
local MAX = 10000 -- ids that one connection may watch

local watchers = {} -- by target, here: the set of who watches it, connections of this worker and slots of others
local remote = {} -- by id: { slot =, watchers = the set of connections of this worker }
local watching = {} -- by watcher: { count =, targets = by id: the target, here, or its entry in remote }

local function tell_down(watcher, target_id, reason)
  notice.give(watcher, target_id, { down = target_id, reason = reason })
end

local function forget_target(watcher, target_id)
  local list = watching[watcher]
  list.targets[target_id] = nil
  list.count = list.count - 1
end

-- A target that lives here has ended.
local function target_ended(target, reason)
  local set, target_id = watchers[target], id_of(target)
  watchers[target] = nil
  for _, watcher in ipairs(order.keys(set or {})) do
    if type(watcher) == "number" then
      bus.tell(watcher, "down", target_id, reason)
    else
      forget_target(watcher, target_id)
      tell_down(watcher, target_id, reason)
    end
  end
end

local function add_watcher(target, watcher)
  local set = watchers[target]
  if not set then
    set = {}
    watchers[target] = set
    release.add(target, target_ended)
  end
  set[watcher] = order.next()
end

local function remove_watcher(target, watcher)
  local set = watchers[target]
  if not set then return end
  set[watcher] = nil
  if not next(set) then watchers[target] = nil end
end

local function add_remote(target_id, slot, watcher)
  local entry = remote[target_id]
  if not entry then
    entry = { slot = slot, watchers = {} }
    remote[target_id] = entry
    bus.tell(slot, "watch", target_id)
  end
  entry.watchers[watcher] = order.next()
  return entry
end

local function unwatch(watcher, target_id, target)
  forget_target(watcher, target_id)
  if remote[target_id] ~= target then return remove_watcher(target, watcher) end
  target.watchers[watcher] = nil
  if next(target.watchers) then return end
  remote[target_id] = nil
  bus.tell(target.slot, "unwatch", target_id)
end

local function watcher_ended(watcher)
  for target_id, target in pairs(watching[watcher].targets) do unwatch(watcher, target_id, target) end
  watching[watcher] = nil
end

local list_of = release.lister(watching, "targets", watcher_ended)

local function current()
  local watcher = park.current()
  if not watcher then error("only a connection or task can watch another", 3) end
  return watcher
end

--- Have the running connection or task get { down = id, reason = text } when what TO stands for, an id or the table of
-- a connection or task, has ended; at once, with reason "gone", if it has already. For the end of a whole worker the
-- reason is "worker died". Raises `limit` for more than 10,000 at a time.
---@function ld.watch
---@param to linedancer.Receiver whom
---@raise limit
function M.watch(to)
  local watcher = current()
  local target, slot = find(to)
  local target_id = type(to) == "table" and id_of(to) or id.plain(to)
  if not target and not slot then return tell_down(watcher, target_id, "gone") end
  local list = list_of(watcher)
  if list.targets[target_id] then return end
  if list.count >= MAX then error(errors.new("limit", "a connection watches at most " .. MAX .. " others"), 2) end
  list.count = list.count + 1
  if target then
    list.targets[target_id] = target
    add_watcher(target, watcher)
  else
    list.targets[target_id] = add_remote(target_id, slot, watcher)
  end
end

--- Undo watch(). What has been queued already is still received.
---@function ld.unwatch
---@param to linedancer.Receiver whom
function M.unwatch(to)
  local watcher = current()
  find(to) -- raises for what is no id
  local target_id = type(to) == "table" and id_of(to) or id.plain(to)
  local list = watching[watcher]
  local target = list and list.targets[target_id]
  if target then unwatch(watcher, target_id, target) end
end

bus.on("watch", function(slot, target_id)
  local target = here[target_id]
  if target then add_watcher(target, slot) else bus.tell(slot, "down", target_id, "gone") end
end)

bus.on("unwatch", function(slot, target_id)
  local target = here[target_id]
  if target then remove_watcher(target, slot) end
end)

local function remote_ended(target_id, entry, reason)
  remote[target_id] = nil
  for _, watcher in ipairs(order.keys(entry.watchers)) do
    forget_target(watcher, target_id)
    tell_down(watcher, target_id, reason)
  end
end

bus.on("down", function(slot, target_id, reason)
  local entry = remote[target_id]
  if entry and entry.slot == slot then remote_ended(target_id, entry, reason) end
end)

bus.on_worker(function(slot, _, up)
  if up then return end
  for target_id, entry in pairs(remote) do
    if entry.slot == slot then remote_ended(target_id, entry, "worker died") end
  end
  for target in pairs(watchers) do remove_watcher(target, slot) end
end)

return M
