local config = require "linedancer.config"
local echo = require "handlers.echo"
local proxy = require "handlers.proxy"
local t = require "linedancer.testing"

describe("examples/proxy.lua", function()
  it("leads from one of its listeners to the other", function()
    local gateway = assert(config.load("examples/proxy.lua", "handlers"))
    local front, back = gateway.listen[1], gateway.listen[2]
    assert.equal(back.name, front.options.upstream)
    local world = t.world()
    world:listen(front.options.upstream, echo)
    local client = world:connect(proxy, { options = front.options })
    assert.equal("hello\n", client:send("hello\n"):sent())
    client:finish()
    assert.equal("done", client.reason)
    world:close()
  end)
end)
