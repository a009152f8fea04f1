local config = require "linedancer.config"
local t = require "linedancer.testing"

describe("examples/workers.lua", function()
  it("is a valid config with two workers", function()
    local gateway = assert(config.load("examples/workers.lua", "handlers"))
    assert.equal(2, gateway.workers)
    assert.truthy(gateway.listen[1].file:find "examples/workers/which%.lua$")
  end)
end)

describe("examples/workers/which.lua", function()
  it("counts the connections of its worker", function()
    local which = require "examples.workers.which"
    for i = 1, 2 do
      assert.same({ sent = "worker 0, connection " .. i .. "\n", reason = "done" }, (t.play(which, {})))
    end
  end)
end)
