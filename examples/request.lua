-- build/linedancer run --listen 127.0.0.1:7013 --handler examples/request.lua
-- socat TCP:127.0.0.1:7013 SYSTEM:'echo serve shout; stdbuf -o0 tr a-z A-Z' & sleep 1
-- printf 'ask shout hello\nask sing hello\n' | nc -N 127.0.0.1 7013
--
-- Request and reply between connections: one serves, others ask it, and each answer finds the one that asked.
--
--   from who asks      ask NAME TEXT LF      a question                   = ANSWER LF, or ! WHY LF
--   from who serves    serve NAME LF         questions for NAME, here     nothing, or ! taken LF
--                      # NUMBER ANSWER LF    the answer to a question
--   to who serves      # NUMBER TEXT LF      a question
--
--   open --> line --> line ...     until the peer ends its side; who waits for its answers is told that it is gone
local ld = require "linedancer"

local PREFIX, LINE_MAX = "examples/request/", 1000
local OPEN_MAX = 100 -- questions that one connection has not answered: older ones are forgotten

local states, commands = {}, {}

function commands.ask(conn, name, text)
  local service = ld.whereis(PREFIX .. name)
  if not service then return conn:write "! nobody\n" end
  local answer, why = ld.call(service, text, conn.options.patience)
  conn:write(answer and "= " or "! ", answer or why, "\n")
end

function commands.serve(conn, name)
  local ok, why = ld.register(PREFIX .. name)
  if not ok then conn:write("! ", why, "\n") end
end

commands["#"] = function(conn, number, answer)
  local from = conn.questions[tonumber(number)]
  if from then ld.reply(from, answer) end
end

function states.open(conn)
  conn.questions, conn.last = {}, 0
  return "line"
end

function states.line(conn)
  local line = conn:read_line(LINE_MAX)
  if not line then return end
  local verb, name, text = line:match "^(%S+) (%S+) ?(.*)$"
  if not commands[verb] then conn:fail "ask, serve or # expected" end
  commands[verb](conn, name, text)
  return "line"
end

local function on_message(conn, from, question)
  conn.last = conn.last + 1
  conn.questions[conn.last], conn.questions[conn.last - OPEN_MAX] = from, nil
  conn:write("# ", conn.last, " ", question, "\n")
end

return { initial = "open", states = states, options = { patience = 5 }, timeouts = { open = 5, line = { idle = 3600 } },
  on_message = { line = on_message } }
