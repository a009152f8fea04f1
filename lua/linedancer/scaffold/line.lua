--- scaffold/line: a protocol of commands, one a line.
local M = {}

M.handler = [=[
--- $NAME: commands, one a line, each answered by a line.
--
--   from the client   COMMAND [ARGUMENTS] LF     at most LINE_MAX bytes; CR LF will do; commands in any case
--   to the client     OK RESULT LF, or ERR REASON LF
--
--   PING              OK PONG
--   ECHO TEXT         OK TEXT
--   ADD NUMBER...     OK their sum
--   QUIT              OK BYE, and the end
--
--   command --> command ...     until QUIT, ERRORS_MAX errors in a row, or the client ends its side
local LINE_MAX, ERRORS_MAX = 1000, 5

local states = {}

-- By name: each takes the text behind it, and returns the result; or nil and what is wrong.
local commands = {}

function commands.ping() return "PONG" end

function commands.echo(text) return text end

function commands.add(text)
  local sum = 0
  for word in text:gmatch "%S+" do
    local number = tonumber(word)
    if not number then return nil, "ADD takes numbers" end
    sum = sum + number
  end
  return sum
end

-- ERRORS is how many there have been in a row, or nil: what a state returns behind a name is given to that state.
function states.command(conn, errors)
  local line = conn:read_line(LINE_MAX)
  if not line then return end
  local name, text = line:match "^(%S*)%s*(.*)$"
  if name:lower() == "quit" then
    conn:write "OK BYE\n"
    return                                        -- what was written is sent before the connection ends
  end
  local command, result, problem = commands[name:lower()], nil, "unknown command"
  if command then result, problem = command(text) end
  if result then
    conn:write("OK ", result, "\n")
    return "command"
  end
  conn:write("ERR ", problem, "\n")
  errors = (errors or 0) + 1
  if errors == ERRORS_MAX then conn:fail "too many errors" end
  return "command", errors
end

-- Where the next line begins is unknown, so the connection ends; but its client learns why.
local function explain(conn, err)
  if err.code == "limit" then conn:write("ERR a line has at most ", LINE_MAX, " bytes\n") end
end

return {
  initial = "command",
  states = states,
  timeouts = { command = 60 },                    -- seconds from one command to the end of the next
  on_error = explain,
}
]=]

M.spec = [=[
local handler = require "handlers.$NAME"
local t = require "linedancer.testing"

describe("$NAME", function()
  it("answers each command, however the bytes are cut", function()
    local script = { "PING\necho  two words\r\nAdd 1 2 3.5\n", t.eof }
    local run, path = t.play(handler, script)
    assert.same({ sent = "OK PONG\nOK two words\nOK 6.5\n", reason = "done" }, run)
    assert.same({ { "command" }, { "command" }, { "command" }, { "command" } }, path)
    t.every_split(handler, script, { sent = run.sent, reason = "done", path = path })
  end)

  it("is done or truncated wherever the client leaves", function()
    t.every_truncation(handler, "PING\nADD 1 x\nECHO hello\n")
  end)

  it("says goodbye, and hears nothing more", function()
    assert.same({ sent = "OK BYE\n", reason = "done" }, (t.play(handler, { "QUIT\nPING\n" })))
  end)

  it("says what is wrong, and goes on", function()
    local run = t.play(handler, { "DANCE\n", "\n", "ADD 1 x\n", "PING\n" })
    local errors = "ERR unknown command\nERR unknown command\nERR ADD takes numbers\n"
    assert.same({ sent = errors .. "OK PONG\n", state = "command" }, run)
  end)

  it("ends after five errors in a row; a good command forgives them", function()
    local four, err = ("?\n"):rep(4), "ERR unknown command\n"
    assert.same({ sent = err:rep(5), reason = "too many errors" }, (t.play(handler, { four, "?\nPING\n" })))
    assert.same({ sent = err:rep(4) .. "OK PONG\n" .. err:rep(4), state = "command" },
      (t.play(handler, { four, "PING\n", four })))
  end)

  it("takes lines of 1000 bytes, and refuses longer ones", function()
    local text = ("x"):rep(995)
    assert.equal("OK " .. text .. "\n", t.play(handler, { "ECHO " .. text .. "\n" }).sent)
    assert.same({ sent = "ERR a line has at most 1000 bytes\n", reason = "limit" },
      (t.play(handler, { "ECHO " .. text .. "x" })))
  end)

  it("gives a minute for each command, even if bytes trickle in", function()
    local script = { t.advance(50), "PING\n", t.advance(50), "PI", t.advance(9) }
    assert.equal("command", t.play(handler, script).state)
    script[#script + 1] = t.advance(2)
    assert.equal("timeout", t.play(handler, script).reason)
  end)
end)
]=]

M.config = [=[
-- linedancer run $NAME.conf.lua
-- printf 'PING\nADD 1 2\nQUIT\n' | nc 127.0.0.1 7000
--
-- Serves handlers/$NAME.lua to this machine alone; "[::]:7000" would be for all.
return {
  watch = true, -- a file that changes is loaded again, while connections live
  listen = {
    { "127.0.0.1:7000", handler = "$NAME" },
  },
}
]=]

return M
