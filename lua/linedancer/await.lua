--- linedancer.await: what a leaf of the core said becomes a wait, a result or an error.
local api = require "linedancer.api"
local errors = require "linedancer.errors"

local M = {}

local status, WAIT, R = api.status, api.WAIT, api.result
local OK, AGAIN, EOF = status.OK, status.AGAIN, status.EOF
local yield = coroutine.yield

-- Codes whose offset and field the core knows.
local PLACED = { limit = true, mismatch = true, range = true, varint = true, truncated = true }

--- Raise status ST as an error object of CONN.
function M.raise(conn, st)
  local code = status[st]
  local details = PLACED[code] and { offset = R.size, field = R.field > 0 and R.field + 1 or nil }
  error(errors.new(code, nil, conn, details or nil), 0)
end

--- ST is what a read leaf returned for CONN, and is not OK. Waits when the core recorded a wait. Returns OK, with the
-- outcome in api.result, or EOF; raises anything else.
function M.await(conn, st)
  if st == AGAIN then st = yield(WAIT) end
  if st == OK or st == EOF then return st end
  M.raise(conn, st)
end

return M
