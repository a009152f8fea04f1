--- scaffold/proxy: a gateway before another server.
local M = {}

M.handler = [=[
--- $NAME: passes every connection on to another server, byte for byte.
--
--   client --> these bytes --> the server at `to`
--          <-- those bytes <--
--
--   connect --> pipe     until both sides have ended
--
-- The end of one side is passed on, and the other goes on. Who does not read makes the other wait.
local ld = require "linedancer"

local states = {}

function states.connect(conn)
  local options = conn.options
  local upstream, err = ld.connect(options.to, { timeout = options.connect_timeout })
  if not upstream then
    ld.log.warn("no upstream", { conn = conn.id, to = options.to, code = err.code, error = err.message })
    conn:close("upstream " .. err.code)
    return
  end
  conn.upstream = upstream                        -- it ends with this connection
  return "pipe"
end

function states.pipe(conn)
  conn:pipe(conn.upstream)                        -- in C, both ways; conn:relay(upstream, n) moves one frame's body
end

-- A reset is passed on, too: what was cut off must not look whole.
local function pass_reset_on(conn, err)
  if err.code ~= "reset" or not conn.upstream then return end
  local other = err.conn == conn.id and conn.upstream or conn
  other:reset()
end

return {
  initial = "connect",
  states = states,
  options = {
    to = "127.0.0.1:8000",                        -- host:port, [::1]:port or unix:/path
    connect_timeout = 5,                          -- seconds
  },
  timeouts = { connect = 30, pipe = { idle = 600 } }, -- seconds; idle: without a byte either way
  on_error = pass_reset_on,
}
]=]

M.spec = [=[
local handler = require "handlers.$NAME"
local ld = require "linedancer"
local t = require "linedancer.testing"

describe("$NAME", function()
  local world, upstream

  -- The server behind it is played by the spec: `upstream` is its end of the connection.
  before_each(function()
    world, upstream = t.world {}, nil
    world:accept("up:80", function(peer) upstream = peer end)
  end)

  after_each(function() world:close() end)

  local function connect(options)
    options = options or {}
    options.to = options.to or "up:80"
    return world:connect(handler, { options = options })
  end

  -- The fields of the warning that FN logs.
  local function warning(fn)
    local warn = stub(ld.log, "warn")
    fn()
    warn:revert()
    assert.stub(warn).was.called(1)
    return warn.calls[1].vals[2]
  end

  it("passes bytes on both ways, and each end", function()
    local client = connect():send "ask"
    assert.equal("ask", upstream:sent())
    upstream:send "answer"
    assert.equal("answer", client:sent())
    client:finish()
    assert.is_true(upstream.half_closed)
    upstream:send ", and more"
    assert.equal(", and more", client:sent())
    upstream:finish()
    assert.equal("done", client.reason)
  end)

  it("keeps what the client sends before the server is there", function()
    world:fault { delay = 2 }
    connect():send "early"
    assert.is_nil(upstream)
    world:advance(2)
    assert.equal("early", upstream:sent())
  end)

  it("says so when the server cannot be reached, or does not answer in time", function()
    local client
    local fields = warning(function() client = connect { to = "nobody:80" } end)
    assert.equal("upstream refused", client.reason)
    assert.same({ "nobody:80", "refused" }, { fields.to, fields.code })
    world:fault { timeout = "up:80" }
    fields = warning(function()
      client = connect { connect_timeout = 3 }
      world:advance(3.1)
    end)
    assert.equal("upstream timeout", client.reason)
    assert.equal("timeout", fields.code)
  end)

  it("passes a reset on, either way", function()
    local client = connect()
    upstream:reset()
    assert.equal("reset", client.reason)
    client = connect()
    client:reset()
    assert.equal("reset", upstream.reason)
  end)

  it("ends after ten minutes without a byte; bytes either way count", function()
    local client = connect()
    for _ = 1, 3 do
      world:advance(500)
      upstream:send "x"
    end
    assert.is_nil(client.reason)
    world:advance(601)
    assert.equal("timeout", client.reason)
  end)
end)
]=]

M.config = [=[
-- python3 -m http.server --bind 127.0.0.1 8000        a server to pass connections on to
-- linedancer run $NAME.conf.lua
-- printf 'GET / HTTP/1.0\r\n\r\n' | nc 127.0.0.1 7000
--
-- Serves handlers/$NAME.lua to this machine alone; "[::]:7000" would be for all.
return {
  watch = true, -- a file that changes is loaded again, while connections live
  listen = {
    { "127.0.0.1:7000", handler = "$NAME", options = { to = "127.0.0.1:8000" } },
  },
}
]=]

return M
