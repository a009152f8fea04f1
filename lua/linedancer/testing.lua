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

--- What `require "linedancer.testing"` returns.
---@class linedancer.testing

--- Something of a script that is no bytes.
---@class linedancer.testing.Step

--- A handler that runs.
---@class linedancer.testing.Play
---@field path table[] the states that were entered, { name, values... } each

--- What has become of a play. With assert.same only sent, and reason or state, are compared.
---@class linedancer.testing.Run
---@field sent string what the handler has sent since the last result
---@field reason? string why it has ended
---@field state? string where it is, if it has not
---@field error? linedancer.Error with which it ended
---@field status string of the transport: "open", "ending" or "closed", or "reset"
---@field half_closed boolean whether our side has ended
---@field unread integer bytes that were not read

--- What every run of t.every_split() must be.
---@class linedancer.testing.Expected
---@field sent string what the handler sends
---@field reason? string why it ends
---@field state? string where it is, if it does not
---@field path? table[] the states that are entered

--- Where a handler begins, and with what. All are optional.
---@class linedancer.testing.Options
---@field state? string name of the first state (that of the handler)
---@field args? any[] values for it
---@field setup? fun(conn: linedancer.Conn) called before anything of the handler
---@field options? table of the handler
---@field limits? linedancer.HandlerLimits of the connection
---@field name? string of the handler ("handler")

--- Options of t.world().
---@class linedancer.testing.WorldOptions
---@field workers? integer 1 to 16 (1)
---@field seed? integer of the order in which things happen (a fixed one)
---@field options? table of handlers, for connections that are given none
---@field limits? linedancer.HandlerLimits for connections that are given none

--- Options of t.every_order().
---@class linedancer.testing.OrderOptions: linedancer.testing.WorldOptions
---@field seeds? integer how many orders (50)

--- Options of world:connect().
---@class linedancer.testing.ConnectOptions: linedancer.testing.Options
---@field worker? integer where it is (1)

local core = api.core

local Step = {}
Step.__index = Step

local function step(run) return setmetatable({ run = run }, Step) end

--- Steps of a script, besides strings, which arrive as one segment each.

--- The peer ends its side.
---@class linedancer.testing
---@field eof linedancer.testing.Step
M.eof = step(function(play) play.peer:finish "eof" end)

--- The peer resets the connection.
---@class linedancer.testing
---@field reset linedancer.testing.Step
M.reset = step(function(play) play.peer:finish "reset" end)

--- The peer stops reading: nothing more is taken from the handler, until t.resume.
---@class linedancer.testing
---@field stall linedancer.testing.Step
M.stall = step(function(play) play.peer:room(0) end)

--- The peer reads again.
---@class linedancer.testing
---@field resume linedancer.testing.Step
M.resume = step(function(play) play.peer:room() end)

--- SECONDS pass on the virtual clock.
---@function t.advance
---@param seconds number how many
---@return linedancer.testing.Step step
function M.advance(seconds)
  return step(function() core.advance(seconds) end)
end

--- A message comes: VALUE, from FROM (default "test"), under TOPIC (default none).
---@function t.message
---@param value any a plain value
---@param from? string id of the sender ("test")
---@param topic? string goes with it
---@return linedancer.testing.Step step
function M.message(value, from, topic)
  return step(function(play)
    local conn = core.conn_of(play.peer:handle())
    if conn then mailbox.deliver(conn, from or "test", value, topic) end
    core.settle()
  end)
end

--- The gateway begins to drain, SECONDS before it gives up.
---@function t.drain
---@param seconds number how many are left
---@return linedancer.testing.Step step
function M.drain(seconds)
  return step(function()
    machine.drain(seconds)
    core.settle()
  end)
end

--- Begin a connection of HANDLER (what its module returned) and return a play: peer, run, path. OPTS: state, args,
-- setup(conn), options, limits.
---@function t.begin
---@param handler linedancer.Handler|linedancer.State what the module of the handler returned
---@param opts linedancer.testing.Options where it begins, and with what
---@return linedancer.testing.Play play
local function begin(handler, opts)
  local play, message = stage.make(handler, opts)
  if not play then error(message, 3) end
  play.peer = core.open(play.machine.handle)
  if opts.setup then opts.setup(core.conn_of(play.peer:handle())) end
  play.peer:begin()
  return play
end

--- Let ITEM of a script happen to PLAY.
---@function t.perform
---@param play linedancer.testing.Play of t.begin()
---@param item string|linedancer.testing.Step of a script
local function perform(play, item)
  if type(item) == "string" then
    play.peer:feed(item)
  elseif getmetatable(item) == Step then
    item.run(play)
  else
    error("a script holds strings and steps such as t.eof, not " .. type(item), 4)
  end
end

--- What has become of PLAY. A test compares sent, and reason once it has ended or else the state it is in; the rest is
-- there to be asked for: run.error, run.unread, run.half_closed.
---@function t.result
---@param play linedancer.testing.Play of t.begin()
---@return linedancer.testing.Run run
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
---@function t.play
---@param handler linedancer.Handler|linedancer.State what the module of the handler returned
---@param script (string|linedancer.testing.Step)[] what happens
---@param opts? linedancer.testing.Options where it begins, and with what
---@return linedancer.testing.Run run
---@return table[] path the states that were entered
function M.play(handler, script, opts)
  local play = begin(handler, opts or {})
  for _, item in ipairs(script) do perform(play, item) end
  local run = result_of(play)
  stage.silence(play)
  play.peer:drop() -- time that passes in later plays is not its own
  stage.forget(play)
  return run, play.path
end

--- Play SCRIPT however its strings could have been split: at every place in two, byte by byte, and at random places.
-- Each run must be EXPECTED: sent, and reason or state, and path when it is given. Returns the number of runs.
---@function t.every_split
---@param handler linedancer.Handler|linedancer.State what the module of the handler returned
---@param script (string|linedancer.testing.Step)[] what happens
---@param expected linedancer.testing.Expected what each run must be
---@param opts? linedancer.testing.Options where it begins, and with what
---@return integer runs
function M.every_split(handler, script, expected, opts)
  return splits.every_split(M.play, handler, script, expected, opts)
end

--- Play every beginning of TEXT, followed by an end: each must come to reason "done" or "truncated", never an error.
-- Returns the number of runs.
---@function t.every_truncation
---@param handler linedancer.Handler|linedancer.State what the module of the handler returned
---@param text string what the peer would send
---@param opts? linedancer.testing.Options where it begins, and with what
---@return integer runs
function M.every_truncation(handler, text, opts)
  return splits.every_truncation(M.play, handler, text, opts)
end

-- Many connections, in several workers, with messages, ld.connect and faults: see linedancer.testing.world.
M.world, M.every_order = worlds.new, worlds.every_order

M.begin, M.perform, M.result = begin, perform, result_of

return M
