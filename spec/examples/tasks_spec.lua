local t = require "linedancer.testing"
local tasks = require "examples.tasks"

describe("examples/tasks.lua", function()
  local now = t.advance(0) -- as many pieces as it takes

  it("answers a short question while a long one is being counted", function()
    local run = t.play(tasks, { "count 100000\ncount 1000\n", t.eof, now })
    assert.same({ sent = "1000: 168\n100000: 9592\n", reason = "done" }, run)
  end)

  it("counts right", function()
    for n, primes in pairs { [0] = 0, [1] = 0, [2] = 1, [3] = 2, [9] = 4, [11] = 5, [100] = 25 } do
      assert.equal(n .. ": " .. primes .. "\n", t.play(tasks, { "count " .. n .. "\n", t.eof, now }).sent)
    end
  end)

  it("says where it is", function()
    local run = t.play(tasks, { "where 7\ncount 100000\n", "where 100000\n" })
    assert.truthy(run.sent:find "^100000: at %d+\n$")
  end)

  it("stops what is not wanted any more", function()
    local run = t.play(tasks, { "count 1000000\n", "stop 1000000\nstop 7\n", t.eof, now })
    assert.same({ sent = "", reason = "done" }, run)
  end)

  it("has four tasks at once and no large ones", function()
    local run = t.play(tasks, { "count 900000\ncount 800000\ncount 700000\ncount 600000\ncount 5\n",
      "stop 700000\ncount 7\ncount 1000001\n", t.eof })
    assert.truthy(run.sent:find "^5: not now\n.*7: 4\n")
    assert.truthy(run.sent:find "1000001: not now\n")
  end)

  it("ends a connection that wants something else", function()
    for _, line in ipairs { "dance", "count", "count x", "count 12345678901234567890" } do
      assert.truthy(t.play(tasks, { line .. "\n" }).reason)
    end
    t.every_truncation(tasks, "count 5\nstop 5\n")
  end)
end)
