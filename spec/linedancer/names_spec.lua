-- Names: who is known by which, decided in one place.
local id = require "linedancer.id"
local names = require "linedancer.names"
local t = require "linedancer.testing"
local tasks = require "linedancer.task"
local workers = require "spec.support.workers"

local HERE = { id = id, names = names }

describe("names in one worker", function()
  local a, b

  before_each(function() a, b = workers.actor(HERE), workers.actor(HERE) end)
  after_each(tasks.cancel_all)

  it("are found, and free again when let go", function()
    assert.is_nil(names.whereis "x")
    assert.is_true(a:run(names.register, "x"))
    assert.is_true(a:run(names.register, "x"))
    assert.equal(a.id, names.whereis "x")
    assert.is_false(b:run(names.unregister, "x"))
    assert.is_true(a:run(names.unregister, "x"))
    assert.is_nil(names.whereis "x")
    assert.is_true(b:run(names.register, "x"))
  end)

  it("are held by one at a time", function()
    a:run(names.register, "x")
    assert.same({ nil, "taken", a.id }, { b:run(names.register, "x") })
  end)

  it("are taken from their holder, who is told", function()
    a:run(names.register, "x")
    assert.same({ true, a.id }, { b:run(names.register, "x", { take = true }) })
    assert.same({ { b.id, { taken = "x", by = b.id } } }, a.got)
    a:stop()
    assert.equal(b.id, names.whereis "x")
  end)

  it("are free when their holder has ended", function()
    a:run(names.register, "x")
    a:run(names.register, "y")
    a:stop()
    assert.is_nil(names.whereis "x" or names.whereis "y")
    assert.is_true(b:run(names.register, "x"))
  end)

  it("are held until after on_close", function()
    local play = t.begin({
      initial = "s",
      states = { s = function(conn)
        assert(names.register "held")
        conn:read(1)
      end },
      on_close = function(conn) assert.equal(id.of(conn), names.whereis "held") end,
    }, {})
    assert.is_string(names.whereis "held")
    t.perform(play, t.eof)
    assert.is_nil(names.whereis "held")
  end)

  it("cannot be registered in a hook, here as with workers", function()
    local caught
    t.play({
      initial = "s",
      states = { s = function() end },
      enter = { s = function() caught = select(2, pcall(names.register, "hooked")) end },
    }, {})
    assert.equal("hook", caught.code)
  end)

  it("have 1 to 255 bytes", function()
    for _, name in ipairs { "", ("x"):rep(256), 5, {} } do
      for _, call in ipairs { "register", "unregister", "whereis" } do
        local ok, err = pcall(a.run, a, names[call], name)
        assert.is_false(ok)
        assert.matches("a name has 1 to 255 bytes", err)
      end
    end
    assert.is_true(a:run(names.register, ("\0"):rep(255)))
  end)

  it("are at most 1000 for one connection", function()
    local result = a:begin(function()
      for i = 1, 1000 do assert(names.register("many" .. i)) end
      assert(names.register "many1000")
      names.register "one more"
    end)
    assert.equal("limit", result.err.code)
    a:run(names.unregister, "many1")
    assert.is_true(a:run(names.register, "one more"))
  end)

  it("belong to a connection or task", function()
    assert.is_false((pcall(names.register, "x")))
    assert.is_false((pcall(names.unregister, "x")))
  end)

  it("have the option take alone", function()
    assert.matches("no steal", a:begin(names.register, "x", { steal = true }).err)
  end)
end)

describe("names between workers", function()
  local world, one, two, a, b

  before_each(function()
    world = workers.new(2)
    one, two = world.workers[1], world.workers[2]
    a, b = workers.actor(one), workers.actor(two)
  end)

  after_each(tasks.cancel_all)

  local function register(worker, actor, ...)
    local result = actor:begin(worker.names.register, ...)
    assert.is_nil(result.over) -- it waits for the supervisor
    world:pump()
    assert.is_true(result.ok)
    return result[1], result[2], result[3]
  end

  it("are known in all, also in one that comes later", function()
    assert.is_true(register(one, a, "x"))
    world:kill(2)
    two = world:start(2, 2)
    assert.same({ a.id, a.id }, { one.names.whereis "x", two.names.whereis "x" })
  end)

  it("go to one of two who ask at once", function()
    local first = a:begin(one.names.register, "x")
    local second = b:begin(two.names.register, "x")
    world:pump()
    assert.same({ true }, { first[1], first[2] })
    assert.same({ nil, "taken", a.id }, { second[1], second[2], second[3] })
  end)

  it("are taken from their holder, who is told and holds them no more", function()
    register(one, a, "x")
    assert.same({ true, a.id }, { register(two, b, "x", { take = true }) })
    assert.same({ { b.id, { taken = "x", by = b.id } } }, a.got)
    assert.equal(b.id, one.names.whereis "x")
    assert.is_false(a:run(one.names.unregister, "x"))
    a:stop()
    world:pump()
    assert.equal(b.id, two.names.whereis "x")
  end)

  it("may be taken within a worker, and again by their holder", function()
    local c = workers.actor(one)
    register(one, a, "x")
    assert.same({ true, a.id }, { register(one, c, "x", { take = true }) })
    assert.same({ { taken = "x", by = c.id } }, a:take())
    for _ = 1, 1001 do assert.same({ true }, { register(one, c, "x", { take = true }) }) end
    assert.same({}, c.got)
    assert.is_true(register(one, c, "one more"))
  end)

  it("are free when let go, and when their holder or its worker has ended", function()
    register(one, a, "x")
    register(one, a, "y")
    a:run(one.names.unregister, "x")
    world:pump()
    assert.same({ nil, a.id }, { two.names.whereis "x", two.names.whereis "y" })
    a:stop()
    world:pump()
    assert.is_nil(two.names.whereis "y")
    register(two, b, "z")
    world:kill(2)
    assert.is_nil(one.names.whereis "z")
  end)

  it("cannot be registered in a hook", function()
    local caught
    t.play({
      initial = "s",
      states = { s = function() end },
      enter = { s = function() caught = select(2, pcall(one.names.register, "x")) end },
    }, {})
    assert.equal("hook", caught.code)
  end)

  it("are not held by who has ended before the answer", function()
    a:begin(one.names.register, "x")
    a:stop()
    world:pump()
    assert.same({}, world.names)
    assert.is_nil(one.names.whereis "x" or two.names.whereis "x")
  end)

  it("are not held by who has waited too long", function()
    world.hung = true
    local result = a:begin(one.names.register, "x")
    world:advance(5.1)
    assert.same({ nil, "timeout" }, { result[1], result[2] })
    world.hung = false
    world:pump()
    assert.same({}, world.names)
  end)

  it("stay with who has asked again in the meantime", function()
    world.hung = true
    a:begin(one.names.register, "x")
    world:advance(5.1)
    local again = a:begin(one.names.register, "x")
    world.hung = false
    world:pump()
    assert.is_true(again[1])
    assert.same({ x = a.id }, world.names)
    assert.is_true(a:run(one.names.unregister, "x"))
  end)

  it("are refused when the supervisor has too many", function()
    local result = a:begin(one.names.register, "x")
    one.control "A\0\0\0\1\0\0\0"
    world:pump()
    assert.same({ nil, "full" }, { result[1], result[2] })
  end)
end)
