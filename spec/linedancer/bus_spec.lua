-- Messages between workers: who is there, what arrives, and that nothing that comes in can do harm.
local logged = require "spec.support.logged"
local workers = require "spec.support.workers"

local function pair()
  local world = workers.new(2)
  local got = {}
  world.workers[2].bus.on("x", function(from, ...) got[#got + 1] = { from, ... } end)
  return world, world.workers[1].bus, world.workers[2].bus, got
end

describe("bus", function()
  it("is alone in a single process", function()
    local bus = require "linedancer.bus"
    assert.same({ 0, 0, {} }, { bus.slot, bus.incarnation, bus.workers() })
    assert.same({ nil, "gone" }, { bus.post(1, "x") })
    bus.tell(1, "x")
    bus.broadcast "x"
  end)

  it("carries values in order", function()
    local world, one, _, got = pair()
    for i = 1, 3 do assert.is_true(one.post(2, "x", i, nil, { i })) end
    world:pump()
    assert.same({ { 1, 1, nil, { 1 } }, { 1, 2, nil, { 2 } }, { 1, 3, nil, { 3 } } }, got)
  end)

  it("raises for what cannot be sent, where it was sent", function()
    local _, one = pair()
    for _, name in ipairs { "post", "tell" } do
      assert.has_error(function() one[name](2, "x", print) end)
    end
    local ok, err = pcall(function() one.broadcast("x", { print }) end)
    assert.is_false(ok)
    assert.matches("bus_spec.*message%[1%] is a function", err)
  end)

  it("says that a queue is full, or a worker gone", function()
    local world, one = pair()
    world.full = true
    assert.same({ nil, "full" }, { one.post(2, "x") })
    assert.same({ nil, "gone" }, { one.post(3, "x") })
    world:kill(2)
    assert.same({ nil, "gone" }, { one.post(2, "x") })
  end)

  it("tells later what a full queue had no room for, before anything newer", function()
    local world, one, _, got = pair()
    world.full = true
    one.tell(2, "x", 1)
    one.broadcast("x", 2)
    world.full = false
    assert.same({ nil, "full" }, { one.post(2, "x", "overtakes") })
    one.tell(2, "x", 3)
    world:advance(0.02)
    assert.is_true(one.post(2, "x", 4))
    world:pump()
    assert.same({ { 1, 1 }, { 1, 2 }, { 1, 3 }, { 1, 4 } }, got)
  end)

  it("forgets what it kept for a worker that dies", function()
    local world, one = pair()
    world.full = true
    one.tell(2, "x", "for the first")
    world:kill(2)
    local second, got = world:start(2, 2), {}
    second.bus.on("x", function(_, value) got[#got + 1] = value end)
    world:announce(second)
    world.full = false
    world:advance(0.02)
    assert.is_true(one.post(2, "x", "for the second"))
    world:pump()
    assert.same({ "for the second" }, got)
  end)

  it("tells who is there, who comes and who goes", function()
    local world = workers.new(3)
    local one, news = world.workers[1].bus, {}
    one.on_worker(function(slot, incarnation, up) news[#news + 1] = { slot, incarnation, up } end)
    assert.same({ 2, 3 }, one.workers())
    world:kill(3)
    assert.same({ 2 }, one.workers())
    assert.is_false(one.is_living(3, 1))
    world:announce(world:start(3, 2))
    assert.is_true(one.is_living(3, 2))
    assert.same({ { 2, 1, true }, { 3, 1, true }, { 3, 1, false }, { 3, 2, true } }, news)
  end)

  it("holds back what comes from a worker before the news that it lives", function()
    local world, one, two, got = pair()
    world:kill(1)
    local again = world:start(1, 2)
    again.bus.post(2, "x", "early")
    one.post(2, "x", "from the dead one")
    world:pump()
    assert.same({}, got)
    two.on_worker(function(slot) got[#got + 1] = slot == 1 and "up" or nil end)
    world:announce(again)
    assert.same({ "up", { 1, "early" } }, got)
  end)

  it("drops what a worker sent that has died", function()
    local world, one, _, got = pair()
    one.post(2, "x", "late")
    world:kill(1)
    world:pump()
    world:announce(world:start(1, 2))
    assert.same({}, got)
  end)

  it("takes a later incarnation for the death of the one before", function()
    local world, one = pair()
    local news = {}
    one.on_worker(function(_, incarnation, up) news[#news + 1] = { incarnation, up } end)
    world:announce(world:start(2, 2))
    world.workers[1].control "W\0\2\0\0\0\1\1" -- old news
    assert.same({ { 1, true }, { 1, false }, { 2, true } }, news)
  end)

  it("logs and drops what is garbage, or makes a handler fail", function()
    local world, one, two, got = pair()
    two.on("bad", function() error "oops" end)
    local lines = logged(function()
      for _, bytes in ipairs { "", "zz", "\255\255\255\255" } do world.workers[2].hear(1, 1, bytes) end
      for _, bytes in ipairs { "", "W", "W\0\1", "N\0", "N\0\9x", "A\0\0", "?what" } do
        world.workers[2].control(bytes)
      end
      one.post(2, "unknown", 1)
      one.post(2, "bad", 1)
      one.post(2, "x", "fine")
      world:pump()
    end)
    assert.same({ { 1, "fine" } }, got)
    assert.equal(10, #lines)
    for _, line in ipairs(lines) do assert.equal("error", line.level) end
  end)
end)
