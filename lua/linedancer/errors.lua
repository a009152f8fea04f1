--- linedancer.errors: the error object that reads raise.
--
-- { code, message, state, offset, field, conn, limit }, one line by tostring; `limit` names the one that was met.
-- Codes: truncated timeout reset limit mismatch
-- range varint stale busy hook closed refused unreachable dns tls protocol fail error.
local M = {}

local Error = { __name = "linedancer.error" }
Error.__index = Error

--- What reads and other calls raise. tostring(err) is one line.
---@class linedancer.Error
---@field code linedancer.ErrorCode what has happened
---@field message string the same in words
---@field state? string in which the connection was
---@field conn? string id of the connection
---@field offset? integer of the frame, in bytes, at which it is wrong
---@field field? string|integer of the format: its name, else its number
---@field limit? string which limit was met: "frame", "output", "turn", "memory", "lifetime", "stall", "idle" or "total"
---@field traceback? string of an error in the code

--- What has happened.
---@alias linedancer.ErrorCode
---| "truncated" # the peer left inside a frame
---| "timeout" # the state took too long, or the peer was silent, or another limit of time was met
---| "reset" # the peer reset the connection
---| "limit" # a frame, field, queue or something else would exceed its limit
---| "mismatch" # a literal or a digit is not what the format says
---| "range" # a number does not fit
---| "varint" # a varint is longer than its encoding allows
---| "stale" # a borrowed slice was used after its time
---| "busy" # another read is pending on this connection, or the buffer is sealed
---| "hook" # a hook tried to wait
---| "closed" # the connection has ended
---| "refused" # the peer refused the connection
---| "unreachable" # no route, or no answer
---| "dns" # a name could not be resolved
---| "tls" # a TLS failure
---| "protocol" # the peer broke the rules of the transport
---| "fail" # conn:fail(reason)
---| "error" # a Lua error in the handler, or a system error
---| "nomem" # out of memory

local TEXT = {
  truncated = "the peer left inside a frame",
  timeout = "the state took too long",
  reset = "the peer reset the connection",
  limit = "a frame is over its limit",
  mismatch = "unexpected bytes",
  range = "a number is out of range",
  varint = "a varint is too long",
  stale = "a slice or buffer was used after its time; :keep() it",
  busy = "another read is pending on this connection",
  hook = "a hook cannot wait",
  closed = "the connection has ended",
  nomem = "out of memory",
}

function Error:__tostring()
  local parts = {}
  if self.state then parts[#parts + 1] = "state " .. self.state end
  if self.field then parts[#parts + 1] = "field " .. tostring(self.field) end
  if self.offset then parts[#parts + 1] = "offset " .. self.offset end
  local where = #parts > 0 and " (" .. table.concat(parts, ", ") .. ")" or ""
  local line = self.code .. ": " .. self.message .. where
  return (line:gsub("%s*\n%s*", " | "):gsub("%c", "?"))
end

--- A new error object. MESSAGE defaults to what CODE means. DETAILS (may be nil): offset, field.
function M.new(code, message, conn, details)
  return setmetatable({
    code = code,
    message = message or TEXT[code] or code,
    state = conn and conn.state,
    conn = conn and conn.id,
    offset = details and details.offset,
    field = details and details.field,
    traceback = details and details.traceback,
    limit = details and details.limit,
  }, Error)
end

--- Is X an error object?
function M.is(x)
  return getmetatable(x) == Error
end

-- What LuaJIT says when a read waits where its coroutine cannot be suspended.
local PINNED = "attempt to yield across C%-call boundary"

-- What the watchdog says; see core/bind/watchdog.h.
local STOPPED = "computed for too long without waiting"

-- What is raised where there is no more memory; see core/bind/budget.h.
local SPENT = "more memory is used than limits.memory allows"

-- X, which anybody may have raised, as text.
local function text_of(x)
  local ok, text = pcall(tostring, x)
  if not ok or type(text) ~= "string" then return "an error value whose __tostring failed" end
  if type(x) == "table" and text:find "^table: " then return "an error object without __tostring: " .. text end
  if type(x) == "string" and text:find(PINNED) then
    return "a read cannot wait inside a callback of table.sort, string.gsub, require or another C function: " .. text
  end
  return text
end

--- Any error value as an error object; a foreign one gets the code "error", and what the watchdog raised, or was raised
-- for want of memory, "limit".
function M.wrap(x, conn, traceback)
  if M.is(x) then return x end
  local text = text_of(x)
  local code, limit = "error", nil
  if text:find(STOPPED, 1, true) then
    code, limit, text = "limit", "turn", STOPPED .. " (limits.turn)"
  elseif text:find(SPENT, 1, true) then
    code, limit = "limit", "memory"
  end
  -- Addresses are nobody's business, least of all a handler's that is not trusted.
  traceback = traceback and traceback:gsub(" at 0x%x+", "")
  return M.new(code, text, conn, { traceback = traceback, limit = limit })
end

return M
