--- gate.frames: messages of PostgreSQL's protocol that the gateway makes itself.
local ld = require "linedancer"

local M = {}

local SMALL = 4096 -- bytes of a message that is passed on as a whole
local CHECK = 32768 -- bytes after which it is seen to that the other side takes them

M.HEADER = ld.format ">B I4" -- a message's type, and its length without that

--- A whole message.
function M.frame(kind, body)
  return M.HEADER:pack(kind:byte(), #body + 4) .. body
end

--- An ErrorResponse of SEVERITY, ERROR or FATAL, with the SQLSTATE code.
function M.error(severity, code, text)
  return M.frame("E", ("S%s\0V%s\0C%s\0M%s\0\0"):format(severity, severity, code, text))
end

--- N bytes have been written to TO. Waits when it takes too little of them.
function M.wrote(to, n)
  local passed = (to.passed or 0) + n
  to.passed = passed
  if passed < CHECK then return end
  to.passed = 0
  if to.unsent > CHECK then to:flush() end
end

--- Pass on the message of SIZE + 1 bytes that FROM has next, to TO.
function M.pass(from, to, size)
  if size >= SMALL then
    to.torn = true
    from:relay(to, size + 1)
    to.torn = false
    return
  end
  to:write(from:slice(size + 1))
  M.wrote(to, size + 1)
end

--- Tell the client why its connection ends, if it is between two messages.
function M.last_words(conn, code, text)
  if not conn.torn then conn:write(M.error("FATAL", code, text)) end
end

--- End the connection with REASON, and say why.
function M.dismiss(conn, code, text, reason)
  M.last_words(conn, code, text)
  conn:close(reason)
end

return M
