--- gate.frames: messages of PostgreSQL's protocol that the gateway makes itself.
local ld = require "linedancer"

local M = {}

M.HEADER = ld.format ">B I4" -- a message's type, and its length without that

--- A whole message.
function M.frame(kind, body)
  return M.HEADER:pack(kind:byte(), #body + 4) .. body
end

--- An ErrorResponse of SEVERITY, ERROR or FATAL, with the SQLSTATE code.
function M.error(severity, code, text)
  return M.frame("E", ("S%s\0V%s\0C%s\0M%s\0\0"):format(severity, severity, code, text))
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
