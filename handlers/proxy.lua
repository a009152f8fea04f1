--- proxy: passes every connection on to another server, byte for byte.
--
--   client --> these bytes --> upstream
--          <-- those bytes <--
--
--   connect --> pipe     until both sides have ended
--
-- The end of one side is passed on, and the other goes on. So is a reset: what was cut off must not look whole. While
-- one side does not read, the other is not read from. An upstream that cannot be reached ends the client's connection.
local ld = require "linedancer"

local states = {}

function states.connect(conn)
  local options = conn.options
  local upstream, err = ld.connect(options.upstream, { timeout = options.connect_timeout })
  if not upstream then
    ld.log.warn("no upstream", { conn = conn.id, upstream = options.upstream, code = err.code, error = err.message })
    conn:close("upstream " .. err.code)
    return
  end
  conn.upstream = upstream
  if options.idle ~= 0 then conn:timeout("pipe", { idle = options.idle }) end
  return "pipe"
end

function states.pipe(conn)
  conn:pipe(conn.upstream)
end

local function pass_reset_on(conn, err)
  if err.code ~= "reset" then return end
  local other = err.conn == conn.id and conn.upstream or conn
  other:reset()
end

return {
  initial = "connect",
  states = states,
  options = {
    upstream = "",        -- host:port, [::1]:port or unix:/path
    connect_timeout = 10, -- seconds
    idle = 0,             -- seconds without a byte either way; 0: as in timeouts
  },
  timeouts = { connect = 60, pipe = { idle = 3600 } },
  on_error = pass_reset_on,
}
