local logged = require "spec.support.logged"
local play = require "spec.support.quietly"
local t = require "linedancer.testing"

-- A handler that reads single bytes, in state "a" until "n", then in "b".
local function reader(timeouts)
  return {
    initial = "a",
    states = {
      a = function(conn)
        while true do
          local byte = conn:read(1)
          if not byte then return end
          if byte == "n" then return "b" end
          if byte == "a" then return "a" end
        end
      end,
      b = function(conn) while conn:read(1) do end end, -- luacheck: ignore 542
    },
    timeouts = timeouts,
  }
end

describe("timeouts", function()
  it("that are a number bound the total time in a state, bytes or not", function()
    local handler = reader { a = 10 }
    assert.equal("a", play(handler, { t.advance(9.9) }).state)
    assert.equal("timeout", play(handler, { t.advance(10.1) }).reason)
    assert.equal("timeout", play(handler, { t.advance(6), "x", t.advance(6) }).reason)
    assert.equal("timeout", play(handler, { t.advance(6), "x", t.advance(3), "y", t.advance(2) }).error.code)
  end)

  it("that are idle start again at every byte", function()
    local handler = reader { a = { idle = 10 } }
    assert.equal("a", play(handler, { t.advance(9), "x", t.advance(9), "x", t.advance(9) }).state)
    assert.equal("timeout", play(handler, { t.advance(9), "x", t.advance(11) }).reason)
    local inside = { initial = "a", states = { a = function(conn) conn:read(5) end }, timeouts = { a = { idle = 10 } } }
    assert.equal("a", play(inside, { "1", t.advance(9), "2", t.advance(9), "3", t.advance(9) }).state)
    assert.equal("timeout", play(inside, { "1", t.advance(9), "2", t.advance(11) }).reason)
  end)

  it("may be both", function()
    local handler = reader { a = { idle = 4, total = 10 } }
    assert.equal("timeout", play(handler, { t.advance(5) }).reason)
    local slow = { t.advance(3), "x", t.advance(3), "x", t.advance(3), "x", t.advance(2) }
    assert.equal("timeout", play(handler, slow).reason)
    assert.equal("a", play(handler, { t.advance(3), "x", t.advance(3), "x", t.advance(3) }).state)
  end)

  it("have a default in [1], which false takes away", function()
    assert.equal("timeout", play(reader { 10 }, { "n", t.advance(11) }).reason)
    assert.equal("b", play(reader { 10, b = false }, { "n", t.advance(1000) }).state)
    assert.equal("timeout", play(reader { 10, b = 5 }, { "n", t.advance(6) }).reason)
    assert.equal("b", play(reader { 10, b = 20 }, { "n", t.advance(15) }).state)
    assert.equal("a", play(reader(nil), { t.advance(1e6) }).state)
  end)

  it("start again with every entry, of the same state too", function()
    local handler = reader { a = 10, b = 10 }
    assert.equal("a", play(handler, { t.advance(9), "a", t.advance(9), "a", t.advance(9) }).state)
    assert.equal("b", play(handler, { t.advance(9), "n", t.advance(9) }).state)
    assert.equal("timeout", play(handler, { t.advance(9), "n", t.advance(11) }).reason)
  end)

  it("cannot be put off by a peer that keeps sending", function()
    local script = {}
    for _ = 1, 20 do
      script[#script + 1] = "x"
      script[#script + 1] = t.advance(1)
    end
    assert.equal("timeout", play(reader { a = 10 }, script).reason)
  end)

  it("say in which state it took too long", function()
    local run = play(reader { b = 5 }, { "n", t.advance(6) })
    assert.equal("b", run.error.state)
    assert.equal("timeout", run.error.code)
  end)

  it("of a connection that has ended do nothing", function()
    local closes = 0
    play({
      initial = "a", states = { a = function() end }, timeouts = { 5 }, on_close = function() closes = closes + 1 end,
    }, { t.advance(10), t.advance(10) })
    assert.equal(1, closes)
  end)

  it("of many connections pass in order", function()
    local order, open = {}, {}
    for _, seconds in ipairs { 5, 3, 9, 1, 7, 3 } do
      open[#open + 1] = t.begin({
        initial = "a", states = { a = function(conn) conn:read(1) end }, timeouts = { seconds },
        on_close = function() order[#order + 1] = seconds end,
      }, {})
    end
    logged(t.perform, open[1], t.advance(8))
    assert.same({ 1, 3, 3, 5, 7 }, order)
  end)
end)

describe("conn:timeout", function()
  local function with(state, seconds, timeouts)
    local handler = reader(timeouts)
    local first = handler.states.a
    handler.states.a = function(conn)
      if not conn.set then
        conn.set = true
        conn:timeout(state, seconds)
      end
      return first(conn)
    end
    return handler
  end

  it("overrides a state's timeout for this connection only", function()
    local handler = with("a", 3, { a = 10 })
    assert.equal("timeout", play(handler, { t.advance(4) }).reason)
    handler = with("a", 30, { a = 10 })
    assert.equal("a", play(handler, { t.advance(20) }).state)
    assert.equal("timeout", play(reader { a = 10 }, { t.advance(20) }).reason)
  end)

  it("holds for later entries and other states", function()
    assert.equal("timeout", play(with("b", 3, { 10 }), { t.advance(5), "n", t.advance(4) }).reason)
    assert.equal("a", play(with("a", 30, { 10 }), { t.advance(20), "a", t.advance(20) }).state)
  end)

  it("takes nil for none, and { idle =, total = }", function()
    assert.equal("a", play(with("a", nil, { a = 10 }), { t.advance(1000) }).state)
    local handler = with("a", { idle = 4 }, { a = 10 })
    assert.equal("a", play(handler, { t.advance(3), "x", t.advance(3), "x", t.advance(3), "x", t.advance(3) }).state)
    assert.equal("timeout", play(handler, { t.advance(5) }).reason)
  end)

  it("refuses a state that does not exist, and seconds that are none", function()
    local run = play(with("c", 5), {})
    assert.matches("no state is called c", run.error.message)
    for _, bad in ipairs { "5", -1, 0 / 0, { idle = "x" }, { ilde = 5 } } do
      assert.equal("error", play(with("a", bad), {}).reason)
    end
  end)
end)
