-- The world of tests: several workers, what they tell each other, and in which order.
local gossip = require "spec.support.gossip"
local ld = require "linedancer"
local logged = require "spec.support.logged"
local scratch = require "spec.support.scratch"
local source = require "linedancer.handler.source"
local t = require "linedancer.testing"

local function message_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "nothing was raised")
  return tostring(err)
end

describe("t.world with workers", function()
  local files, path, handler, world

  setup(function()
    files = scratch.new()
    path = files.write("gossip.lua", gossip)
    local ok
    ok, handler = source.run(path, "gossip")
    assert(ok, handler)
  end)

  teardown(function() files.remove() end)
  after_each(function() if world then world:close() end end)

  -- Two connections, in workers 1 and 2, the first known as "one".
  local function pair(opts)
    world = t.world(opts or { workers = 2 })
    local one, two = world:connect(handler), world:connect(handler, { worker = 2 })
    assert.equal("true\n", one:send("register one\n"):sent())
    return one, two
  end

  it("gives each its own place in all ids, and the first its own again at the end", function()
    local one, two = pair()
    assert.matches("^1%.1%.", one.id)
    assert.matches("^2%.1%.", two.id)
    world:close()
    assert.matches("^0%.0%.", t.world():connect(handler).id)
  end)

  it("shares nothing between workers", function()
    local one, two = pair()
    local three = world:connect(path, { worker = 2 })
    one:send "count\ncount\n"
    assert.equal("1 1\n", two:send("count\n"):sent())
    assert.equal("2 2\n", three:send("count\n"):sent())
  end)

  it("carries messages by name, in both directions, and answers to calls", function()
    local one, two = pair()
    two:send "send one hello\n"
    assert.equal("heard hello\n", one:sent())
    assert.equal("re question nil\n", two:send("call one question\n"):sent())
    assert.equal("heard question\n", one:sent())
    two:send("register two\n"):sent()
    one:send "send two back\n"
    assert.equal("heard back\n", two:sent())
  end)

  it("moves a name to who takes it, on another worker", function()
    local one, two = pair()
    assert.equal(one.id .. "\n", two:send("take one\n"):sent())
    assert.equal("takeover", one.reason)
    assert.equal(two.id, ld.whereis "one")
  end)

  it("publishes to subscribers in all workers", function()
    local one, two = pair { workers = 3 }
    local three = world:connect(handler, { worker = 3 })
    one:send "subscribe t/+\n"
    three:send "subscribe t/#\n"
    two:send "publish t/1 news\n"
    assert.equal("heard news\n", one:sent())
    assert.equal("heard news\n", three:sent())
    assert.equal("", two:sent())
  end)

  it("delivers messages, ends and drains to any worker", function()
    local _, two = pair()
    assert.is_true(two:message "x")
    assert.equal("heard x\n", two:sent())
    assert.equal("gossip", two.state)
    two:drain(0)
    assert.equal("drain", two.reason)
    assert.is_nil(two.state)
    assert.same({ nil, "gone" }, { two:message "x" })
  end)

  it("tells how a connection of another worker failed, and what was logged there", function()
    local _, two = pair()
    local lines = logged(function() two:send "fail\n" end)
    assert.equal("error", two.reason)
    assert.matches("as told", two.error.message)
    assert.equal("gossip", two.error.state)
    assert.equal("connection failed", lines[1].text)
    assert.equal(2, lines[1].fields.worker)
  end)

  it("kills a worker as kill -9 does: watchers are told, names are free, messages find nobody", function()
    local one, two = pair()
    two:send "register two\n"
    one:send "watch two\n"
    world:kill(2)
    assert.equal("killed", two.reason)
    assert.equal("true\n", two:sent())
    assert.equal("down worker died\n", one:sent())
    assert.is_nil(ld.whereis "two")
    assert.same({ nil, "gone" }, { ld.send(two.id, "x") })
    two:send("x"):finish()
    assert.same({ nil, "gone" }, { two:message "x" })
    assert.matches("there is no worker 2 to kill", message_of(world.kill, world, 2))
  end)

  it("starts a worker again for the next connection, which knows what is so", function()
    local one = pair()
    world:kill(2)
    local two = world:connect(handler, { worker = 2 })
    assert.matches("^2%.2%.", two.id)
    assert.equal("1 1\n", two:send("count\n"):sent())
    two:send "send one again\n"
    assert.equal("heard again\n", one:sent())
  end)

  it("holds back what workers tell each other while they are apart, in order", function()
    local one, two = pair()
    world:fault { partition = { 1, 2 } }
    two:send "send one a\nsend one b\n"
    assert.equal("", one:sent())
    assert.equal("nil timeout\n", two:send("call one c\n") and world:advance(6) and two:sent())
    world:heal()
    assert.equal("heard a\nheard b\nheard c\n", one:sent())
  end)

  it("keeps all clocks in step", function()
    local _, two = pair()
    t.play(function() end, { t.advance(3) }) -- moves the first worker's alone
    world:fault { partition = { 1, 2 } }
    two:send "call one x\n"
    world:advance(4.9)
    assert.equal("", two:sent())
    world:advance(0.2)
    assert.equal("nil timeout\n", two:sent())
  end)

  it("refuses for another worker what it cannot load there", function()
    world = t.world { workers = 2 }
    local here = { worker = 2 }
    assert.matches("write the handler into a file of its own", message_of(world.connect, world, function() end, here))
    local made = loadstring "return function() end"()
    assert.matches("this one was made from a string", message_of(world.connect, world, made, here))
    assert.matches("setup is a function of this worker",
      message_of(world.connect, world, handler, { worker = 2, setup = function() end }))
    assert.matches("message.args%[1%] is a function", message_of(world.connect, world, handler, {
      worker = 2, args = { function() end },
    }))
    assert.matches("module 'no.such' not found", message_of(world.connect, world, "no.such", here))
    local other = files.write("other.lua", "return { states = { other = function() end } }")
    local changed = dofile(other)
    files.write("other.lua", "return { states = { another = function() end } }")
    assert.matches("returns another handler, or none", message_of(world.connect, world, changed, here))
    assert.equal("1 1\n", world:connect(handler, here):send("count\n"):sent())
  end)

  it("leaks nothing over many worlds", function()
    local function one()
      local _, two = pair()
      two:send "register two\nsubscribe t\nsend one x\n"
      world:close()
    end
    local function size()
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    for _ = 1, 5 do one() end
    local before = size()
    for _ = 1, 50 do one() end
    assert.is_true(size() - before < 200)
    assert.is_nil(ld.whereis "two")
  end)
end)

describe("the seed of a world", function()
  local files, path

  setup(function()
    files = scratch.new()
    path = files.write("gossip.lua", gossip)
  end)

  teardown(function() files.remove() end)

  -- What a listener in worker 1 hears of two others that talk at once.
  local function heard(seed)
    local world = t.world { workers = 3, seed = seed }
    local one = world:connect(path)
    one:send "register one\n"
    local two, three = world:connect(path, { worker = 2 }), world:connect(path, { worker = 3 })
    one:sent()
    world:fault { partition = { 1, 2 } }
    world:fault { partition = { 1, 3 } }
    two:send "send one a1\nsend one a2\nsend one a3\n"
    three:send "send one b1\nsend one b2\nsend one b3\n"
    world:heal()
    local text = one:sent()
    world:close()
    return (text:gsub("heard ", ""):gsub("\n", " "))
  end

  it("decides the order: the same seed, the same run", function()
    for seed = 1, 5 do assert.equal(heard(seed), heard(seed)) end
    assert.equal(heard(nil), heard(nil))
  end)

  it("finds many orders, all of which keep that of each sender", function()
    local orders, count = {}, 0
    for seed = 1, 20 do
      local text = heard(seed)
      if not orders[text] then orders[text], count = true, count + 1 end
      assert.equal("a1 a2 a3 ", (text:gsub("b%d ", "")))
      assert.equal("b1 b2 b3 ", (text:gsub("a%d ", "")))
    end
    assert.is_true(count > 5)
  end)

  it("is named by every_order when a scenario fails", function()
    local seeds = {}
    -- A race: whoever is faster has the name.
    local function race(world)
      seeds[#seeds + 1] = world.seed
      local one, two = world:connect(path, { worker = 2 }), world:connect(path, { worker = 3 })
      world:fault { partition = { 2, 3 } }
      one.link:put "register x\n"
      two.link:put "register x\n"
      world:heal()
      assert.equal("true\n", one:sent())
      assert.equal("nil\n", two:sent())
    end
    local message = message_of(t.every_order, race, { seeds = 30, workers = 3 })
    local seed = tonumber(message:match "^seed (%d+): ")
    assert.equal(seeds[#seeds], seed)
    local world = t.world { workers = 3, seed = seed }
    assert.is_false((pcall(race, world)))
  end)

  it("runs through when nothing fails, with a world each", function()
    local worlds = {}
    assert.equal(10, t.every_order(function(world) worlds[world] = true end, { seeds = 10 }))
    local count = 0
    for _ in pairs(worlds) do count = count + 1 end
    assert.equal(10, count)
  end)
end)
