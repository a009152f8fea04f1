---@meta linedancer.testing
-- Made by ./dev reference from the doc comments in lua/linedancer.

---What `require "linedancer.testing"` returns.
---@class linedancer.testing
---@field eof linedancer.testing.Step The peer ends its side.
---@field reset linedancer.testing.Step The peer resets the connection.
---@field stall linedancer.testing.Step The peer stops reading: nothing more is taken from the handler, until t.resume.
---@field resume linedancer.testing.Step The peer reads again.
local t = {}

---Where a handler begins, and with what. All are optional.
---@class linedancer.testing.Options
---@field state? string name of the first state (that of the handler)
---@field args? any[] values for it
---@field setup? fun(conn: linedancer.Conn) called before anything of the handler
---@field options? table of the handler
---@field limits? linedancer.HandlerLimits of the connection
---@field name? string of the handler ("handler")
local Options = {}

---What has become of a play. With assert.same only sent, and reason or state, are compared.
---@class linedancer.testing.Run
---@field sent string what the handler has sent since the last result
---@field reason? string why it has ended
---@field state? string where it is, if it has not
---@field error? linedancer.Error with which it ended
---@field status string of the transport: "open", "ending" or "closed", or "reset"
---@field half_closed boolean whether our side has ended
---@field unread integer bytes that were not read
local Run = {}

---What every run of t.every_split() must be.
---@class linedancer.testing.Expected
---@field sent string what the handler sends
---@field reason? string why it ends
---@field state? string where it is, if it does not
---@field path? table[] the states that are entered
local Expected = {}

---Something of a script that is no bytes.
---@class linedancer.testing.Step
local Step = {}

---A handler that runs.
---@class linedancer.testing.Play
---@field path table[] the states that were entered, { name, values... } each
local Play = {}

---Options of t.world().
---@class linedancer.testing.WorldOptions
---@field workers? integer 1 to 16 (1)
---@field seed? integer of the order in which things happen (a fixed one)
---@field options? table of handlers, for connections that are given none
---@field limits? linedancer.HandlerLimits for connections that are given none
local WorldOptions = {}

---Options of t.every_order().
---@class linedancer.testing.OrderOptions: linedancer.testing.WorldOptions
---@field seeds? integer how many orders (50)
local OrderOptions = {}

---Many connections in several workers, on one virtual clock.
---@class linedancer.testing.World
---@field workers integer how many
---@field seed? integer of its order
local World = {}

---Options of world:connect().
---@class linedancer.testing.ConnectOptions: linedancer.testing.Options
---@field worker? integer where it is (1)
local ConnectOptions = {}

---What goes wrong in a world.
---@class linedancer.testing.Faults
---@field refuse? string address to which connects are refused
---@field timeout? string address to which connects are not answered
---@field delay? number seconds for ld.connect, and for what goes either way on its connections
---@field split? integer bytes that a connection reads at a time
---@field short_writes? integer bytes that a connection writes at a time
---@field partition? integer[] two workers that do not hear each other
local Faults = {}

---The other end of a connection of a world.
---@class linedancer.testing.Peer
---@field id string of the connection
---@field reason? string why it has ended
---@field state? string where it is
---@field error? linedancer.Error with which it ended
---@field half_closed boolean whether the connection has ended its side
local Peer = {}

---Run HANDLER over SCRIPT, an array of strings and steps. OPTS (all optional): state and args, where to begin and what to pass; setup(conn), run before anything of the handler; options; limits { frame, output, linger }. Returns run { sent, reason | state } and path { { state, values... }... }.
---@param handler linedancer.Handler|linedancer.State what the module of the handler returned
---@param script (string|linedancer.testing.Step)[] what happens
---@param opts? linedancer.testing.Options where it begins, and with what
---@return linedancer.testing.Run run
---@return table[] path the states that were entered
function t.play(handler, script, opts) end

---Play SCRIPT however its strings could have been split: at every place in two, byte by byte, and at random places. Each run must be EXPECTED: sent, and reason or state, and path when it is given. Returns the number of runs.
---@param handler linedancer.Handler|linedancer.State what the module of the handler returned
---@param script (string|linedancer.testing.Step)[] what happens
---@param expected linedancer.testing.Expected what each run must be
---@param opts? linedancer.testing.Options where it begins, and with what
---@return integer runs
function t.every_split(handler, script, expected, opts) end

---Play every beginning of TEXT, followed by an end: each must come to reason "done" or "truncated", never an error. Returns the number of runs.
---@param handler linedancer.Handler|linedancer.State what the module of the handler returned
---@param text string what the peer would send
---@param opts? linedancer.testing.Options where it begins, and with what
---@return integer runs
function t.every_truncation(handler, text, opts) end

---SECONDS pass on the virtual clock.
---@param seconds number how many
---@return linedancer.testing.Step step
function t.advance(seconds) end

---A message comes: VALUE, from FROM (default "test"), under TOPIC (default none).
---@param value any a plain value
---@param from? string id of the sender ("test")
---@param topic? string goes with it
---@return linedancer.testing.Step step
function t.message(value, from, topic) end

---The gateway begins to drain, SECONDS before it gives up.
---@param seconds number how many are left
---@return linedancer.testing.Step step
function t.drain(seconds) end

---Begin a connection of HANDLER (what its module returned) and return a play: peer, run, path. OPTS: state, args, setup(conn), options, limits.
---@param handler linedancer.Handler|linedancer.State what the module of the handler returned
---@param opts linedancer.testing.Options where it begins, and with what
---@return linedancer.testing.Play play
function t.begin(handler, opts) end

---Let ITEM of a script happen to PLAY.
---@param play linedancer.testing.Play of t.begin()
---@param item string|linedancer.testing.Step of a script
function t.perform(play, item) end

---What has become of PLAY. A test compares sent, and reason once it has ended or else the state it is in; the rest is there to be asked for: run.error, run.unread, run.half_closed.
---@param play linedancer.testing.Play of t.begin()
---@return linedancer.testing.Run run
function t.result(play) end

---A world. OPTS: workers (1, at most 16), seed (a whole number; none: a fixed order), and options and limits, for connections that are given none of their own.
---@param opts? linedancer.testing.WorldOptions how many workers, in which order
---@return linedancer.testing.World world
function t.world(opts) end

---Call FN(world) for OPTS.seeds (50) worlds, with as many seeds; OPTS may hold what new() takes. An error names its seed, with which t.world does the same again.
---@param fn fun(world: linedancer.testing.World) a test
---@param opts? linedancer.testing.OrderOptions how many orders
---@return integer seeds
function t.every_order(fn, opts) end

---Begin a connection of HANDLER: what its module returned, or that module's name or path. OPTS, all optional: worker (1), state and args, where it begins and with which values, setup(conn), run before anything of the handler (in worker 1), options, limits. Returns the other end; see linedancer.testing.peer. A worker that was killed starts again.
---@param handler linedancer.Handler|linedancer.State|string what its module returned; or the module's name, or path
---@param opts? linedancer.testing.ConnectOptions where it begins, and with what
---@return linedancer.testing.Peer peer
function World:connect(handler, opts) end

---Let everything happen that can without time going by. What is sent does so by itself.
---@return linedancer.testing.World world
function World:run() end

---Let SECONDS go by, for all workers, and everything happen that is due meanwhile.
---@param seconds number how many
---@return linedancer.testing.World world
function World:advance(seconds) end

---Seconds on the clock.
---@return number seconds
function World:now() end

---Have ld.connect(TEXT) reach a connection of HANDLER, as of connect(). OPTS: worker (1), options, limits. When that worker dies, connects are refused.
---@param text string address, as of ld.connect()
---@param handler linedancer.Handler|linedancer.State|string as of world:connect()
---@param opts? { worker?: integer, options?: table, limits?: linedancer.HandlerLimits } worker = where it is (1)
---@return linedancer.testing.World world
function World:listen(text, handler, opts) end

---Call FN(peer) with the other end of each connection that ld.connect(TEXT) makes. FN may send, not wait.
---@param text string address, as of ld.connect()
---@param fn fun(peer: linedancer.testing.Peer) what is called with each
---@return linedancer.testing.World world
function World:accept(text, fn) end

---From now on things go wrong as FAULTS says, any of: refuse = ADDRESS or timeout = ADDRESS, for connects to it; delay = seconds, for ld.connect, and for what goes either way on its connections; split = bytes that a connection reads at a time; short_writes = bytes that it writes at a time; partition = { A, B }, two workers that do not hear each other.
---@param faults linedancer.testing.Faults what goes wrong
---@return linedancer.testing.World world
function World:fault(faults) end

---End all faults: what was held back is delivered.
---@return linedancer.testing.World world
function World:heal() end

---Worker SLOT, not the first, dies as by kill -9.
---@param slot integer worker, from 2 on
---@return linedancer.testing.World world
function World:kill(slot) end

---The number of connections and tasks that live in worker SLOT.
---@param slot integer worker
---@return integer count
function World:open_count(slot) end

---End the world: all its connections and tasks go, without a word to their handlers, and the workers but the first.
function World:close() end

---Bytes come to the connection, in one segment unless the world cuts them.
---@param bytes string what comes
---@return linedancer.testing.Peer peer
function Peer:send(bytes) end

---The peer ends its side.
---@return linedancer.testing.Peer peer
function Peer:finish() end

---The peer resets the connection.
---@return linedancer.testing.Peer peer
function Peer:reset() end

---The peer stops reading: nothing more is taken from the connection.
---@return linedancer.testing.Peer peer
function Peer:stall() end

---The peer reads again.
---@return linedancer.testing.Peer peer
function Peer:resume() end

---All bytes that the connection has sent since the last call.
---@return string bytes
function Peer:sent() end

---Deliver VALUE: true; or nil and "full" or "gone".
---@param value any a plain value
---@param from? string id of the sender ("test")
---@param topic? string goes with it
---@return true? ok
---@return string? why "full" or "gone"
function Peer:message(value, from, topic) end

---The worker begins to drain, SECONDS before it gives up.
---@param seconds number how many are left
---@return linedancer.testing.Peer peer
function Peer:drain(seconds) end

return t
