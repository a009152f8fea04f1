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

local function given(text) return text ~= "" and text or nil end

-- What ld.connect takes as `tls`; see linedancer.tls.client.
local function tls_of(options)
  if not options.tls then return nil end
  return {
    server_name = given(options.server_name), ca = given(options.ca), verify = options.verify,
    certificate = given(options.certificate), key = given(options.key),
  }
end

function states.connect(conn)
  local options = conn.options
  local upstream, err = ld.connect(options.upstream, {
    timeout = options.connect_timeout, tls = tls_of(options),
    proxy = options.send_proxy ~= 0 and { of = conn, version = options.send_proxy } or nil,
  })
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
    send_proxy = 0,       -- say whom it is for, by the PROXY protocol, version 1 or 2; 0: do not
    tls = false,          -- to the upstream, and then:
    server_name = "",     -- who it is to be; "": the host of `upstream`
    ca = "",              -- a file of who vouches for that; "": those whom the system trusts
    verify = true,        -- false: nobody need to
    certificate = "", key = "", -- files: who we are
  },
  timeouts = { connect = 60, pipe = { idle = 3600 } },
  on_error = pass_reset_on,
}
