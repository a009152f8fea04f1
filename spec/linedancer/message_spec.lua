-- send, call, reply and watch, within a worker and between workers.
local bytes = require "linedancer.bytes"
local core = require("linedancer.api").core
local counter = require "linedancer.counter"
local id = require "linedancer.id"
local message = require "linedancer.message"
local t = require "linedancer.testing"
local tasks = require "linedancer.task"
local workers = require "spec.support.workers"

local HERE = { id = id, message = message }

-- Every behaviour holds in one worker and between two: each is { name, a world or one that does nothing, modules of
-- the first side, modules of the other }.
local function settings()
  local world = workers.new(2)
  local alone = {
    pump = function() core.settle() end,
    advance = function(_, seconds) core.advance(seconds) end,
  }
  return { { "in one worker", alone, HERE, HERE }, { "between workers", world, world.workers[1], world.workers[2] } }
end

local function gone_id(modules)
  local actor = workers.actor(modules)
  actor:stop()
  return actor.id
end

for _, setting in ipairs(settings()) do
  local name, world, one, two = unpack(setting)

  describe("messages " .. name, function()
    local a, b
    before_each(function() a, b = workers.actor(one), workers.actor(two) end)
    after_each(function()
      tasks.cancel_all()
      world:pump()
    end)

    it("arrive in order, with their sender and topic", function()
      a:run(function()
        assert.equal(a.id, one.message.self())
        for i = 1, 3 do assert.is_true(one.message.send(b.id, { i }, i == 2 and "topic" or nil)) end
      end)
      world:pump()
      assert.same({ { a.id, { 1 } }, { a.id, { 2 }, "topic" }, { a.id, { 3 } } }, b.got)
    end)

    it("come from nobody outside connections and tasks", function()
      assert.is_nil(one.message.self())
      assert.is_true(one.message.send(b.id, "x"))
      world:pump()
      assert.same({ { false, "x" } }, b.got)
    end)

    it("carry blobs", function()
      one.message.send(b.id, { bytes.blob "body" })
      world:pump()
      assert.equal("body", tostring(b.got[1][2][1]))
    end)

    it("that cannot be sent raise, also when nobody is there", function()
      for _, to in ipairs { b.id, gone_id(one) } do
        local ok, err = pcall(function() one.message.send(to, { x = print }) end)
        assert.is_false(ok)
        assert.matches("message_spec.*message%.x is a function", err)
      end
      assert.is_false((pcall(one.message.send, "bob", "x")))
      assert.is_false((pcall(one.message.send, nil, "x")))
      assert.is_false((pcall(one.message.send, b.id, "x", 5)))
    end)

    it("to the `from` of a call reach the caller", function()
      one.message.send(b.id .. "#5", "x")
      world:pump()
      assert.same({ "x" }, b:take())
    end)

    it("are replied to", function()
      b.hear = function(from, text) assert.is_true(two.message.reply(from, { text .. "!" })) end
      local result = a:begin(one.message.call, b.id, "hi")
      world:pump()
      assert.same({ true, { "hi!" } }, { result.ok, result[1] })
      assert.matches("^" .. a.id:gsub("%.", "%%.") .. "#%d+$", b.got[1][1])
    end)

    it("may be replied to with nil, later, and by another", function()
      local other = workers.actor(two)
      local result = a:begin(one.message.call, b.id, "hi")
      world:pump()
      assert.is_nil(result.over)
      other:run(two.message.reply, b.got[1][1], nil)
      world:pump()
      assert.same({ over = true, ok = true, n = 0 }, result)
    end)

    it("that are not replied to in time end the call, and the reply goes nowhere", function()
      local result = a:begin(one.message.call, b.id, "hi", 2)
      world:pump()
      world:advance(1.9)
      assert.is_nil(result.over)
      world:advance(0.2)
      assert.same({ over = true, ok = true, n = 2, nil, "timeout" }, result)
      two.message.reply(b.got[1][1], "late")
      world:pump()
      assert.same({}, a.got)
      result = a:begin(one.message.call, b.id, "again")
      world:pump()
      two.message.reply(b.got[2][1], "fresh")
      world:pump()
      assert.equal("fresh", result[1])
    end)

    it("end a call at once when the callee ends, or is not there", function()
      local result = a:begin(one.message.call, b.id, "hi")
      world:pump()
      b:stop()
      world:pump()
      assert.same({ nil, "gone" }, { result[1], result[2] })
      result = a:begin(one.message.call, b.id, "hi")
      world:pump()
      assert.same({ nil, "gone" }, { result[1], result[2] })
    end)

    it("end a call at once when the callee's mailbox is full", function()
      local result = a:begin(function()
        for i = 1, 1000 do one.message.send(b.id, i) end
        return one.message.call(b.id, "hi")
      end)
      if name == "between workers" then
        while not result.over and world.wire[1] do
          local item = table.remove(world.wire, 1)
          item.to.hear(item.from.slot, item.from.incarnation, item.bytes)
          if item.to.slot == 1 then core.settle() end
        end
      end
      world:pump()
      assert.same({ nil, "full" }, { result[1], result[2] })
    end)

    it("of callers that have ended are replied to in vain", function()
      a:begin(one.message.call, b.id, "hi")
      world:pump()
      a:stop()
      world:pump()
      two.message.reply(b.got[1][1], "x")
      world:pump()
      assert.equal(0, #a.got)
    end)

    it("that are no calls cannot be replied to", function()
      for _, from in ipairs { a.id, "bob", "bob#1", 5 } do
        assert.is_false((pcall(two.message.reply, from, "x")))
      end
    end)

    it("say once that a watched one has ended, and why", function()
      a:run(function()
        one.message.watch(b.id)
        one.message.watch(b.id)
      end)
      world:pump()
      b:stop "kicked"
      world:pump()
      assert.same({ { b.id, { down = b.id, reason = "kicked" } } }, a.got)
    end)

    it("say so at once when it has ended already", function()
      b:stop()
      a:run(one.message.watch, b.id)
      world:pump()
      assert.same({ { b.id, { down = b.id, reason = "gone" } } }, a.got)
    end)

    it("do not say so any more to those that have unwatched, and to others still", function()
      local c = workers.actor(one)
      a:run(one.message.watch, b.id)
      c:run(one.message.watch, b.id)
      world:pump()
      a:run(one.message.unwatch, b.id)
      world:pump()
      b:stop()
      world:pump()
      assert.same({ 0, 1 }, { #a.got, #c.got })
    end)

    it("about an end wait for room in a full mailbox", function()
      a:run(one.message.watch, b.id)
      world:pump()
      -- The watcher is busy: its mailbox fills up.
      local result = a:begin(function() tasks.sleep(1) end)
      for i = 1, 1000 do assert.is_true(one.message.send(a.id, i)) end
      assert.same({ nil, "full" }, { one.message.send(a.id, "no room") })
      b:stop()
      world:pump()
      world:advance(2)
      assert.is_true(result.over)
      assert.equal(1001, #a.got)
      assert.equal(b.id, a.got[1001][2].down)
    end)

    it("leave nothing behind for those that have ended", function()
      a:run(function()
        one.message.watch(b.id)
        one.message.send(b.id, "x")
      end)
      world:pump()
      local weak = setmetatable({ a.task, b.task }, { __mode = "v" })
      a:stop()
      b:stop()
      world:pump()
      a, b = nil, nil
      collectgarbage()
      collectgarbage()
      assert.same({ nil, nil }, { weak[1], weak[2] })
    end)
  end)
end

describe("messages in one worker", function()
  after_each(tasks.cancel_all)

  it("are not copied, and go to tables as well as to ids", function()
    local b, value = workers.actor(HERE), { 1 }
    assert.is_true(message.send(b.task, value))
    core.settle()
    assert.equal(value, b.got[1][2])
  end)

  it("tell at once that nobody is there, or a mailbox full", function()
    local b = workers.actor(HERE)
    for i = 1, 1000 do message.send(b.id, i) end
    assert.same({ nil, "full" }, { message.send(b.id, "x") })
    b:stop()
    assert.same({ nil, "gone" }, { message.send(b.id, "x") })
    assert.same({ nil, "gone" }, { message.send(b.task, "x") })
  end)

  it("reach on_message of a connection that reads, whose hook may reply but not call", function()
    local conn_id, caught
    local handler = {
      initial = "s",
      states = { s = function(conn) conn:read(1) end },
      enter = { s = function(conn) conn_id = id.of(conn) end },
      on_message = function(_, from, text)
        local _, err = pcall(message.call, conn_id, "x")
        caught = err
        message.reply(from, text .. "!")
      end,
    }
    local a = workers.actor(HERE)
    local play = t.begin(handler, {})
    local result = a:begin(message.call, conn_id, "hi")
    assert.equal("hi!", result[1])
    assert.equal("hook", caught.code)
    t.perform(play, t.eof)
  end)

  it("may be sent from on_close, and tell the reason of a connection", function()
    local a, conn_id = workers.actor(HERE), nil
    local play = t.begin({
      initial = "s",
      states = { s = function(conn) conn:read(1) end },
      enter = { s = function(conn) conn_id = id.of(conn) end },
      on_close = function(conn) message.send(a.id, "bye from " .. id.of(conn)) end,
    }, {})
    a:run(message.watch, conn_id)
    t.perform(play, t.reset)
    assert.same({ "bye from " .. conn_id, { down = conn_id, reason = "reset" } }, a:take())
  end)

  it("replace a call whose coroutine a hook has abandoned", function()
    local b, results = workers.actor(HERE), {}
    local conn_id
    local play = t.begin({
      initial = "first",
      states = {
        first = function(conn)
          conn_id = id.of(conn)
          message.call(b.id, "first")
        end,
        second = function() results[1] = message.call(b.id, "second") end,
      },
      on_message = function() return "second" end,
    }, {})
    message.send(conn_id, "go")
    core.settle()
    assert.same({ nil, "gone" }, { message.reply(b.got[1][1], "to nobody") })
    assert.is_true(message.reply(b.got[2][1], "to the second"))
    core.settle()
    assert.same({ "to the second" }, results)
    t.perform(play, t.eof)
  end)

  it("tell who replies that the caller has ended", function()
    local a, b = workers.actor(HERE), workers.actor(HERE)
    a:begin(message.call, b.id, "hi")
    a:stop()
    assert.same({ nil, "gone" }, { message.reply(b.got[1][1], "x") })
  end)

  it("check what a call and a watch are given", function()
    local a = workers.actor(HERE)
    for _, timeout in ipairs { -1, 0 / 0, math.huge, "5" } do
      assert.is_false(a:begin(message.call, a.id, "x", timeout).ok)
    end
    assert.is_false((pcall(message.watch, a.id)))
    assert.is_false((pcall(message.call, a.id, "x")))
    assert.matches("an id is expected", a:begin(message.watch, "bob").err)
  end)

  it("bound the number of watches", function()
    local a, all = workers.actor(HERE), {}
    for i = 1, 10001 do all[i] = workers.actor(HERE) end
    a:run(function()
      for _ = 1, 2 do
        for i = 1, 10000 do message.watch(all[i].id) end
      end
    end)
    assert.equal("limit", a:begin(message.watch, all[10001].id).err.code)
    a:run(message.unwatch, all[1].id)
    a:run(message.watch, all[10001].id)
  end)
end)

describe("messages between workers", function()
  local world, one, two, a, b

  before_each(function()
    world = workers.new(2)
    one, two = world.workers[1], world.workers[2]
    a, b = workers.actor(one), workers.actor(two)
  end)

  after_each(tasks.cancel_all)

  it("come back when they cannot be delivered", function()
    a:run(function()
      for i = 1, 1001 do one.message.send(b.id, { i }) end
    end)
    for _ = 1, 1001 do
      local item = table.remove(world.wire, 1)
      two.hear(1, 1, item.bytes)
    end
    world:pump()
    assert.equal(1000, #b.got)
    assert.same({ { b.id, { undelivered = { 1001 }, why = "full" } } }, a.got)
    b:stop()
    assert.is_true(a:run(one.message.send, b.id, "x"))
    world:pump()
    assert.same({ b.id, { undelivered = "x", why = "gone" } }, a.got[2])
  end)

  it("are lost for good, and counted, when even that is impossible", function()
    local before = counter.get("undelivered_lost").value
    b:stop()
    a:run(function()
      one.message.send(b.id, "x")
      for i = 1, 1000 do one.message.send(a.id, i) end
      local item = table.remove(world.wire, 1)
      two.hear(1, 1, item.bytes)
      item = table.remove(world.wire, 1)
      one.hear(2, 1, item.bytes)
    end)
    world:pump()
    assert.same({ 1000, before + 1 }, { #a.got, counter.get("undelivered_lost").value })
    one.message.send(b.id, "from nobody")
    local posted = world.posted
    world:pump()
    assert.same({ 1000, posted }, { #a.got, world.posted })
  end)

  it("find a queue full, and a dead worker gone", function()
    world.full = true
    assert.same({ nil, "full" }, { a:run(one.message.send, b.id, "x") })
    assert.same({ nil, "full" }, { a:run(one.message.call, b.id, "x") })
    world.full = false
    world:kill(2)
    assert.same({ nil, "gone" }, { a:run(one.message.send, b.id, "x") })
    assert.same({ nil, "gone" }, { a:run(one.message.call, b.id, "x") })
  end)

  it("let a reply be tried again when the queue was full", function()
    local result = a:begin(one.message.call, b.id, "hi")
    world:pump()
    world.full = true
    assert.same({ nil, "full" }, { two.message.reply(b.got[1][1], "x") })
    world.full = false
    assert.is_true(two.message.reply(b.got[1][1], "y"))
    world:pump()
    assert.equal("y", result[1])
    result = a:begin(one.message.call, b.id, "hi")
    world:pump()
    world.full = true
    two.message.reply(b.got[2][1], "x")
    world.full = false
    b:stop()
    world:pump()
    assert.same({ nil, "gone" }, { result[1], result[2] })
  end)

  it("are not remembered for a caller that has given up", function()
    a:begin(one.message.call, b.id, "hi", 1)
    world:pump()
    world:advance(2)
    local before = world.posted
    b:stop()
    assert.equal(before, world.posted)
  end)

  it("end calls and watches when the worker dies", function()
    local watcher = workers.actor(one)
    watcher:run(one.message.watch, b.id)
    local result = a:begin(one.message.call, b.id, "hi")
    world:pump()
    world:kill(2)
    world:pump()
    assert.same({ nil, "gone" }, { result[1], result[2] })
    assert.same({ { b.id, { down = b.id, reason = "worker died" } } }, watcher.got)
  end)

  it("forget the calls and watches of a worker that died", function()
    local watcher = workers.actor(one)
    watcher:run(one.message.watch, b.id)
    a:begin(one.message.call, b.id, "hi")
    world:pump()
    world:kill(1)
    world:announce(world:start(1, 2))
    local before = world.posted
    assert.same({ nil, "gone" }, { two.message.reply(b.got[1][1], "x") })
    b:stop()
    world:pump()
    assert.equal(before, world.posted)
  end)

  it("ask another worker once for all who watch the same", function()
    local others, before = {}, world.posted
    for i = 1, 10 do
      others[i] = workers.actor(one)
      others[i]:run(one.message.watch, b.id)
    end
    assert.equal(before + 1, world.posted)
    world:pump()
    b:stop "done"
    assert.equal(before + 2, world.posted)
    world:pump()
    for i = 1, 10 do assert.same({ { down = b.id, reason = "done" } }, others[i]:take()) end
  end)
end)
