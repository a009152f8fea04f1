--- linedancer.message.notice: what linedancer itself tells a connection, which must not be lost.
--
-- A full mailbox is tried again until there is room, or the connection has ended.
local alarm = require "linedancer.alarm"
local mailbox = require "linedancer.mailbox"

local M = {}

local RETRY = 0.1 -- seconds

local function again(conn, notice)
  M.give(conn, notice.from, notice.message)
end

--- Queue MESSAGE from FROM, an id, for CONN, a connection or task of this worker.
function M.give(conn, from, message)
  local ok, why = mailbox.deliver(conn, from, message)
  if not ok and why == "full" then alarm.set(RETRY, again, conn, { from = from, message = message }) end
end

return M
