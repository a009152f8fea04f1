--- linedancer.testing: handlers without sockets.
--
--   local run, path = t.play(require "handlers.tlv", { "LD\1", "\1\0\2hi", t.eof })
--   assert.same({ sent = "OK\n\1\0\2hi", reason = "done" }, run)
--
-- The real C core runs the handler over a memory transport and a virtual clock. `path` lists the states that were
-- entered, each with the values passed to it: for this state and these bytes, these frames and this next state.
local api = require "linedancer.api"
local machine = require "linedancer.machine"
local mailbox = require "linedancer.mailbox"
local splits = require "linedancer.testing.splits"
local stage = require "linedancer.testing.stage"
local worlds = require "linedancer.testing.world"
require "linedancer"
require("linedancer.conn.starttls").simulate()

local M = {}

local core = api.core

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

--- A message comes: VALUE, from FROM (default "test"), under TOPIC (default none).
function M.message(value, from, topic)
  return step(function(play)
    local conn = core.conn_of(play.peer:handle())
    if conn then mailbox.deliver(conn, from or "test", value, topic) end
    core.settle()
  end)
end

--- The gateway begins to drain, SECONDS before it gives up.
function M.drain(seconds)
  return step(function()
    machine.drain(seconds)
    core.settle()
  end)
end

--- Begin a connection of HANDLER (what its module returned) and return a play: peer, run, path. OPTS: state, args,
-- setup(conn), options, limits.
local function begin(value, opts)
  local play, message = stage.make(value, opts)
  if not play then error(message, 3) end
  play.peer = core.open(play.machine.handle)
  if opts.setup then opts.setup(core.conn_of(play.peer:handle())) end
  play.peer:begin()
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
  stage.silence(play)
  play.peer:drop() -- time that passes in later plays is not its own
  stage.forget(play)
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

--- Many connections, in several workers, with messages, ld.connect and faults: see linedancer.testing.world.
M.world, M.every_order = worlds.new, worlds.every_order

M.begin, M.perform, M.result = begin, perform, result_of

return M
