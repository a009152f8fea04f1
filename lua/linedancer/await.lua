--- linedancer.await: what a leaf of the core said becomes a wait, a result or an error.
local api = require "linedancer.api"
local errors = require "linedancer.errors"

local M = {}

local status, WAIT, R, W = api.status, api.WAIT, api.result, api.vm
local alive, late = api.struct.alive, api.core.late
local OK, AGAIN, EOF = status.OK, status.AGAIN, status.EOF
local yield = coroutine.yield

-- Codes whose offset the core knows, and whether it knows the field as well.
local PLACED = { limit = true, mismatch = true, range = true, varint = true, truncated = false }
local LATE = {
  lifetime = "it has lasted for longer than limits.lifetime allows",
  stall = "the peer takes nothing (limits.stall)",
}
local OVERFLOW = "more output is queued than limits.output allows"

-- The name, else the number, of the field of FORMAT at fault.
local function field_of(format)
  local field = format.fields[R.field + 1]
  return field and field.name or R.field + 1
end

--- The status called CODE as an error object of CONN, with the offset that the core left in api.result. FIELD, the
-- name or number of the field at fault, may be nil.
function M.failure(conn, code, field)
  if code == "timeout" then
    local limit = late(conn[1])
    return errors.new(code, LATE[limit], conn, { limit = limit })
  end
  if PLACED[code] == nil then return errors.new(code, nil, conn) end
  if code == "limit" and alive(W, conn[1]) == 0 then return errors.new(code, OVERFLOW, conn, { limit = "output" }) end
  return errors.new(code, nil, conn, {
    offset = R.size, field = PLACED[code] and field or nil, limit = code == "limit" and "frame" or nil,
  })
end

--- Raise status ST as an error object of CONN. FORMAT is what was being read, if it was a frame.
function M.raise(conn, st, format)
  error(M.failure(conn, status[st], format and field_of(format)), 0)
end

--- ST is what a read leaf returned for CONN, and is not OK. Waits when the core recorded a wait. Returns OK, with the
-- outcome in api.result, or EOF; raises anything else. FORMAT, of a frame, must live for as long as the wait: its
-- reader passes it for that reason too.
function M.await(conn, st, format)
  if st == AGAIN then
    yield(WAIT)
    st = R.status
  end
  if st == OK or st == EOF then return st end
  M.raise(conn, st, format)
end

--- What a read returns that got no frame, for status ST: nil at a clean end; anything else is raised.
function M.missed(conn, st, format)
  if st == EOF then return nil end
  M.raise(conn, st, format)
end

return M
