--- linedancer.await: what a leaf of the core said becomes a wait, a result or an error.
local api = require "linedancer.api"
local errors = require "linedancer.errors"

local M = {}

local status, WAIT, R = api.status, api.WAIT, api.result
local OK, AGAIN, EOF = status.OK, status.AGAIN, status.EOF
local yield = coroutine.yield

-- Codes whose offset the core knows, and whether it knows the field as well.
local PLACED = { limit = true, mismatch = true, range = true, varint = true, truncated = false }

-- The name, else the number, of the field of FORMAT at fault.
local function field_of(format)
  local field = format.fields[R.field + 1]
  return field and field.name or R.field + 1
end

--- Raise status ST as an error object of CONN. FORMAT is what was being read, if it was a frame.
function M.raise(conn, st, format)
  local code = status[st]
  local placed, details = PLACED[code], nil
  if placed ~= nil then details = { offset = R.size, field = placed and format and field_of(format) or nil } end
  error(errors.new(code, nil, conn, details), 0)
end

--- ST is what a read leaf returned for CONN, and is not OK. Waits when the core recorded a wait. Returns OK, with the
-- outcome in api.result, or EOF; raises anything else. FORMAT, of a frame, must live for as long as the wait: its
-- reader passes it for that reason too.
function M.await(conn, st, format)
  if st == AGAIN then st = yield(WAIT) end
  if st == OK or st == EOF then return st end
  M.raise(conn, st, format)
end

--- What a read returns that got no frame, for status ST: nil at a clean end; anything else is raised.
function M.missed(conn, st, format)
  if st == EOF then return nil end
  M.raise(conn, st, format)
end

return M
