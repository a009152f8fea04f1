--- gate.server: what the server says, and what that means for the client's session.
local client = require "gate.client"
local frames = require "gate.frames"
local ld = require "linedancer"
local sessions = require "gate.session"

local pass, wrote = frames.pass, frames.wrote
local head_of, pop, finish = sessions.head, sessions.pop, sessions.finish
local HEADER, IDLE = frames.HEADER, sessions.IDLE

local M = {}

-- By type, a function of the connection, its session, the length and the upstream: true if it has passed the message on
-- itself.
local on = {}

--- ParseComplete
on["1"] = function(_, session)
  local head = head_of(session)
  if head and head.kind == "parse" then pop(session) end
end

local function executed(_, session)
  local head = head_of(session)
  if not head or head.kind ~= "execute" then return end
  pop(session)
  finish(session, head)
end

--- PortalSuspended, EmptyQueryResponse
on.s, on.I = executed, executed

local KNOWN_MAX = 1000
local known, known_count = {}, 0 -- rows by message: to look one up is cheaper than to read it

-- How many rows TEXT, a CommandComplete, tells of: its tag may end with a number, as INSERT 0 12.
local function rows_of(text)
  local rows = known[text]
  if rows then return rows end
  if known_count == KNOWN_MAX then known, known_count = {}, 0 end
  rows = tonumber(text:match "(%d+)%z$") or 0
  known[text], known_count = rows, known_count + 1
  return rows
end

--- CommandComplete
function on.C(conn, session, size, up)
  local text, head = up:expect(size + 1), head_of(session)
  conn:write(text)
  if head then head.rows = head.rows + rows_of(text) end
  executed(conn, session)
  wrote(conn, size + 1)
  return true
end

local function is_sync(entry) return entry.kind == "sync" end

-- The server skips what is left of a batch that has failed.
local function failed(session, head, code)
  session.copying, session.since = false, nil
  head.code = code
  if head.kind == "query" then return end -- until ReadyForQuery
  finish(session, head)
  session.failed = head.kind ~= "none" and not sessions.find(session, is_sync)
end

--- ErrorResponse
function on.E(conn, session, size, up)
  local head = head_of(session) or { kind = "none", text = "", start = ld.now(), waited = 0, rows = 0 }
  if not head.refused then
    failed(session, head, up:peek(math.min(size + 1, 1000)):match "%zC(%w%w%w%w%w)%z" or "?")
    return
  end
  up:skip(size + 1)
  conn:write(client.REFUSAL)
  failed(session, head, sessions.REFUSED)
  return true
end

local function ends(entry) return entry.kind == "query" or entry.kind == "sync" end

--- ReadyForQuery
function on.Z(conn, session, size, up)
  local text, head = up:expect(size + 1), head_of(session)
  session.status = text:byte(6)
  conn:write(text)
  if head and not ends(head) then head = sessions.find(session, ends) end
  if head then pop(session) end
  if head and head.kind == "query" then finish(session, head) end
  if session.draining then M.leave_if_draining(conn) end
  wrote(conn, size + 1)
  return true
end

--- CopyInResponse
function on.G(_, session) sessions.begin_copy(session) end

local take = {}
for letter, fn in pairs(on) do take[letter:byte()] = fn end

--- While the gateway drains, a client leaves when it is between two transactions.
function M.leave_if_draining(conn)
  local session = conn.session
  if session.status == IDLE and sessions.at_rest(session) then
    frames.dismiss(conn, "57P01", "the gateway is being shut down", "drain")
  end
end

-- One message after another, until the server ends its side.
local function pass_all(conn, session, up)
  while true do
    local kind, size = up:peek(HEADER)
    if not kind then return end
    local look = take[kind]
    if not (look and look(conn, session, size, up)) then pass(up, conn, size) end
  end
end

--- The task that passes on what the server says, and ends the connection when the server does.
function M.run(conn)
  local ok, err = pcall(pass_all, conn, conn.session, conn.up)
  if ok then return conn:close "the server has ended" end
  frames.dismiss(conn, "08006", "the server is lost: " .. tostring(err.code or "error"), "server lost")
  if not err.code or err.code == "error" then error(err, 0) end
end

return M
