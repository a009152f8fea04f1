--- redis: a client for the specs of handlers/resp.lua, without sockets.
local resp = require "handlers.resp"
local t = require "linedancer.testing"

local M = {}

--- The words as a client sends them: an array of bulks.
function M.command(...)
  local parts = { ("*%d\r\n"):format(select("#", ...)) }
  for _, word in ipairs { ... } do parts[#parts + 1] = ("$%d\r\n%s\r\n"):format(#word, word) end
  return table.concat(parts)
end

-- Replies on one line: a space for each CR LF.
local function legible(bytes)
  return (bytes:gsub("\r\n", " "):gsub(" +$", ""))
end

--- A client of a fresh server. client(words...), or client "an inline command", returns the reply on one line.
function M.client(opts)
  local play = t.begin(resp, opts or {})
  local client = { play = play }
  t.perform(play, M.command "FLUSHALL")
  play.peer:sent()
  return setmetatable(client, {
    __call = function(_, first, ...)
      t.perform(play, select("#", ...) > 0 and M.command(first, ...) or first .. "\r\n")
      return legible(play.peer:sent())
    end,
  })
end

--- SECONDS pass.
function M.wait(client, seconds)
  t.perform(client.play, t.advance(seconds))
end

--- Send TEXT to a fresh server and return run and path, as t.play does.
function M.play(text, opts)
  return t.play(resp, { M.command "FLUSHALL", text }, opts)
end

--- Each of DIALOGUE is { command, reply }: an inline command and its reply on one line.
function M.converse(client, dialogue)
  for i, step in ipairs(dialogue) do
    local reply = client(step[1])
    if reply ~= step[2] then
      error(("step %d, %s: the reply is %q, not %q"):format(i, step[1], reply, step[2]), 2)
    end
  end
end

return M
