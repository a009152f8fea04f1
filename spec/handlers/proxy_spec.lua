-- The proxy, in a world whose upstream is played by the spec.
local logged = require "spec.support.logged"
local proxy = require "handlers.proxy"
local t = require "linedancer.testing"

describe("proxy", function()
  local world, upstream

  before_each(function()
    world, upstream = t.world {}, nil
    world:accept("up:80", function(peer) upstream = peer end)
  end)

  after_each(function() world:close() end)

  local function connect(options)
    options = options or {}
    options.upstream = options.upstream or "up:80"
    return world:connect(proxy, { options = options })
  end

  it("passes bytes on both ways, and each end", function()
    local client = connect():send "ask"
    assert.equal("ask", upstream:sent())
    upstream:send "answer"
    assert.equal("answer", client:sent())
    client:finish()
    upstream:send ", and more"
    assert.equal(", and more", client:sent())
    assert.is_nil(client.reason)
    upstream:finish()
    assert.equal("done", client.reason)
    assert.equal("closed", upstream.reason)
  end)

  it("keeps what comes before the upstream is there", function()
    world:fault { delay = 2 }
    local client = connect():send "early"
    assert.is_nil(upstream)
    client:send " bird"
    world:advance(2)
    assert.equal("early bird", upstream:sent())
  end)

  it("reads no more than it can keep while the upstream is not there", function()
    world:fault { delay = 2 }
    local conn
    local client = world:connect(proxy, {
      options = { upstream = "up:80" },
      setup = function(c) conn = c end,
    })
    for _ = 1, 20 do client:send(("x"):rep(2 ^ 16)) end
    assert.is_true(conn.unread > 0 and conn.unread < 2 ^ 17)
    world:advance(2)
    assert.equal(20 * 2 ^ 16, #upstream:sent())
  end)

  it("ends the client's connection when the upstream cannot be reached, and says so", function()
    local client
    local lines = logged(function()
      client = connect { upstream = "nobody:80" }
      world:run()
    end)
    assert.equal("upstream refused", client.reason)
    assert.equal("no upstream", lines[1].text)
    assert.equal("nobody:80", lines[1].fields.upstream)
  end)

  it("gives up an upstream that does not answer in time", function()
    world:fault { timeout = "up:80" }
    local client
    logged(function()
      client = connect { connect_timeout = 3 }
      world:advance(3.1)
    end)
    assert.equal("upstream timeout", client.reason)
  end)

  it("passes a reset on, either way", function()
    local client = connect()
    logged(function() upstream:reset() end)
    assert.equal("reset", client.reason)
    client = connect()
    logged(function() client:reset() end)
    assert.equal("reset", client.reason)
    assert.equal("reset", upstream.reason)
  end)

  it("ends both when nothing comes for too long; bytes either way count", function()
    local client = connect { idle = 10 }
    for _ = 1, 5 do
      world:advance(8)
      upstream:send "x"
    end
    assert.is_nil(client.reason)
    logged(function() world:advance(10.1) end)
    assert.equal("timeout", client.reason)
    assert.is_not_nil(upstream.reason)
  end)
end)
