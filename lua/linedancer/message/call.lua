--- linedancer.message.call: a message that is answered.
--
-- The callee gets it from "ID#NUMBER", and answers that by reply(). Its worker remembers the calls that are open, so
-- that the end of a callee, or of its worker, ends them at once.
local answer = require "linedancer.message.answer"
local bus = require "linedancer.bus"
local codec = require "linedancer.codec"
local id = require "linedancer.id"
local mailbox = require "linedancer.mailbox"
local park = require "linedancer.park"
local release = require "linedancer.release"

local M = {}

local here, find, id_of = id.here, id.find, id.of
local TIMEOUT = 5 -- seconds

local count = 0
local pending = {} -- by from: { caller, slot = the callee's worker, answered_by = slot, done, value, why }
local calling = {} -- by caller: its from; a coroutine waits for one at a time
local serving = {} -- by from: the callee, here
local open = {} -- by callee: the set of its froms

local function unserve(from)
  local callee = serving[from]
  if not callee then return end
  serving[from] = nil
  open[callee][from] = nil
end

local function settle(call, why, value)
  if call.done then return end
  call.why, call.value = why, value
  answer.give(call, call.caller)
end

-- The worker of the caller that FROM names, which is another one and alive; else nil.
local function slot_of(from)
  local _, slot = find(from)
  return slot
end

-- The calls of a callee that has ended.
local function callee_ended(callee)
  local froms = open[callee]
  open[callee] = nil
  for from in pairs(froms) do
    serving[from] = nil
    local slot = not pending[from] and slot_of(from)
    if pending[from] then
      settle(pending[from], "gone")
    elseif slot then
      bus.tell(slot, "over", from, "gone")
    end
  end
end

local function serve(callee, from)
  local froms = open[callee]
  if not froms then
    froms = {}
    open[callee] = froms
    release.add(callee, callee_ended)
  end
  froms[from], serving[from] = true, callee
end

-- Nobody waits for FROM any more.
local function finish(from)
  local call = pending[from]
  pending[from], calling[call.caller] = nil, nil
  if not call.slot then
    unserve(from)
  elseif call.answered_by ~= call.slot then
    bus.tell(call.slot, "cancel", from)
  end
end

local function caller_ended(caller)
  if calling[caller] then finish(calling[caller]) end
end

park.on_give_up(caller_ended)

local function begin(caller, from, slot)
  local call = { caller = caller, slot = slot, done = false }
  caller_ended(caller) -- a call that could not wait, in a callback of a C function
  pending[from], calling[caller] = call, from
  release.add(caller, caller_ended)
  return call
end

-- Hand the call over: true; or nil and "full" or "gone". Raises for a message that cannot be sent.
local function hand_over(target, slot, to, from, message)
  if slot then
    local bytes, problem = bus.encode("call", id.plain(to), from, message)
    if problem then error(problem, 3) end
    return bus.post_bytes(slot, bytes)
  end
  local value, problem = codec.prepare(message)
  if problem then error(problem, 3) end
  if not target then return nil, "gone" end
  local ok, why = mailbox.deliver(target, from, value)
  if ok then serve(target, from) end
  return ok, why
end

--- Send MESSAGE to TO, an id or the table of a connection or task, and wait for what it replies, for at most TIMEOUT
-- seconds (default 5). Returns that value; or nil and "timeout", "full" or "gone", the last also when the callee ends
-- before it has replied. Raises `hook` where nothing may wait, and as send() does.
---@function ld.call
---@async
---@param to linedancer.Receiver whom
---@param message any a plain value
---@param timeout? number seconds
---@return any value what was replied
---@return string? why "timeout", "full" or "gone"
function M.call(to, message, timeout)
  timeout = timeout or TIMEOUT
  if type(timeout) ~= "number" or not (timeout >= 0 and timeout < math.huge) then
    error("seconds expected, got " .. tostring(timeout), 2)
  end
  local caller = park.waiting()
  local target, slot = find(to)
  count = count + 1
  local from = id_of(caller) .. "#" .. count
  local ok, problem = hand_over(target, slot, to, from, message)
  if not ok then return nil, problem end
  local call = begin(caller, from, slot)
  answer.await(call, timeout)
  finish(from)
  if not call.done then return nil, "timeout" end
  if call.why then return nil, call.why end
  return call.value
end

--- Answer the call that came from FROM with VALUE, from a hook or a coroutine. True, which to another worker means that
-- it is on its way; or nil and "gone" when nobody waits for it any more, "full" when it may be tried again.
---@function ld.reply
---@param from string as on_message or receive() got it
---@param value any a plain value
---@return true? ok
---@return string? why "gone" or "full"
function M.reply(from, value)
  local call = pending[from]
  if call and not call.done then
    local kept, problem = codec.prepare(value)
    if problem then error(problem, 2) end
    settle(call, nil, kept)
    return true
  end
  if type(from) ~= "string" or not from:find "#%d+$" then
    error("reply() answers the `from` of a call, not " .. tostring(from), 2)
  end
  local slot = slot_of(from)
  if not slot then return nil, "gone" end
  local bytes, problem = bus.encode("reply", from, value)
  if not bytes then error(problem, 2) end
  local ok, why = bus.post_bytes(slot, bytes)
  if ok then unserve(from) end
  return ok, why
end

bus.on("call", function(slot, to, from, message)
  local target, ok, why = here[to], nil, "gone"
  if target then ok, why = mailbox.deliver(target, from, message) end
  if ok then serve(target, from) else bus.tell(slot, "over", from, why) end
end)

bus.on("cancel", function(_, from) unserve(from) end)

-- CALL is known to be answered by the worker in SLOT.
local function answered(slot, from, why, value)
  local call = pending[from]
  if not call or call.done then return end
  call.answered_by = slot
  settle(call, why, value)
end

bus.on("reply", function(slot, from, value) answered(slot, from, nil, value) end)
bus.on("over", function(slot, from, why) answered(slot, from, why) end)

bus.on_worker(function(slot, _, up)
  if up then return end
  for _, call in pairs(pending) do
    if call.slot == slot then settle(call, "gone") end
  end
  for from in pairs(serving) do
    if id.parse(from) == slot then unserve(from) end
  end
end)

return M
