--- linedancer.native: handlers in C, of the host's, as definitions; see core/linedancer.h.
--
-- A state waits for its frame here, so that its deadlines and hooks, and reloads, are those of any handler.
local api = require "linedancer.api"
local awaiting = require "linedancer.await"
local formats = require "linedancer.format"
local handler = require "linedancer.handler"
local json = require "linedancer.json"

local M = {}

local core, W, R, WAIT = api.core, api.vm, api.result, api.WAIT
local unpack_frame, missed = api.struct.unpack, awaiting.missed
local AGAIN, OPENS = api.status.AGAIN, api.OPENS
local yield = coroutine.yield

--- MESSAGE, as a host gets it: a string as it is, all else as JSON.
function M.text_of(message)
  if type(message) == "string" then return message end
  return json.encode(message)
end

-- What the host's function made of it: the name of a state, nothing, or false and why.
local function next_of(conn, name, why)
  if name == false then conn:fail(why) end
  return name
end

local function state_of(handle, index, source)
  local run = core.native_run
  if not source then
    return function(conn) return next_of(conn, run(handle, conn[1], index)) end
  end
  local format = formats.of(source)
  return function(conn)
    local st = unpack_frame(W, conn[1], format.id, OPENS)
    if st == AGAIN then
      yield(WAIT)
      st = R.status
    end
    if st ~= 0 then return missed(conn, st, format) end
    return next_of(conn, run(handle, conn[1], index))
  end
end

local function hear(handle)
  return function(conn, _, message, topic)
    local name, why = core.native_message(handle, conn[1], topic, M.text_of(message))
    if name == true then return nil end
    if name == nil then return conn:close() end
    return next_of(conn, name, why)
  end
end

local function seconds(n) return n > 0 and n or nil end

local function timeouts_of(state)
  local idle, total = seconds(state.idle), seconds(state.total)
  return (idle or total) and { idle = idle, total = total } or false
end

local function define(name, native)
  local value = { initial = native[1].name, states = {}, timeouts = {} }
  for index, state in ipairs(native) do
    value.states[state.name] = state_of(native.handle, index, state.format)
    value.timeouts[state.name] = timeouts_of(state)
  end
  if native.on_message then value.on_message = hear(native.handle) end
  if native.on_error then
    value.on_error = function(conn, err)
      return core.native_error(native.handle, conn[1], err.code, err.message)
    end
  end
  local definition = assert(handler.define(value, name))
  local indices = {}
  for index, state in ipairs(native) do
    for place, other in ipairs(definition.state_names) do
      if other == state.name then indices[index] = place - 1 end
    end
  end
  core.native_order(native.handle, indices)
  definition.native = native.handle
  definition.file = name
  return definition
end

--- A function that makes the definition of the host's handler NAME, or nil.
function M.find(name)
  local native = core.native(name)
  return native and function() return define(name, native) end
end

return M
