--- linedancer.bus: messages between the parts of linedancer in different workers.
--
-- A message has a kind and plain values. What a worker sends to another arrives in order, as long as both live.
-- post() may find the queue full, and says so; tell() and broadcast() are for what must not be lost: they keep it and
-- try again. Nothing here raises because of what came in.
local alarm = require "linedancer.alarm"
local api = require "linedancer.api"
local codec = require "linedancer.codec"
local log = require "linedancer.log"
local seat = require "linedancer.seat"

local core = api.core
local own_slot, own_incarnation = core.worker()

--- This worker: its slot, from 1, and the how-manieth worker in it; zeros in a single process.
local M = { slot = own_slot, incarnation = own_incarnation }

local RETRY = 0.01 -- seconds until a full queue is tried again
local KEPT_MAX, HELD_MAX = 100000, 10000 -- messages
local ARGUMENTS = 8 -- values of a message, besides its kind

local living = {} -- incarnation by slot, of the other workers
local buried = {} -- the last incarnation that is gone, by slot
local kept = {} -- by slot: { first, last, [i] = bytes } that tell() could not post
local held = {} -- by slot: { incarnation =, [i] = bytes } of workers that are not known yet
local handlers, controls, watchers, resets = {}, {}, {}, {}

--- Call FN(from_slot, ...) with the values of messages of KIND, at most eight.
function M.on(kind, fn) handlers[kind] = fn end

--- Call FN(bytes) with the supervisor's messages that begin with LETTER.
function M.on_control(letter, fn) controls[letter] = fn end

--- Call FN(slot, incarnation, up) for each other worker that lives now, and whenever one is ready or gone.
function M.on_worker(fn)
  watchers[#watchers + 1] = fn
  for slot, incarnation in pairs(living) do fn(slot, incarnation, true) end
end

--- Is this incarnation of the worker in SLOT, another one, alive?
function M.is_living(slot, incarnation) return living[slot] == incarnation end

--- The slots of the other workers that live, in order.
function M.workers()
  local slots = {}
  for slot in pairs(living) do slots[#slots + 1] = slot end
  table.sort(slots)
  return slots
end

--- A message of KIND as bytes for post_bytes(); or nil and why its values cannot be sent.
M.encode = codec.encode

--- Send BYTES to the worker in SLOT: true; or nil and "full" or "gone".
function M.post_bytes(slot, bytes)
  if not living[slot] then return nil, "gone" end
  if kept[slot] or not core.post(slot, bytes) then return nil, "full" end
  return true
end

--- Send a message to the worker in SLOT: true; or nil and "full" or "gone". Raises when a value cannot be sent.
function M.post(slot, kind, ...)
  local bytes, problem = codec.encode(kind, ...)
  if not bytes then error(problem, 2) end
  return M.post_bytes(slot, bytes)
end

local function post_kept(slot)
  local queue = kept[slot]
  if not queue then return end
  while queue.first <= queue.last do
    if not core.post(slot, queue[queue.first]) then
      alarm.set(RETRY, post_kept, slot)
      return
    end
    queue[queue.first] = nil
    queue.first = queue.first + 1
  end
  kept[slot] = nil
end

local function keep(slot, bytes)
  local queue = kept[slot]
  if not queue then
    queue = { first = 1, last = 0 }
    kept[slot] = queue
    alarm.set(RETRY, post_kept, slot)
  end
  if queue.last - queue.first + 1 >= KEPT_MAX then
    log.error("bus message lost", { worker = slot, kept = KEPT_MAX })
    return
  end
  queue.last = queue.last + 1
  queue[queue.last] = bytes
end

local function tell_bytes(slot, bytes)
  if not living[slot] then return end
  if kept[slot] or not core.post(slot, bytes) then keep(slot, bytes) end
end

--- Send a message to the worker in SLOT, later if the queue is full. Nothing happens when there is no such worker.
function M.tell(slot, kind, ...)
  if not living[slot] then return end
  local bytes, problem = codec.encode(kind, ...)
  if not bytes then error(problem, 2) end
  tell_bytes(slot, bytes)
end

--- The same, to all other workers.
function M.broadcast(kind, ...)
  if not next(living) then return end
  local bytes, problem = codec.encode(kind, ...)
  if not bytes then error(problem, 2) end
  for slot in pairs(living) do tell_bytes(slot, bytes) end
end

-- Arguments are passed one by one: LuaJIT 2.1 of 2022 now and then loses some of a list of many lengths that goes
-- through several functions.
local function take(slot, bytes)
  local list, count = codec.decode_list(bytes)
  local fn = handlers[list[1]]
  if not fn then error("no message is of the kind " .. tostring(list[1])) end
  if count > ARGUMENTS + 1 then error("a message of the bus has too many values") end
  fn(slot, list[2], list[3], list[4], list[5], list[6], list[7], list[8], list[9])
end

local function dispatch(slot, bytes)
  local ok, err = xpcall(take, debug.traceback, slot, bytes)
  if not ok then log.error("bus message dropped", { from = slot, error = err }) end
end

-- What a worker posts may overtake the supervisor's word that it lives. It waits for that word.
local function hold(slot, incarnation, bytes)
  if incarnation <= (living[slot] or buried[slot] or -1) then return end
  local queue = held[slot]
  if not queue or queue.incarnation ~= incarnation then
    queue = { incarnation = incarnation }
    held[slot] = queue
  end
  if #queue < HELD_MAX then
    queue[#queue + 1] = bytes
  else
    log.error("bus message lost", { from = slot, held = HELD_MAX })
  end
end

local function on_message(slot, incarnation, bytes)
  if living[slot] ~= incarnation then return hold(slot, incarnation, bytes) end
  dispatch(slot, bytes)
end

local function tell_watchers(slot, incarnation, up)
  for i = 1, #watchers do
    local ok, err = xpcall(watchers[i], debug.traceback, slot, incarnation, up)
    if not ok then log.error("bus watcher failed", { worker = slot, error = err }) end
  end
end

local function down(slot, incarnation)
  if (buried[slot] or -1) < incarnation then buried[slot] = incarnation end
  if held[slot] and held[slot].incarnation <= incarnation then held[slot] = nil end
  if living[slot] ~= incarnation then return end
  living[slot], kept[slot] = nil, nil
  tell_watchers(slot, incarnation, false)
end

local function up(slot, incarnation)
  if living[slot] == incarnation or incarnation <= (buried[slot] or -1) then return end
  if living[slot] then down(slot, living[slot]) end
  living[slot] = incarnation
  tell_watchers(slot, incarnation, true)
  local queue = held[slot]
  held[slot] = nil
  for i = 1, queue and queue.incarnation == incarnation and #queue or 0 do dispatch(slot, queue[i]) end
end

M.on_control("W", function(message)
  local slot, incarnation, is_up = seat.read(message, 2, 2), seat.read(message, 4, 4), seat.read(message, 8, 1)
  if slot == own_slot then return end
  if is_up == 1 then up(slot, incarnation) else down(slot, incarnation) end
end)

local function on_control(message)
  local fn = controls[message:sub(1, 1)]
  if not fn then return end
  local ok, err = xpcall(fn, debug.traceback, message)
  if not ok then log.error("supervisor's message dropped", { error = err }) end
end

--- Call FN() at each reset().
function M.on_reset(fn) resets[#resets + 1] = fn end

--- Forget the other workers: this one is another from now on, or alone. For tests.
function M.reset()
  for slot, incarnation in pairs(living) do down(slot, incarnation) end
  buried, held = {}, {}
  own_slot, own_incarnation = core.worker()
  M.slot, M.incarnation = own_slot, own_incarnation
  for i = 1, #resets do resets[i]() end
end

core.on_bus(on_message, on_control)

return M
