--- linedancer.coroutines: lets a wait pass through coroutines of the handler's own.
--
-- A read inside a coroutine that a handler made must suspend the whole connection, not just that coroutine: it yields
-- the wait token, and the resume below hands it on until the core has it, then brings the answer back in.
--
-- Coroutines within coroutines take C's stack, which LuaJIT does not watch: there are at most 190, as in Lua.
local api = require "linedancer.api"

local WAIT, PARK = api.WAIT, api.PARK

local resume, yield, running = coroutine.resume, coroutine.yield, coroutine.running

local DEPTH_MAX = 190
local depths = setmetatable({}, { __mode = "k" }) -- of those that another one has resumed

local function pass(co, ok, first, ...)
  if ok and (first == WAIT or first == PARK) then return pass(co, resume(co, yield(first))) end
  return ok, first, ...
end

local function resume_through(co, ...)
  local depth = (depths[running() or false] or 0) + 1
  if depth > DEPTH_MAX then return false, "stack overflow (too many coroutines within each other)" end
  if type(co) == "thread" then depths[co] = depth end
  return pass(co, resume(co, ...))
end

local function unwrap(ok, ...)
  if not ok then error(..., 0) end
  return ...
end

local function wrap_through(fn)
  local co = coroutine.create(fn)
  return function(...) return unwrap(resume_through(co, ...)) end
end

-- The library's functions are replaced in place: modules that a handler uses must see them too.
coroutine.resume, coroutine.wrap = resume_through, wrap_through
