-- Ids: one text for one connection or task, wherever it lives.
local id = require "linedancer.id"
local t = require "linedancer.testing"
local tasks = require "linedancer.task"
local workers = require "spec.support.workers"

describe("id", function()
  after_each(tasks.cancel_all)

  it("finds the connection that it was made of, until that ends", function()
    local text, conn
    t.play(function(c)
      conn, text = c, id.of(c)
      assert.equal(c, id.find(text))
      assert.equal(c, id.find(text .. "#17"))
      assert.equal(c, id.find(c))
      assert.equal(text, id.of(c))
    end, {})
    assert.matches("^0%.0%.%d+%.%d+$", text)
    assert.is_nil(id.find(text))
    assert.is_nil(id.find(conn))
    assert.equal(text, id.of(conn)) -- it is still called that
    assert.is_nil(id.here[text])
  end)

  it("is never the same for two connections", function()
    local seen = {}
    for _ = 1, 50 do
      t.play(function(c)
        assert.is_nil(seen[id.of(c)])
        seen[id.of(c)] = true
      end, {})
    end
  end)

  it("is the same before and after the first use that registers it", function()
    local first, later
    t.play({ initial = "s", states = { s = function(c) first = id.of(c) end },
      on_close = function(c) later = id.of(c) end }, {})
    assert.equal(first, later)
  end)

  it("tells the worker of one that lives elsewhere, while that lives", function()
    local world = workers.new(2)
    local one = world.workers[1].id
    local actor = workers.actor(world.workers[2])
    assert.matches("^2%.1%.", actor.id)
    assert.same({ nil, 2 }, { one.find(actor.id) })
    world:kill(2)
    assert.same({}, { one.find(actor.id) })
    world:announce(world:start(2, 2))
    assert.same({}, { one.find(actor.id) })
  end)

  it("is taken apart", function()
    assert.same({ 1, 3, 17, 4 }, { id.parse "1.3.17.4" })
    assert.same({ 1, 3, 17, 4 }, { id.parse "1.3.17.4#9" })
    assert.equal("1.3.17.4", id.plain "1.3.17.4#9")
    for _, text in ipairs { "", "1.2.3", "1.2.3.4.5", "1.2.3.x", "1.2.3.4#", "1.2.3.4#x", " 1.2.3.4", 5, false } do
      assert.is_nil(id.parse(text))
    end
  end)

  it("raises for what is no id", function()
    for _, value in ipairs { "", "bob", 5, {}, setmetatable({ 1 }, {}), true } do
      local ok, err = pcall(function() return (id.find(value)) end)
      assert.is_false(ok)
      assert.matches("an id is expected", err)
    end
    assert.is_false((pcall(id.find, nil)))
  end)
end)
