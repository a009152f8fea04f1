-- Topics: who gets what is published.
local bytes = require "linedancer.bytes"
local counter = require "linedancer.counter"
local id = require "linedancer.id"
local core = require("linedancer.api").core
local logged = require "spec.support.logged"
local mailbox = require "linedancer.mailbox"
local patterns = require "linedancer.topic.pattern"
local t = require "linedancer.testing"
local tasks = require "linedancer.task"
local topic = require "linedancer.topic"
local tries = require "linedancer.topic.trie"
local workers = require "spec.support.workers"

local HERE = { id = id, topic = topic }

-- Does PATTERN match TEXT? By the book, without a trie.
local function matches(pattern, text)
  local p, l = assert(patterns.pattern(pattern)), assert(patterns.topic(text))
  if l[1]:sub(1, 1) == "$" and (p[1] == "+" or p[1] == "#") then return false end
  for i = 1, #p do
    if p[i] == "#" then return #l >= i - 1 end
    if l[i] == nil or p[i] ~= "+" and p[i] ~= l[i] then return false end
  end
  return #l == #p
end

describe("a task", function()
  after_each(tasks.cancel_all)

  it("subscribes as a connection does", function()
    local heard = {}
    local task = tasks.spawn(function()
      while true do heard[#heard + 1] = select(2, mailbox.receive()) end
    end)
    task:subscribe "a/+"
    core.settle()
    topic.publish("a/b", "one")
    topic.publish("b/b", "other")
    core.settle()
    task:unsubscribe "a/+"
    topic.publish("a/b", "two")
    core.settle()
    assert.same({ "one" }, heard)
  end)
end)

describe("patterns", function()
  after_each(tasks.cancel_all)

  it("match as MQTT 3.1.1 says", function()
    local a = workers.actor(HERE)
    for _, case in ipairs {
      { "sport/tennis", "sport/tennis", true }, { "sport/tennis", "sport/tennis/", false }, { "a", "A", false },
      { "sport/#", "sport", true }, { "sport/#", "sport/tennis/player1", true }, { "sport/#", "sports", false },
      { "#", "a/b", true }, { "#", "/", true }, { "+", "a", true }, { "+", "a/b", false }, { "+", "/a", false },
      { "sport/+", "sport", false }, { "sport/+", "sport/", true }, { "+/+", "/finance", true },
      { "/+", "/finance", true }, { "+/tennis/#", "x/tennis", true }, { "a/+/c", "a/b/c", true },
      { "a/+/c", "a//c", true }, { "#", "$SYS/x", false }, { "+/x", "$SYS/x", false }, { "$SYS/#", "$SYS/x", true },
      { "$SYS/+", "$SYS/x", true }, { "a/#", "a/$b", true }, { "a/+", "a/$b", true }, { "a b", "a b", true },
    } do
      topic.subscribe(a.task, case[1])
      assert.equal(case[3] and 1 or 0, topic.publish(case[2], "x"), case[1] .. " and " .. case[2])
      assert.equal(case[3], matches(case[1], case[2]))
      topic.unsubscribe(a.task, case[1])
    end
  end)

  it("that are wrong raise, where they are used", function()
    local a = workers.actor(HERE)
    for _, case in ipairs {
      { "a#", "+ and # stand alone" }, { "a/+b/c", "+ and # stand alone" }, { "#/a", "# is the last level" },
      { "", "at least one byte" }, { "a\0b", "no zero bytes" }, { 5, "a string, not a number" },
      { ("a"):rep(1025), "at most 1024 bytes" }, { ("/"):rep(64), "at most 64 levels" },
    } do
      for _, name in ipairs { "subscribe", "unsubscribe" } do
        local ok, err = pcall(function() topic[name](a.task, case[1]) end)
        assert.is_false(ok)
        assert.matches(case[2], tostring(err), 1, true)
      end
    end
    for _, text in ipairs { "a/+", "#", "", "a\0", 5, ("/"):rep(64) } do
      assert.is_false((pcall(topic.publish, text, "x")))
    end
    topic.subscribe(a.task, ("/"):rep(63))
    assert.equal(1, topic.publish(("/"):rep(63), "x"))
  end)

  it("are found as the book has it, whatever comes and goes, and leave nothing behind", function()
    local trie, held = tries.new(), {}
    local x = 7
    local function random(n)
      x = (x * 1103515245 + 12345) % 2 ^ 31
      return math.floor(x / 65536) % n + 1
    end
    local function text(words)
      local parts = {}
      for i = 1, random(4) do parts[i] = words[random(#words)] end
      return table.concat(parts, "/")
    end
    for _ = 1, 3000 do
      local pattern, who = text { "a", "b", "", "$s", "+", "#" }, random(3)
      local levels = patterns.pattern(pattern)
      local key = pattern .. " " .. who
      if held[key] then
        trie:remove(held[key].node, who)
        held[key] = nil
      elseif levels then
        held[key] = { node = trie:node(levels), pattern = pattern, who = who }
        trie:add(held[key].node, who)
      end
      local wanted, sought = {}, text { "a", "b", "", "$s" }
      if sought ~= "" then
        for _, entry in pairs(held) do
          if matches(entry.pattern, sought) then wanted[entry.who] = true end
        end
        local found = {}
        for subscriber in pairs(trie:match(patterns.topic(sought))) do found[subscriber] = true end
        assert.same(wanted, found)
      end
    end
    for _, entry in pairs(held) do trie:remove(entry.node, entry.who) end
    assert.is_nil(next(trie.root.children))
  end)
end)

describe("topics in one worker", function()
  local a, b

  before_each(function() a, b = workers.actor(HERE), workers.actor(HERE) end)
  after_each(tasks.cancel_all)

  it("bring a message to each subscriber once, with sender and topic", function()
    for _, pattern in ipairs { "news/#", "news/+", "#" } do topic.subscribe(a.task, pattern) end
    topic.subscribe(a.task, "#")
    topic.subscribe(b.task, "news/now")
    assert.equal(2, b:run(topic.publish, "news/now", { 1 }))
    assert.same({ { b.id, { 1 }, "news/now" } }, a.got)
    assert.same({ { b.id, { 1 }, "news/now" } }, b.got)
    assert.equal(a.got[1][2], b.got[1][2]) -- not copied
    assert.equal(0, topic.publish("$other", 1))
  end)

  it("stop at unsubscribe, and at the end of the subscriber", function()
    for _, pattern in ipairs { "a", "b", "c" } do topic.subscribe(a.task, pattern) end
    topic.unsubscribe(a.task, "a")
    topic.unsubscribe(a.task, "never")
    topic.unsubscribe(b.task, "a")
    topic.unsubscribe(b.task)
    assert.same({ 0, 1, 1 }, { topic.publish("a", 1), topic.publish("b", 1), topic.publish("c", 1) })
    topic.unsubscribe(a.task)
    assert.equal(0, topic.publish("b", 1))
    topic.subscribe(a.task, "b")
    assert.equal(1, topic.publish("b", 1))
    a:stop()
    assert.equal(0, topic.publish("b", 1))
    topic.subscribe(a.task, "b")
    assert.equal(0, topic.publish("b", 1))
  end)

  it("reach on_message", function()
    local run = t.play({
      initial = "s",
      states = {
        s = function(conn)
          topic.subscribe(conn, "x/+")
          topic.publish("x/y", "m")
          conn:read(1)
        end,
      },
      on_message = function(conn, from, message, name)
        conn:write(message, name, from == id.of(conn) and "!" or "?")
      end,
    }, { "1" })
    assert.equal("mx/y!", run.sent)
  end)

  it("drop and count what a full mailbox has no room for", function()
    local before = counter.get("topic_dropped").value
    topic.subscribe(a.task, "x")
    topic.subscribe(b.task, "x")
    for _ = 1, 1000 do topic.publish("x", 1) end
    require("linedancer.mailbox").take(b.task[5])
    assert.equal(1, topic.publish("x", 1))
    assert.equal(before + 1, counter.get("topic_dropped").value)
  end)

  it("refuse what cannot be sent", function()
    local ok, err = pcall(function() topic.publish("x", { f = print }) end)
    assert.is_false(ok)
    assert.matches("topic_spec.*message%.f is a function", err)
  end)

  it("remember who matches no longer than it is so", function()
    for i = 1, 500 do topic.publish("topic/" .. i, 1) end
    topic.subscribe(a.task, "topic/+")
    for i = 1, 500 do assert.equal(1, topic.publish("topic/" .. i, 1)) end
  end)

  it("are remembered up to a number", function()
    collectgarbage()
    local before = collectgarbage "count"
    for i = 1, 20000 do topic.publish("once/" .. i, 1) end
    collectgarbage()
    assert.is_true(collectgarbage "count" - before < 1000) -- KB
  end)

  it("bound the patterns of a subscriber", function()
    for i = 1, 10000 do topic.subscribe(a.task, "p" .. i) end
    local ok, err = pcall(topic.subscribe, a.task, "one more")
    assert.same({ false, "limit" }, { ok, err.code })
    topic.subscribe(a.task, "p1")
    topic.unsubscribe(a.task, "p1")
    topic.subscribe(a.task, "one more")
  end)

  it("leave nothing behind for those that have ended", function()
    topic.subscribe(a.task, "x/#")
    topic.publish("x/1", 1)
    local weak = setmetatable({ a.task }, { __mode = "v" })
    a:stop()
    topic.subscribe(a.task, "x/#")
    a = nil
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)
end)

describe("topics between workers", function()
  local world, one, two, a, b

  before_each(function()
    world = workers.new(2)
    one, two = world.workers[1], world.workers[2]
    a, b = workers.actor(one), workers.actor(two)
  end)

  after_each(tasks.cancel_all)

  it("take one copy to a worker, however many subscribe there", function()
    local c = workers.actor(two)
    two.topic.subscribe(b.task, "x/+")
    two.topic.subscribe(c.task, "x/+")
    two.topic.subscribe(c.task, "#")
    one.topic.subscribe(a.task, "x/1")
    world:pump()
    local before = world.posted
    assert.equal(1, a:run(one.topic.publish, "x/1", { bytes.blob "body" }))
    assert.equal(before + 1, world.posted)
    world:pump()
    for _, actor in ipairs { b, c } do
      assert.equal(1, #actor.got)
      assert.same({ a.id, "x/1" }, { actor.got[1][1], actor.got[1][3] })
      assert.equal("body", tostring(actor.got[1][2][1]))
    end
    one.topic.publish("y/z", 1) -- to c alone
    assert.equal(before + 2, world.posted)
  end)

  it("take none to a worker without subscribers, or with none any more", function()
    local c = workers.actor(two)
    two.topic.subscribe(b.task, "x")
    world:pump()
    local told = world.posted
    two.topic.subscribe(c.task, "x")
    two.topic.unsubscribe(c.task)
    assert.equal(told, world.posted)
    one.topic.publish("x", "to b")
    world:pump()
    assert.same({ "to b" }, b:take())
    b:stop()
    world:pump()
    local before = world.posted
    one.topic.publish("x", 1)
    one.topic.publish("y", 1)
    assert.equal(before, world.posted)
  end)

  it("are told to a worker that comes, in parts", function()
    for i = 1, 1200 do one.topic.subscribe(a.task, "p/" .. i) end
    world:pump()
    world:kill(2)
    two = world:start(2, 2)
    local before = world.posted
    world:announce(two)
    assert.equal(before + 3, world.posted)
    world:pump()
    for _, i in ipairs { 1, 500, 501, 1200 } do two.topic.publish("p/" .. i, i) end
    world:pump()
    assert.same({ 1, 500, 501, 1200 }, a:take())
  end)

  it("are forgotten with a worker that dies", function()
    two.topic.subscribe(b.task, "x/#")
    one.topic.subscribe(a.task, "x/#")
    world:pump()
    world:kill(2)
    world:announce(world:start(2, 2))
    world:pump()
    local before = world.posted
    assert.equal(1, one.topic.publish("x/1", 1))
    assert.equal(before, world.posted)
  end)

  it("count a copy that a full queue had no room for", function()
    two.topic.subscribe(b.task, "x")
    world:pump()
    local before = counter.get("topic_dropped").value
    world.full = true
    one.topic.publish("x", 1)
    assert.equal(before + 1, counter.get("topic_dropped").value)
  end)

  it("do not believe patterns and topics that are wrong", function()
    local lines = logged(function()
      one.bus.post(2, "subscribe", { "a#" })
      one.bus.post(2, "subscribe", 5)
      one.bus.post(2, "unsubscribe", { "never" })
      one.bus.post(2, "publish", "#", nil, "x")
      world:pump()
    end)
    assert.equal(3, #lines)
    two.topic.publish("a", 1)
  end)
end)
