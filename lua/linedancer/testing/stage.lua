--- linedancer.testing.stage: a handler made ready to be watched: where it begins, which states it enters, how it ends.
local bytes = require "linedancer.bytes"
local core = require("linedancer.api").core
local handler = require "linedancer.handler"
local machine = require "linedancer.machine"

local M = {}

local LIMITS = { frame = 2 ^ 20, output = 2 ^ 20, linger = 5, mailbox = 1000 }

-- Bytes are compared as strings, so what a state was passed is kept as one.
local function plain(value)
  if bytes.is(value) then return tostring(value) end
  return value
end

local function record(path, name, fn)
  return function(conn, ...)
    local entry = { name }
    for i = 1, select("#", ...) do entry[i + 1] = plain((select(i, ...))) end
    path[#path + 1] = entry
    return fn(conn, ...)
  end
end

-- The handler with every state recorded, beginning where OPTS say; or nil and a message.
local function instrument(definition, path, opts)
  local copy = {}
  for key, value in pairs(definition) do copy[key] = value end
  copy.states = {}
  for name, fn in pairs(definition.states) do copy.states[name] = record(path, name, fn) end
  local start = opts.state or definition.initial
  if not copy.states[start] then return nil, "no state is called " .. tostring(start) end
  local wrapped = copy.states[start]
  local begun = false
  -- The first entry gets the given values; later ones are like any other.
  copy.states[start] = function(conn, ...)
    if begun then return wrapped(conn, ...) end
    begun = true
    return wrapped(conn, unpack(opts.args or {}, 1, table.maxn(opts.args or {})))
  end
  copy.initial = start
  return copy
end

-- Remember how it ended, also for a handler without on_close.
local function watch_end(definition, run)
  local on_close = definition.on_close
  definition.on_close = function(conn, reason, err)
    run.reason, run.error = reason, err
    if on_close then return on_close(conn, reason, err) end
  end
end

local function limits_of(definition, given)
  local limits = {}
  for key, default in pairs(LIMITS) do limits[key] = given and given[key] or definition.limits[key] or default end
  return limits
end

--- A play of HANDLER (what its module returned): machine, run, path; or nil and a message. OPTS: state, args, options,
-- limits, name, and for a world `plain`, for a machine that serves many connections and records nothing. End it with
-- forget().
function M.make(value, opts)
  local definition, message = handler.define(value, opts.name or "handler")
  if not definition then return nil, message end
  local play = { run = {}, path = {} }
  if not opts.plain then
    definition, message = instrument(definition, play.path, opts)
    if not definition then return nil, message end
    watch_end(definition, play.run)
  end
  local options
  options, message = handler.options(definition, opts.options)
  if not options then return nil, message end
  play.machine = machine.new(definition, options, limits_of(definition, opts.limits), opts.listener or "test")
  return play
end

--- From now on the connections of PLAY end without a word to their handler.
function M.silence(play) play.machine.on_close = nil end

--- All connections of PLAY have gone.
function M.forget(play) core.forget_machine(play.machine.handle) end

return M
