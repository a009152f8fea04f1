local pace = require "linedancer.pace"

describe("the pace of a drain", function()
  it("ends a few at once, and many over half of the time", function()
    assert.equal(0, pace.share(0, 30))
    assert.equal(100, pace.share(100, 30))
    assert.equal(100, pace.share(5000, 30))
    local left, seconds = 60000, 30
    while left > 0 do
      local share = pace.share(left, seconds)
      assert.is_true(share <= left and share <= 60000 / 100)
      left, seconds = left - share, seconds - pace.TICK
      assert.is_true(seconds > 1)
    end
  end)

  it("ends all that are left at the end", function()
    assert.equal(5000, pace.share(5000, 0))
    assert.equal(5000, pace.share(5000, -1))
  end)
end)
