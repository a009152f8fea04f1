--- gate.client: what clients say, of which the server must hear all but what is refused.
local frames = require "gate.frames"
local ld = require "linedancer"
local sessions = require "gate.session"

local admit, push, remember = sessions.admit, sessions.push, sessions.remember

local NAMED, TWICE_NAMED = ld.format ">B I4 z{1000}", ld.format ">B I4 z{1000} z{1000}"
local CLOSE = ld.format ">B I4 B z{1000}"
local STATEMENT = ("S"):byte()
local NAME_MAX = 1000

local REFUSAL = frames.error("ERROR", sessions.REFUSED, "too many statements: the limit of this user is exceeded")
local READY = frames.frame("Z", "I")
-- What the server gets in place of what is refused: as it fails, the server's state is what the client is told.
local BAD_QUERY = frames.frame("Q", "refused by the gateway\0")
local BAD_EXECUTE = frames.frame("E", "refused by the gateway\0\0\0\0\0")

-- By type, a function of the connection, its session, and the length: true if the message need not be passed on.
local on = {}

-- Pass on the first N of SIZE + 1 bytes, which are VIEW, and the rest.
local function pass(conn, view, n, size)
  conn.up:write(view)
  frames.wrote(conn.up, n)
  if n <= size then conn:relay(conn.up, size + 1 - n) end
  return true
end

-- The server is not asked when nothing is under way.
local function refuse(conn, session, view, n, size)
  local idle = sessions.at_rest(session) and session.status == sessions.IDLE
  local entry = push(session, "query", "", 0, true)
  sessions.keep_text(entry, view)
  conn:skip(size + 1 - n)
  if not idle then return conn.up:write(BAD_QUERY) end
  sessions.pop(session)
  entry.code = sessions.REFUSED
  sessions.finish(session, entry)
  conn:write(REFUSAL, READY)
end

--- Query
function on.Q(conn, session, size)
  local ok, waited = admit(session)
  local n = math.min(size, conn.options.statement + 5) + 1
  local view = conn:slice(n)
  if not ok then
    refuse(conn, session, view, n, size)
    return true
  end
  local entry = push(session, "query", "", waited)
  if entry then sessions.keep_text(entry, view) end
  return pass(conn, view, n, size)
end

--- FunctionCall
function on.F(conn, session, size)
  local ok, waited = admit(session)
  if ok then
    push(session, "query", "(a function call)", waited)
    return
  end
  refuse(conn, session, "12345(a function call)", 0, size)
  return true
end

local KNOWN_MAX = 500
local known, known_count = {}, 0 -- { name, text } by the beginning of a Parse: most come again

local function read_parse(conn, message)
  local name, text = message:sub(6):match "^(%Z*)%z(%Z*)"
  if not name or #name > NAME_MAX then conn:fail "the name of a statement is too long" end
  if known_count == KNOWN_MAX then known, known_count = {}, 0 end
  local pair = { name = name, text = text }
  known[message], known_count = pair, known_count + 1
  return pair
end

--- Parse
function on.P(conn, session, size)
  local message = conn:peek(math.min(size, NAME_MAX + conn.options.statement + 6) + 1)
  local pair = known[message] or read_parse(conn, message)
  session.since = session.since or ld.now()
  remember(session, session.texts, pair.name, pair.text)
  push(session, "parse", pair.text, 0)
end

--- Bind
function on.B(conn, session)
  local _, _, portal, name = conn:peek(TWICE_NAMED)
  session.since = session.since or ld.now()
  remember(session, session.portals, portal, session.texts[name] or "?")
end

--- Execute
function on.E(conn, session, size)
  local _, _, portal = conn:peek(NAMED)
  local ok, waited = admit(session)
  if waited > 0 then session.since = false end
  push(session, "execute", session.portals[portal] or "?", waited, not ok)
  session.since = false
  if ok then return end
  conn:skip(size + 1)
  conn.up:write(BAD_EXECUTE)
  return true
end

--- Close
function on.C(conn, session)
  local _, _, kind, name = conn:peek(CLOSE)
  sessions.forget(session, kind == STATEMENT and session.texts or session.portals, name)
end

--- Sync
function on.S(_, session)
  if session.copying then return end -- the server ignores it
  session.failed, session.since = false, false
  push(session, "sync", "", 0)
end

--- CopyDone, CopyFail
function on.c(_, session) session.copying = false end
on.f = on.c

local M = { REFUSAL = REFUSAL, take = {} }
for letter, fn in pairs(on) do M.take[letter:byte()] = fn end

return M
