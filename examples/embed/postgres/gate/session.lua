--- gate.session: what the server has yet to answer to a client, how long it takes, and what is said of it in the log.
--
-- A session's queue holds entries from `first` to `last`: { kind, text, start, waited, rows, refused, code }. Kinds are
-- query, which ends with ReadyForQuery; parse; execute; and sync, which ends a batch of the two. The text is a string;
-- of a query, which is seldom said twice, a buffer: to make a string of each would cost more than all else here.
local ld = require "linedancer"

local M = {}

local NAMES_MAX = 500 -- statements and portals whose text is known
local QUEUE_MAX = 4096 -- more than the answers that fit into the 8 KB which the server holds back until a sync
local IDLE, FAILED = ("I"):byte(), ("E"):byte()

M.IDLE, M.REFUSED = IDLE, "53400" -- a transaction status; a SQLSTATE: configuration_limit_exceeded

local function bucket_of(user, options)
  if options.rate == 0 then return nil end
  local buckets = ld.keep "postgres.gate"
  buckets[user] = buckets[user] or { tokens = options.burst, at = ld.now() }
  return buckets[user]
end

--- The session of CONN, whose user the server has let in.
function M.new(conn)
  return {
    id = conn.id, options = conn.options, user = conn.user, database = conn.database,
    bucket = bucket_of(conn.user, conn.options), queue = {}, first = 1, last = 0, texts = {}, portals = {}, names = 0,
    status = IDLE, done = ld.now(),
    spare = false, since = false, failed = false, copying = false, held = false, draining = false,
  }
end

--- May the user run one more? True, after as many seconds as are returned as well; or false. In a transaction that has
-- failed it may: the server runs nothing but its end.
function M.admit(session)
  local bucket, options = session.bucket, session.options
  if not bucket or session.failed then return true, 0 end
  local now = ld.now()
  local tokens = math.min(options.burst, bucket.tokens + (now - bucket.at) * options.rate) - 1
  local wait = -tokens / options.rate
  bucket.at, bucket.tokens = now, tokens
  if wait <= 0 or session.status == FAILED then return true, 0 end
  if options.over == "error" or wait > options.delay then
    bucket.tokens = tokens + 1
    return false, 0
  end
  ld.sleep(wait)
  return true, wait
end

--- An entry for what the server is about to be told, and answers; the table and buffer of a former one are used again.
-- What is sent after a failure, up to the next sync, is not answered: nil.
function M.push(session, kind, text, waited, refused)
  if session.failed then return nil end
  local last, entry = session.last + 1, session.spare or { buffer = ld.buffer() }
  session.last, session.queue[last], session.spare = last, entry, false
  entry.kind, entry.text, entry.start, entry.waited = kind, text, session.since or ld.now(), waited
  entry.rows, entry.refused, entry.code = 0, refused or false, false
  return entry
end

--- The entry's text is what VIEW, bytes of a message, has behind its header.
function M.keep_text(entry, view)
  entry.text = entry.buffer
  entry.buffer:clear()
  entry.buffer:put(view, 6)
end

--- Wait while too much is unanswered.
function M.await_room(session)
  while session.last - session.first >= QUEUE_MAX do
    session.held = true
    ld.receive()
  end
end

--- The oldest entry; nil when all is answered.
function M.head(session)
  return session.queue[session.first]
end

--- It has been answered; it may be looked at until the next push.
function M.pop(session)
  local first, queue = session.first, session.queue
  session.spare, queue[first], session.first = queue[first], nil, first + 1
  if first == session.last then session.first, session.last = 1, 0 end
  if session.held and session.last - first < QUEUE_MAX / 2 then
    session.held = false
    ld.send(session.id, "room")
  end
end

--- The oldest entry that FN finds good, those before it being dropped; nil when there is none.
function M.find(session, fn)
  while session.first <= session.last do
    local head = M.head(session)
    if fn(head) then return head end
    M.pop(session)
  end
end

--- The server has begun to take a copy's data. It ignores syncs until that ends.
function M.begin_copy(session)
  session.copying = true
  while session.last > session.first and session.queue[session.last].kind == "sync" do
    session.queue[session.last] = nil
    session.last = session.last - 1
  end
end

--- Is nothing under way?
function M.at_rest(session)
  return session.first > session.last and not session.copying
end

--- Remember the TEXT of a statement or portal, in NAMES, session.texts or session.portals. When there are too many, all
-- are forgotten.
function M.remember(session, names, name, text)
  if not names[name] then
    session.names = session.names + 1
    if session.names > NAMES_MAX then
      for key in pairs(session.texts) do session.texts[key] = nil end
      for key in pairs(session.portals) do session.portals[key] = nil end
      session.names = 1
    end
  end
  names[name] = text
end

--- The statement or portal is no more.
function M.forget(session, names, name)
  if names[name] then names[name], session.names = nil, session.names - 1 end
end

-- TEXT as it may be logged: up to the zero that ends it, cut between characters, and without passwords.
local function presentable(text, most)
  text = tostring(text):match "^%Z*"
  if text:lower():find("password", 1, true) then return (text:match "^%s*%a+%s+%a+" or "") .. " (a password)" end
  if #text <= most then return text end
  local cut, next_byte = text:sub(1, most), text:byte(most + 1)
  if next_byte >= 128 and next_byte < 192 then cut = cut:gsub("[\192-\255][\128-\191]*$", "") end
  return cut .. "..."
end

--- ENTRY, a statement, has been answered: count it, and log it if it is slow or has failed.
function M.finish(session, entry)
  local options, now = session.options, ld.now()
  local ms = (now - math.max(entry.start, session.done)) * 1000
  session.done = now
  options.on_statement(session.user, session.database, ms, entry.rows, entry.code or nil)
  if not entry.code and ms < options.slow then return end
  ld.log.info("statement", {
    conn = session.id, user = session.user, database = session.database,
    statement = presentable(entry.text, options.statement), ms = ("%.3f"):format(ms), rows = entry.rows,
    sqlstate = entry.code or nil, waited = entry.waited > 0 and ("%.3f"):format(entry.waited * 1000) or nil,
  })
end

return M
