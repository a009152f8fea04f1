--- linedancer.task: coroutines besides those of connections.
--
-- A task of a connection ends with it, and may read it while the connection's own coroutine does not. Others belong to
-- nobody. A task that fails is logged and counted (`task_errors`); a permanent one begins again, at most INTENSITY
-- times in PERIOD seconds. Its table has id, alive, cancel(), join() and fields of the program's own.
local alarm = require "linedancer.alarm"
local api = require "linedancer.api"
local class = require "linedancer.class"
local counter = require "linedancer.counter"
local errors = require "linedancer.errors"
local id = require "linedancer.id"
local log = require "linedancer.log"
local mailbox = require "linedancer.mailbox"
local order = require "linedancer.order"
local park = require "linedancer.park"
local release = require "linedancer.release"
local source = require "linedancer.handler.source"
local topic = require "linedancer.topic"

--- of_conn: what connections can do with tasks and timers.
local M = { of_conn = {} }

local W, core, leaf = api.vm, api.core, api.struct
local now = leaf.now
local of_conn = M.of_conn

--- A coroutine besides those of connections. It takes fields of the program's own.
---@class linedancer.Task
---@field id string to send to
---@field alive boolean whether it has not ended
---@field options table empty
---@field version integer 1
---@field handler string "task"

local INTENSITY, PERIOD = 10, 60
local LIMITS = { mailbox = 1000, frame = 2 ^ 20, output = 0, linger = 0 }

local methods, facts = { subscribe = topic.subscribe, unsubscribe = topic.unsubscribe }, { id = id.of }
function facts.alive(self) return leaf.alive(W, self[1]) == 1 end
local machine = { name = "task", names = {}, states = {}, options = {}, limits = LIMITS, version = 1 }

-- conn[10], of a connection: { count = its living tasks, joiners }; of a task: what it is (see make).

local function wake_all(joiners)
  for i = #joiners, 1, -1 do
    park.wake(joiners[i])
    joiners[i] = nil
  end
end

local roots = {} -- the tasks that belong to nobody
local owner -- of those that are made now, while a handler starts: its definition

-- A task has ended.
local function ended(task)
  local record = task[10]
  wake_all(record)
  roots[task] = nil
  if not record.family then return end
  record.family.count = record.family.count - 1
  if record.family.count == 0 then wake_all(record.family) end
end

local function body(task, fn, ...)
  fn(...)
  task[2] = "done"
end

-- May a permanent task begin again? It remembers when it last did.
local function may_restart(record)
  local at, times = tonumber(now(W)), record.times
  while times[1] and times[1] < at - PERIOD do table.remove(times, 1) end
  times[#times + 1] = at
  return #times <= INTENSITY
end

local function restart(task, record)
  if may_restart(record) then return unpack(record.call, 1, table.maxn(record.call)) end
  log.error("task given up", { task = task.id, restarts = INTENSITY, seconds = PERIOD })
end

-- The core's word that TASK's coroutine is over; what is returned runs next.
function machine.finish(task, err, traceback)
  local record = task[10]
  if err ~= nil or traceback then
    err = traceback and errors.wrap(err, task, traceback) or errors.new(err, nil, task)
    if err.code == "closed" and (task[2] == "cancelled" or record.family) then return nil end -- as it was to be
    task[2], task[3] = err.code, err
    counter.get("task_errors"):add()
    log.error("task failed", { task = task.id, code = err.code, error = err.message, traceback = err.traceback })
  end
  if record.permanent then return restart(task, record) end
end

local function check(fn)
  if type(fn) ~= "function" then error("a task is a function, not " .. type(fn), 3) end
  if source.loading() then error("a task cannot begin while code is loaded: begin it in the handler's start", 3) end
end

local function make(parent, permanent, fn, ...)
  local task = core.spawn(machine.handle, parent and parent[1] or 0, fn, ...)
  local maker = park.current()
  local record = {
    permanent = permanent, times = {}, call = permanent and { fn, ... } or nil,
    owner = owner or maker and maker[10] and maker[10].owner or nil,
  }
  task[10] = record
  if parent then
    local family = parent[10] or { count = 0 }
    parent[10], record.family = family, family
    family.count = family.count + 1
  else
    roots[task] = order.next()
  end
  release.add(task, ended)
  return task
end

--- Run FN(...) in a task of its own, which belongs to no connection. Returns the task.
---@function ld.spawn
---@param fn fun(...: any) its body
---@param ... any for FN
---@return linedancer.Task task
function M.spawn(fn, ...)
  check(fn)
  return make(nil, false, fn, ...)
end

--- The same, but begin again when FN returns or fails, at most 10 times in 60 seconds.
---@function ld.permanent
---@param fn fun(...: any) its body
---@param ... any for FN
---@return linedancer.Task task
function M.permanent(fn, ...)
  check(fn)
  return make(nil, true, fn, ...)
end

--- Suspend the running coroutine for SECONDS.
---@function ld.sleep
---@async
---@param seconds number how long
function M.sleep(seconds)
  if type(seconds) ~= "number" or seconds ~= seconds then error("seconds expected, got " .. tostring(seconds), 2) end
  park.waiting()
  local till = tonumber(now(W)) + seconds
  local left = math.max(seconds, 0)
  while park.sleep(left) do left = math.max(till - tonumber(now(W)), 0) end
end

local function tick(seconds, fn)
  local due, self = tonumber(now(W)), park.current()
  while true do
    due = math.max(due + seconds, tonumber(now(W)))
    M.sleep(due - tonumber(now(W)))
    local ok, err = xpcall(fn, debug.traceback)
    if not ok and self[2] ~= "cancelled" then
      counter.get("task_errors"):add()
      log.error("every: failed", { error = err })
    end
  end
end

--- Call FN every SECONDS, the first time after as many. It may wait; what it raises is logged. Returns the task.
---@function ld.every
---@param seconds number above 0
---@param fn fun() what is called
---@return linedancer.Task task
function M.every(seconds, fn)
  if type(seconds) ~= "number" or seconds ~= seconds or seconds <= 0 then error("seconds above 0 expected", 2) end
  check(fn)
  return make(nil, true, tick, seconds, fn)
end

local function wait_for(list, is_over)
  local self = park.waiting()
  local own = self.machine == machine and self[10]
  if own and (list == own or list == own.family) then
    error("a task cannot wait for its own end", 3)
  end
  while not is_over() do
    if list[#list] ~= self then list[#list + 1] = self end
    park.sleep()
  end
end

--- End the task: it goes no further. A task may cancel itself: then it ends when it next waits.
---@function task:cancel
function methods:cancel()
  if not self[2] then self[2] = "cancelled" end
  if park.current() == self then leaf.close(W, self[1], 0) else core.abandon(self[1]) end
end

--- Wait until the task has ended.
---@function task:join
---@async
function methods:join()
  wait_for(self[10], function() return leaf.alive(W, self[1]) == 0 end)
end

--- Run FN(...) in a task of this connection, which ends with it.
---@function conn:spawn
---@param fn fun(...: any) its body
---@param ... any for FN
---@return linedancer.Task task
---@raise closed
function of_conn:spawn(fn, ...)
  check(fn)
  if leaf.alive(W, self[1]) == 0 then error(errors.new("closed", nil, self), 2) end
  return make(self, false, fn, ...)
end

--- Wait until all tasks of this connection have ended.
---@function conn:join
---@async
function of_conn:join()
  local family = self[10]
  if family then wait_for(family, function() return family.count == 0 end) end
end

local function off(conn, name)
  local timer = conn[8][name]
  conn[8][name] = nil
  mailbox.timer(conn, name, timer.value)
end

local function forget_timers(conn)
  for _, timer in pairs(conn[8]) do alarm.cancel(timer.alarm) end
end

--- Have on_timer(conn, NAME, VALUE) called in SECONDS, instead of when it was last set to; nil cancels it.
---@function conn:timer
---@param name any which one; a later call with the same name replaces it
---@param seconds? number from now
---@param value? any for on_timer
function of_conn:timer(name, seconds, value)
  if name == nil or name ~= name then error("a timer has a name", 2) end
  if seconds ~= nil and (type(seconds) ~= "number" or seconds ~= seconds or seconds < 0) then
    error("seconds or nil expected", 2)
  end
  if seconds and not self.machine.on_timer then error("the handler has no on_timer", 2) end
  local timers = self[8]
  if not timers then
    timers = {}
    self[8] = timers
    release.add(self, forget_timers)
  end
  if timers[name] then alarm.cancel(timers[name].alarm) end
  timers[name] = nil
  mailbox.untimer(self, name)
  if seconds == nil or leaf.alive(W, self[1]) == 0 then return end
  timers[name] = { alarm = alarm.set(seconds, off, self, name), value = value }
end

--- Call FN(...) as pcall does; the tasks that it makes, and those that they make, are OWNER's.
function M.own(new_owner, fn, ...)
  local before = owner
  owner = new_owner
  local ok, err = pcall(fn, ...)
  owner = before
  return ok, err
end

--- End the tasks of OWNER.
function M.disown(former)
  for _, task in ipairs(order.keys(roots)) do
    if task[10].owner == former then task:cancel() end
  end
end

--- End every task that belongs to nobody: for tests.
function M.cancel_all()
  for _, task in ipairs(order.keys(roots)) do task:cancel() end
end

machine.handle = core.machine { class = class.new(machine, methods, facts, "task"), timeouts = {} }
core.boot { task = body }

return M
