--- resp: a cache that speaks Redis's protocol, RESP2 and RESP3.
--
--   *3 CRLF $3 CRLF SET CRLF $1 CRLF k CRLF $1 CRLF v CRLF   a command, an array of bulks; see resp/request.lua
--   SET k "a value" CRLF                                     the same, inline
--   +OK CRLF                                                 one reply for each; see resp/reply.lua
--
--   open --> command <--> command              until the peer ends its side, or QUIT
--            command --> again --> command     a frame that failed is read once more, word by word
--
-- The data is in memory only, in ld.keep "resp": it outlives reloads and connections, and each worker process has its
-- own. Integers are below 2^53, where Redis has 64 bits: INCR and its kin refuse to go beyond.
local commands = require "handlers.resp.commands"
local request = require "handlers.resp.request"
local server = require "handlers.resp.server"

for _, name in ipairs { "strings", "keys", "lists", "sets", "hashes", "zsets", "streams" } do
  require("handlers.resp." .. name)
end

local LINE, refuse = request.LINE, request.refuse
local one = commands.exact[1]
local two, three, four = unpack(commands.keyed, 2, 4)
local sliced = commands.sliced
local states = {}

function states.open(conn)
  conn.frames = request.frames(conn.options.max_bulk)
  conn.count, conn.words = false, false -- of the command that is being read
  server.open(conn)
  return "command"
end

-- What is not a well-known command with just its words.
local function answer(conn, words, n)
  conn.count = false
  commands.run(conn, words, n)
  return "command"
end

local function inline(conn, line)
  local words = request.split(line)
  if not words then refuse(conn, "unbalanced quotes in request") end
  if #words == 0 then return "command" end
  return answer(conn, words, #words)
end

-- Any command but those of two and three words.
local function other(conn, line)
  if line:byte() ~= 42 then return inline(conn, line) end
  local n = request.count(conn, line)
  if n < 1 then return "command" end
  conn.count = n
  if n > request.FEW then return answer(conn, request.many(conn, n), n) end
  local name, a, b, c = conn:expect(conn.frames[n])
  local run = n == 1 and one[name] or n == 4 and four[name]
  if not run then return answer(conn, { name, a and tostring(a), b, c }, n) end
  conn.count = false
  run(conn, a, b, c)
  return "command"
end

-- The way of GET and SET is two reads, one lookup and one write.
function states.command(conn)
  local line = conn:unpack(LINE)
  if line == "*3" then
    conn.count = 3
    local name, a, b = conn:expect(conn.frames[3])
    local run = sliced[name]
    if not run then
      run, b = three[name], tostring(b)
      if not run then return answer(conn, { name, tostring(a), b }, 3) end
    end
    conn.count = false
    run(conn, a, b)
    return "command"
  elseif line == "*2" then
    conn.count = 2
    local name, a = conn:expect(conn.frames[2])
    local run = two[name]
    if not run then return answer(conn, { name, tostring(a) }, 2) end
    conn.count = false
    run(conn, a)
    return "command"
  end
  if not line then return end
  return other(conn, line)
end

--- WORDS, those that were read, and more up to N, each a frame of its own.
function states.again(conn, words, n)
  for i = #words + 1, n do request.word(conn, words, i) end
  return answer(conn, words, n)
end

local IN_FRAME = { mismatch = true, limit = true, range = true }

-- What fails in "again" is answered; what fails before is read again there.
local function on_error(conn, err)
  if not IN_FRAME[err.code] then return end
  local n, words = conn.count, conn.words
  if n then
    conn.count, conn.words = false, false
    return "again", words or {}, n
  end
  if err.state == "again" then
    conn:write "-ERR Protocol error: invalid bulk length\r\n"
  elseif conn.unread >= request.LINE_MAX then
    conn:write "-ERR Protocol error: too big inline request\r\n"
  end
end

return {
  initial = "open",
  states = states,
  options = {
    max_bulk = 2^19,    -- bytes of one word; a reply with it has to fit in limits.output
    max_words = 2^20,   -- words of one command
    max_request = 2^26, -- bytes of one command of more than four words
  },
  limits = { frame = 2^20, output = 2^20 },
  timeouts = { { idle = 3600 }, open = 5, again = { idle = 60 } },
  on_error = on_error,
  on_close = server.close,
}
