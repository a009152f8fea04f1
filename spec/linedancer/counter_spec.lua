local ld = require "linedancer"

describe("counter", function()
  it("begins at zero and adds one, or more", function()
    local counter = ld.counter "counter_spec.a"
    assert.equal(0, counter.value)
    assert.equal(1, counter:add())
    assert.equal(6, counter:add(5))
    assert.equal(6, counter.value)
  end)

  it("is the same for the same name", function()
    ld.counter("counter_spec.b"):add()
    assert.equal(1, ld.counter("counter_spec.b").value)
    assert.equal(0, ld.counter("counter_spec.c").value)
  end)

  it("only grows", function()
    local counter = ld.counter "counter_spec.d"
    for _, n in ipairs { -1, 0 / 0, "x" } do
      assert.has_error(function() counter:add(n) end)
    end
    assert.equal(0, counter.value)
  end)
end)
