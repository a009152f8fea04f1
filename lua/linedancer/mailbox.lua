--- linedancer.mailbox: the messages of connections and tasks, and their timers.
--
-- A message goes to a pending receive() or wait(), else to on_message, else it stays. Hooks are called whenever the
-- coroutine waits, and at every transition, before the next frame: messages first, oldest first, at most one
-- mailbox-full, then timers, then on_drain. A box holds at most limits.mailbox messages, postponed ones included.
--
-- conn[5] is the box: [first..last] = { from, message, topic }, kept = { postponed... }, kept_in = their state,
-- receiving = true while the coroutine waits for a message, due = timers { name, value }... that have gone off, left =
-- seconds for on_drain.
local api = require "linedancer.api"
local errors = require "linedancer.errors"
local migrate = require "linedancer.migrate"
local park = require "linedancer.park"
local shape = require "linedancer.shape"
local suggest = require "linedancer.suggest"

local M = {}

local W, core, leaf = api.vm, api.core, api.struct
local alive, tell, unpark, consumed = leaf.alive, leaf.tell, leaf.unpark, leaf.consumed
local MAIL, MOVED, POSTPONED = api.MAIL, api.MOVED, api.POSTPONED

--- What on_message returns to have the message again when the state has changed.
---@class linedancer.Postpone
M.postpone = setmetatable({}, { __tostring = function() return "ld.postpone" end })

local spare, spare_count, SPARE_MAX = {}, 0, 1000

local function box_of(conn)
  local box = conn[5]
  if not box then
    box = { first = 1, last = 0, kept = {}, due = {} }
    conn[5] = box
  end
  return box
end

M.box_of = box_of

--- Queue MESSAGE for CONN, a connection or task of this worker. True; or nil and "gone" or "full".
function M.deliver(conn, from, message, topic)
  local handle = conn[1]
  if alive(W, handle) == 0 then return nil, "gone" end
  local box, machine = conn[5] or box_of(conn), conn.machine
  if box.last - box.first + 1 + #box.kept >= machine.limits.mailbox then return nil, "full" end
  local entry
  if spare_count > 0 then
    entry = spare[spare_count]
    spare_count = spare_count - 1
    entry[1], entry[2], entry[3] = from, message, topic
  else
    entry = { from, message, topic }
  end
  local last = box.last + 1
  box.last = last
  box[last] = entry
  if box.receiving then
    unpark(W, handle)
  elseif machine.on_message then
    tell(W, handle, MAIL)
  end
  return true
end

--- The oldest message of BOX: from, message, topic; nil when there is none.
function M.take(box)
  local first = box.first
  if first > box.last then return nil end
  local entry = box[first]
  box[first] = nil
  box.first = first + 1
  if first == box.last then box.first, box.last = 1, 0 end
  local from, message, topic = entry[1], entry[2], entry[3]
  if spare_count < SPARE_MAX then
    spare_count = spare_count + 1
    spare[spare_count] = entry
    entry[1], entry[2], entry[3] = false, false, false
  end
  return from, message, topic
end

-- Messages that were postponed in a state that has been left come first again.
local function unpostpone(conn, box)
  local kept = box.kept
  local count = #kept
  if count == 0 then return end
  if conn.state == box.kept_in then return tell(W, conn[1], POSTPONED) end
  for i = count, 1, -1 do
    box.first = box.first - 1
    box[box.first] = kept[i]
  end
  box.kept = {}
end

local function postpone(conn, box, from, message, topic)
  box.kept[#box.kept + 1] = { from, message, topic }
  box.kept_in = conn.state
  tell(W, conn[1], POSTPONED)
end

-- An error in a hook, with where it was.
local function explain(err)
  return { err, debug.traceback("", 2) }
end

local function check_state(machine, name)
  if name == M.postpone then error("ld.postpone is for messages: only on_message returns it", 0) end
  if type(name) ~= "string" then
    error(("a hook returned %s: it returns the name of a state, ld.postpone, or nothing"):format(
      shape.describe(name)), 0)
  end
  if not machine.states[name] then
    error(("a hook returned '%s', which is no state%s"):format(name, suggest.hint(name, machine.names)), 0)
  end
end

park.on_give_up(function(conn)
  if conn[5] then conn[5].receiving = false end
  conn[7] = nil
end)

-- A hook named the state NAME: "moved" when the change is now, else nil: it is for when the state returns.
local function move(conn, name, ...)
  if select("#", ...) > 7 then error("a hook returned more than 7 values for the next state: use a table", 0) end
  if consumed(W, conn[1]) == 0 then
    park.give_up(conn)
    tell(W, conn[1], MAIL)
    return "moved", name, ...
  end
  conn[7] = { name, ... }
  tell(W, conn[1], MOVED)
end

-- A hook raised ERR. If on_error goes on, the rest is heard.
local function failed(conn, err, traceback)
  tell(W, conn[1], MAIL)
  return "failed", err, traceback
end

-- What a hook returned, after xpcall: "failed" or "moved" with what goes with it, or nil.
local function outcome(conn, ok, name, ...)
  if not ok then return failed(conn, name[1], name[2]) end
  if name == nil then return nil end
  local fine, err = pcall(check_state, conn.machine, name)
  if not fine then return failed(conn, err, "") end
  return move(conn, name, ...)
end

-- After on_message: the same, but for a message that is postponed.
local function heard(conn, from, message, topic, ok, name, ...)
  if name ~= M.postpone then return outcome(conn, ok, name, ...) end
  postpone(conn, conn[5], from, message, topic)
end

local function call_on_message(conn, fn, from, message, topic)
  return heard(conn, from, message, topic, xpcall(fn, explain, conn, from, message, topic))
end

-- The hook for messages in CONN's state; none means that they stay.
local function hook_of(conn)
  local hook = conn.machine.on_message
  if type(hook) == "table" then return hook[conn.state] end
  return hook
end

local function timers(conn, box)
  local on_timer = conn.machine.on_timer
  while box.due[1] and alive(W, conn[1]) == 1 do
    local timer = table.remove(box.due, 1)
    local what, a, b, c, d, e, f, g, h = outcome(conn, xpcall(on_timer, explain, conn, timer[1], timer[2]))
    if what then return what, a, b, c, d, e, f, g, h end
  end
  local left = box.left
  if not left or alive(W, conn[1]) == 0 then return end
  box.left = nil
  return outcome(conn, xpcall(conn.machine.on_drain, explain, conn, left))
end

-- The core calls it when CONN has news and its coroutine waits. Returns nothing, or "failed" and an error with its
-- traceback, or "moved" and a state to be entered at once, with values.
local function news(conn)
  local box = conn[5]
  if conn.machine.successor and migrate.may_move(conn) then
    if box then tell(W, conn[1], MAIL) end
    return "moved", conn.state
  end
  if not box then return end
  unpostpone(conn, box)
  local budget = conn.machine.limits.mailbox
  while box.first <= box.last and not box.receiving and budget > 0 do
    local hook = hook_of(conn)
    if not hook then
      box.kept_in = conn.state
      tell(W, conn[1], POSTPONED) -- another state may have a hook for them
      break
    end
    budget = budget - 1
    local what, a, b, c, d, e, f, g, h = call_on_message(conn, hook, M.take(box))
    if what then return what, a, b, c, d, e, f, g, h end
    if alive(W, conn[1]) == 0 then return end
  end
  if box.receiving and box.first <= box.last then unpark(W, conn[1]) end
  return timers(conn, box)
end

core.boot { news = news }

--- A timer of CONN called NAME has gone off.
function M.timer(conn, name, value)
  local box = box_of(conn)
  box.due[#box.due + 1] = { name, value }
  tell(W, conn[1], MAIL)
end

--- The timer of CONN called NAME has not gone off after all.
function M.untimer(conn, name)
  local due = conn[5] and conn[5].due or {}
  for i = #due, 1, -1 do
    if due[i][1] == name then table.remove(due, i) end
  end
end

--- The gateway drains, and gives up in SECONDS: CONN's on_drain is told.
function M.drain(conn, seconds)
  box_of(conn).left = seconds
  tell(W, conn[1], MAIL)
end

--- Wait for a message, for at most SECONDS (nil: for as long as it takes): from, message, topic; nil at the time.
-- While a coroutine receives, messages do not go to on_message.
---@function ld.receive
---@async
---@param seconds? number at most
---@return string? from id of the sender; nil at the time, and for what nobody sent
---@return any message
---@return string? topic
---@raise range
function M.receive(seconds)
  local conn = park.waiting()
  local box = box_of(conn)
  if box.first <= box.last then return M.take(box) end
  if seconds ~= nil and (type(seconds) ~= "number" or seconds ~= seconds or seconds < 0) then
    error(errors.new("range", "seconds expected, got " .. tostring(seconds)), 2)
  end
  local till = seconds and tonumber(leaf.now(W)) + seconds
  box.receiving = true
  repeat
    local left = till and till - tonumber(leaf.now(W))
    local woken = park.sleep(left and math.max(left, 0))
  until box.first <= box.last or not woken
  box.receiving = false
  return M.take(box)
end

return M
