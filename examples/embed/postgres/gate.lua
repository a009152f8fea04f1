--- gate: a gateway before PostgreSQL (protocol 3) that logs statements, and limits how many a user may run a second.
--
-- A message is a type, a length that counts itself, and a body; the first one has no type.
--
--   startup --> login <--> password       who it is, and what the server asks
--      |          '------> serve <--> message      what the client says, one after another
--      |                     '------> leave        the client has ended its side: what the server has yet to say
--      '--> cancel, raw                            a CancelRequest; replication, which is passed on as it is
--
-- The connection's coroutine passes on what the client says (gate/client.lua), a task what the server says
-- (gate/server.lua). Bodies are moved in C: what becomes a Lua string is the text of a prepared statement, the tag of
-- what was done and an error's code, never a row or a password.
local client = require "gate.client"
local frames = require "gate.frames"
local ld = require "linedancer"
local server = require "gate.server"
local sessions = require "gate.session"

local HEADER, STARTUP, AUTHENTICATION = frames.HEADER, ld.format ">I4 I4", ld.format ">B I4 I4"
local CANCEL, SSL, GSS = 80877102, 80877103, 80877104
local STARTUP_MAX, PASSWORD_MAX = 10000, 65535 -- bytes, as of the server
local AUTHENTICATE, ERROR, READY, PASSWORD, TERMINATE = ("REZpX"):byte(1, 5)
-- The kinds of authentication requests to which the client has an answer.
local ASKS = { [3] = true, [5] = true, [7] = true, [8] = true, [9] = true, [10] = true, [11] = true }
local OFF = { [""] = true, ["false"] = true, off = true, no = true, ["0"] = true }

local take = client.take
local states = {}

-- SSLRequest and GSSENCRequest, each once.
local function encrypt(conn, size, code)
  if size ~= 8 then conn:fail "no startup message" end
  conn.asked = conn.asked or {}
  if conn.asked[code] then conn:fail "a second request for encryption" end
  conn.asked[code] = true
  if code == GSS or not conn.options.tls or conn.tls then return conn:write "N" end
  conn:write "S"
  conn:starttls {}
end

local function parameters(body)
  local given = {}
  for name, value in body:gmatch "(%Z+)%z(%Z*)%z" do given[name] = value end
  return given
end

local function connect(conn)
  local up, err = ld.connect(conn.options.upstream, { timeout = conn.options.connect_timeout })
  if not up then
    ld.log.warn("no upstream", { conn = conn.id, upstream = conn.options.upstream, code = err.code })
    -- By this code clients know a server that is starting, or going.
    frames.dismiss(conn, "57P03", "the database server cannot be reached: " .. err.code, "upstream " .. err.code)
  end
  return up
end

function states.startup(conn)
  local size, code = conn:unpack(STARTUP)
  if not size then return end
  if size < 8 or size > STARTUP_MAX then conn:fail "no startup message" end
  if code == SSL or code == GSS then
    encrypt(conn, size, code)
    return "startup"
  end
  local body = conn:expect(size - 8)
  if code == CANCEL then return "cancel", body end
  if math.floor(code / 65536) ~= 3 then conn:fail "not version 3 of the protocol" end
  local given = parameters(body)
  if (given.user or "") == "" then return frames.dismiss(conn, "28000", "no user name", "no user") end
  conn.user, conn.database = given.user, given.database or given.user
  conn.up = connect(conn)
  if not conn.up then return end
  conn.up:write(STARTUP:pack(size, code), body)
  return OFF[given.replication or ""] and "login" or "raw"
end

function states.login(conn)
  local kind, size = conn.up:peek(HEADER)
  if not kind then return end
  local asks = kind == AUTHENTICATE and ASKS[select(3, conn.up:peek(AUTHENTICATION))]
  if kind == ERROR then ld.log.warn("login refused", { conn = conn.id, user = conn.user, database = conn.database }) end
  conn.up:relay(conn, size + 1)
  if asks then return "password" end
  if kind ~= READY then return "login" end
  conn.session = sessions.new(conn)
  conn:timeout("message", { idle = conn.options.stall })
  conn:timer("idle", conn.options.idle)
  conn:spawn(server.run, conn)
  return "serve"
end

function states.password(conn)
  local kind, size = conn:peek(HEADER)
  if not kind then return end
  if kind ~= PASSWORD or size > PASSWORD_MAX then conn:fail "a password expected" end
  conn:relay(conn.up, size + 1)
  return "login"
end

function states.serve(conn)
  sessions.await_room(conn.session)
  local kind, size = conn:peek(HEADER)
  if not kind then return "leave" end
  return "message", kind, size
end

function states.message(conn, kind, size)
  if size < 4 then conn:fail "a message is shorter than its length" end
  local look = take[kind]
  if not (look and look(conn, conn.session, size)) then frames.pass(conn, conn.up, size) end
  if kind ~= TERMINATE then return "serve" end
end

function states.leave(conn)
  if sessions.at_rest(conn.session) then return end
  conn.up:shutdown()
  conn:join()
end

function states.cancel(conn, body)
  local up = connect(conn)
  if not up then return end
  up:write(STARTUP:pack(#body + 8, CANCEL), body)
  up:read_some(1) -- the server answers by the connection's end, when it has passed the request on
end

function states.raw(conn)
  conn:pipe(conn.up)
end

-- A connection where nothing is under way for too long ends.
local function on_timer(conn)
  local left = conn.options.idle - (ld.now() - conn.session.done)
  if not sessions.at_rest(conn.session) then left = conn.options.idle end
  if left > 0.01 then return conn:timer("idle", left) end
  frames.dismiss(conn, "57P05", "nothing has been asked for too long", "idle")
end

local function on_drain(conn)
  if not conn.session then return end
  conn.session.draining = true
  server.leave_if_draining(conn)
end

local function on_error(conn, err)
  if err.conn and err.conn ~= conn.id then return frames.last_words(conn, "08006", "the server is lost") end
  frames.last_words(conn, err.code == "timeout" and "08006" or "08P01", err.message or err.code)
end

return {
  initial = "startup",
  states = states,
  options = {
    upstream = "127.0.0.1:5432", -- or unix:/run/postgresql/.s.PGSQL.5432
    connect_timeout = 10, -- seconds
    tls = false, -- true: clients may have it, with the certificate of the listener's `tls` (on_demand = true)
    rate = 0, burst = 10, -- statements a second of a user, and at once, in each worker; rate 0: any
    over = "delay", -- what goes beyond waits, or is refused: "error"
    delay = 60, -- seconds to wait at most; what would have to wait for longer is refused
    slow = 0, -- milliseconds: what takes less is not logged, unless it fails
    statement = 1000, -- bytes of a statement in the log, at most 30000
    idle = 86400, -- seconds without a statement
    stall = 600, -- seconds until the next part of a message that has begun; more than `delay`
    on_statement = function(user, database, ms, rows, sqlstate) end, -- luacheck: ignore 212
  },
  limits = { frame = 2 ^ 16, stall = 600 },
  timeouts = { startup = 60, login = 60, password = 60, cancel = 20, leave = 60, raw = { idle = 86400 },
    serve = false, message = { idle = 600 } },
  on_timer = on_timer,
  on_drain = on_drain,
  on_error = on_error,
}
