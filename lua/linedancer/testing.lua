--- linedancer.testing: handlers without sockets.
--
--   local run, path = t.play(require "handlers.tlv", { "LD\1", "\1\0\2hi", t.eof })
--   assert.same({ sent = "OK\n\1\0\2hi", reason = "done" }, run)
--
-- The real C core runs the handler over a memory transport and a virtual clock. `path` lists the states that were
-- entered, each with the values passed to it: for this state and these bytes, these frames and this next state.
local api = require "linedancer.api"
local bytes = require "linedancer.bytes"
local handler = require "linedancer.handler"
local machine = require "linedancer.machine"
local splits = require "linedancer.testing.splits"
require "linedancer"

local M = {}

local core = api.core
local LIMITS = { frame = 2 ^ 20, output = 2 ^ 20, linger = 5 }

local Step = {}
Step.__index = Step

local function step(run) return setmetatable({ run = run }, Step) end

--- Steps of a script, besides strings, which arrive as one segment each.

--- The peer ends its side.
M.eof = step(function(play) play.peer:finish "eof" end)

--- The peer resets the connection.
M.reset = step(function(play) play.peer:finish "reset" end)

--- The peer stops reading: nothing more is taken from the handler, until t.resume.
M.stall = step(function(play) play.peer:room(0) end)

--- The peer reads again.
M.resume = step(function(play) play.peer:room() end)

--- SECONDS pass on the virtual clock.
function M.advance(seconds)
  return step(function() core.advance(seconds) end)
end

--- The gateway begins to drain, SECONDS before it gives up.
function M.drain(seconds)
  return step(function()
    machine.drain(seconds)
    core.settle()
  end)
end

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

-- The handler with every state recorded, beginning where OPTS say.
local function instrument(definition, path, opts)
  local copy = {}
  for key, value in pairs(definition) do copy[key] = value end
  copy.states = {}
  for name, fn in pairs(definition.states) do copy.states[name] = record(path, name, fn) end
  local start = opts.state or definition.initial
  if not copy.states[start] then error("no state is called " .. tostring(start), 4) end
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

local function define(value, name)
  local definition, message = handler.define(value, name or "handler")
  if not definition then error(message, 4) end
  return definition
end

--- Begin a connection of HANDLER (what its module returned) and return a play: peer, run, path. OPTS: state, args,
-- setup(conn), options, limits.
local function begin(value, opts)
  local path, run = {}, {}
  local definition = instrument(define(value, opts.name), path, opts)
  watch_end(definition, run)
  local options, message = handler.options(definition, opts.options)
  if not options then error(message, 4) end
  local limits = {}
  for key, default in pairs(LIMITS) do
    limits[key] = opts.limits and opts.limits[key] or definition.limits[key] or default
  end
  local made = machine.new(definition, options, limits, "test")
  local peer = core.open(made.handle)
  local play = { peer = peer, run = run, path = path, machine = made }
  if opts.setup then opts.setup(core.conn_of(peer:handle())) end
  peer:begin()
  return play
end

local function perform(play, item)
  if type(item) == "string" then
    play.peer:feed(item)
  elseif getmetatable(item) == Step then
    item.run(play)
  else
    error("a script holds strings and steps such as t.eof, not " .. type(item), 4)
  end
end

-- What a test compares: sent, and reason once it has ended or else the state it is in. The rest is there to be asked
-- for: run.error, run.unread, run.half_closed.
local function result_of(play)
  local status, shut, unread = play.peer:status()
  local conn = core.conn_of(play.peer:handle())
  if status == "ending" then
    -- A peer that sees our end ends its own side; until then the transport lingers.
    play.run.reason, play.run.error = conn[2], conn[3]
    play.peer:finish "eof"
  end
  local index = core.state_of(play.peer:handle())
  local open = status == "open"
  local visible = {
    sent = play.peer:sent(),
    reason = play.run.reason,
    state = open and index and play.machine.names[index] or nil,
  }
  local hidden = { error = play.run.error, status = status, half_closed = shut, unread = unread }
  return setmetatable(visible, { __index = hidden })
end

--- Run HANDLER over SCRIPT, an array of strings and steps. OPTS (all optional): state and args, where to begin and
-- what to pass; setup(conn), run before anything of the handler; options; limits { frame, output, linger }. Returns
-- run { sent, reason | state } and path { { state, values... }... }.
function M.play(value, script, opts)
  local play = begin(value, opts or {})
  for _, item in ipairs(script) do perform(play, item) end
  local run = result_of(play)
  play.peer:drop() -- time that passes in later plays is not its own
  return run, play.path
end

--- Play SCRIPT however its strings could have been split: at every place in two, byte by byte, and at random places.
-- Each run must be EXPECTED: sent, and reason or state, and path when it is given. Returns the number of runs.
function M.every_split(value, script, expected, opts)
  return splits.every_split(M.play, value, script, expected, opts)
end

--- Play every beginning of TEXT, followed by an end: each must come to reason "done" or "truncated", never an error.
-- Returns the number of runs.
function M.every_truncation(value, text, opts)
  return splits.every_truncation(M.play, value, text, opts)
end

M.begin, M.perform, M.result = begin, perform, result_of

return M
