local config = require "linedancer.config"

describe("examples/gateway.lua", function()
  it("is a valid config that offers every bundled handler on loopback", function()
    local gateway = assert(config.load("examples/gateway.lua", "handlers"))
    assert.equal(1, gateway.workers) -- with more, clients of resp would not find the same data
    local offered = {}
    for _, listener in ipairs(gateway.listen) do
      assert.equal("127.0.0.1", listener.address.host)
      offered[listener.address.port] = listener.handler
    end
    assert.same({ [7000] = "echo", [7001] = "greeter", [7002] = "line", [6380] = "resp", [1935] = "rtmp" },
      offered)
  end)
end)
