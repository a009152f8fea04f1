-- Channels that span workers: one home, one copy for each worker with followers, and what happens when workers die.
local api = require "linedancer.api"
local t = require "linedancer.testing"
local tasks = require "linedancer.task"
local workers = require "spec.support.workers"

local core = api.core

local MODULES = { "channel.registry", "channel.home", "channel.replica", "channel.spread", "channel" }
local BELOW = { "bus", "id", "names" }

-- WORKER's own copy of the modules of channels.
local function load_channels(worker)
  local kept = {}
  local function put(name, module)
    name = "linedancer." .. name
    kept[name] = package.loaded[name] or false
    package.loaded[name] = module
  end
  for _, name in ipairs(BELOW) do put(name, worker[name]) end
  for _, name in ipairs(MODULES) do put(name, nil) end
  worker.channel = require "linedancer.channel"
  worker.registry = require "linedancer.channel.registry"
  for name, module in pairs(kept) do package.loaded[name] = module or nil end
  return worker
end

local handler = {
  initial = "listen",
  states = { listen = function(conn)
    while conn:read(1) do end -- luacheck: ignore 542
  end },
  on_message = function(conn, _, message) conn:write("(closed ", message.closed, ")") end,
}

describe("channels across workers", function()
  local world, w1, w2, w3
  local plays = {}

  local function start()
    world = workers.new(3)
    for _, worker in ipairs(world.workers) do load_channels(worker) end
    w1, w2, w3 = unpack(world.workers)
  end

  -- A connection of WORKER that follows NAME.
  local function listener(worker, name, opts)
    local play = t.begin(handler, {})
    plays[#plays + 1] = play
    worker.channel.follow(core.conn_of(play.peer:handle()), name, opts)
    world:pump()
    return play.peer
  end

  local function sent(peer)
    world:pump()
    return peer:sent()
  end

  -- The world's worker in SLOT ends, with its connections.
  local function kill(slot, ...)
    local dead = world:kill(slot)
    for _, peer in ipairs { ... } do peer:drop() end
    world:pump()
    return dead
  end

  before_each(start)
  after_each(function()
    for _, play in ipairs(plays) do play.peer:drop() end
    plays = {}
    tasks.cancel_all()
  end)

  it("have their home where the first publisher is", function()
    local here = w1.channel.get "x"
    here:publish "a"
    world:pump()
    w2.channel.get("x"):publish "b"
    world:pump()
    assert.equal(1, here:stats().home)
    assert.equal(2, here:stats().items)
    assert.equal(1, w2.channel.get("x"):stats().home)
    assert.equal(0, w2.channel.get("x"):stats().items)
    assert.truthy(w3.names.whereis "channel/x")
  end)

  it("send followers elsewhere the preamble, the log from the newest mark, and what comes", function()
    local ch = w1.channel.get "x"
    ch:preamble "head "
    ch:publish("old ", true)
    ch:publish("key ", true)
    ch:publish "frame "
    world:pump()
    local a, b, here = listener(w2, "x"), listener(w2, "x"), listener(w1, "x")
    assert.equal("head key frame ", sent(a))
    assert.equal("head key frame ", sent(b))
    assert.equal("head key frame ", sent(here))
    local before = world.posted
    ch:publish("more", true)
    assert.equal("more", sent(a))
    assert.equal("more", sent(b))
    assert.equal(1, world.posted - before) -- for both
    assert.equal("head more", sent(listener(w2, "x"))) -- and w1 is not asked
    assert.equal(1, world.posted - before)
  end)

  it("have what waits for a publisher anywhere", function()
    local a, b = listener(w2, "x"), listener(w3, "x")
    w1.channel.get("x"):preamble "head "
    w1.channel.get("x"):publish "a"
    assert.equal("head a", sent(a))
    assert.equal("head a", sent(b))
    w1.channel.get("x"):preamble "other "
    w1.channel.get("x"):publish("", true)
    assert.equal("", sent(a))
    w1.channel.get("x"):publish "b"
    assert.equal("b", sent(b))
    assert.equal("other b", sent(listener(w2, "x"))) -- the empty mark is known here
  end)

  it("have those who waited for a mark begin at the first, wherever they are", function()
    local opts = { places = "marks" }
    for _, worker in ipairs(world.workers) do worker.channel.get("x", opts) end
    local far, here = listener(w2, "x"), listener(w1, "x")
    local ch = w1.channel.get "x"
    ch:preamble "head "
    for i = 1, 3 do
      ch:publish("no ")
      ch:publish("key" .. i .. " ", true)
    end
    assert.equal("head key1 no key2 no key3 ", sent(here))
    assert.equal("head key1 no key2 no key3 ", sent(far))
    assert.equal("head key3 ", sent(listener(w3, "x")))
  end)

  it("bring what several publish at once into one order", function()
    local a, b, c = listener(w1, "x"), listener(w2, "x"), listener(w3, "x")
    for i = 1, 9 do
      w1.channel.get("x"):publish("1" .. i .. " ")
      w2.channel.get("x"):publish("2" .. i .. " ")
      w3.channel.get("x"):publish("3" .. i .. " ")
      if i % 3 == 0 then world:pump() end
    end
    local text = sent(a)
    assert.equal(27 * 3, #text)
    assert.equal(text, sent(b))
    assert.equal(text, sent(c))
    for worker = 1, 3 do
      local numbers = {}
      for n in text:gmatch(worker .. "(%d) ") do numbers[#numbers + 1] = n end
      assert.equal("123456789", table.concat(numbers))
    end
  end)

  it("are closed from anywhere, and followers stay for a publisher elsewhere", function()
    local a, b = listener(w1, "x"), listener(w3, "x")
    w1.channel.get("x"):preamble "one "
    w1.channel.get("x"):publish "a"
    world:pump()
    w2.channel.get("x"):close()
    assert.equal("one a(closed x)", sent(a))
    assert.equal("one a(closed x)", sent(b))
    assert.is_nil(w1.names.whereis "channel/x")
    w2.channel.get("x"):preamble "two "
    w2.channel.get("x"):publish "b"
    assert.equal("two b", sent(a))
    assert.equal("two b", sent(b))
    assert.equal(2, w1.channel.get("x"):stats().home)
  end)

  it("are closed before their home is known", function()
    local ch = w1.channel.get "x"
    local a = listener(w1, "x")
    ch:publish "a"
    ch:close()
    ch:publish "b"
    assert.equal("a(closed x)b", sent(a))
    w2.channel.get("y"):close() -- there is nothing to close
    world:advance(1)
    assert.equal(1, ch:stats().home)
    assert.is_nil(w2.names.whereis "channel/y")
  end)

  it("go on when the home dies", function()
    local a, b, c = listener(w1, "x"), listener(w2, "x"), listener(w3, "x")
    local second = w2.channel.get "x"
    w1.channel.get("x"):publish("a", true)
    world:pump()
    second:preamble "head "
    second:publish("b", true)
    assert.equal("ab", sent(b))
    assert.equal("ab", sent(c))
    kill(1, a)
    assert.is_nil(second:stats().home)
    second:publish "c"
    assert.equal("head c", sent(b)) -- its publisher's preamble, which the home had, is there
    assert.equal("head c", sent(c))
    assert.equal(2, second:stats().home)
    local again = load_channels(world:start(1, 2))
    world:announce(again)
    assert.equal("head ", sent(listener(again, "x"))) -- "b" was of another epoch
    second:publish "d"
    assert.equal("d", sent(b))
  end)

  it("find a home of which they have not heard", function()
    w1.channel.get("x"):publish("a", true)
    world:pump()
    local late = load_channels(world:start(2, 2)) -- w1 does not know it yet
    world.wire = {}
    local a = listener(late, "x")
    world:announce(late)
    assert.equal("a", sent(a))
  end)

  describe("whose queue is full", function()
    it("are fed from the log when there is room", function()
      local ch = w1.channel.get "x"
      ch:publish "a"
      world:pump()
      local a, here = listener(w2, "x"), listener(w1, "x")
      world.full = true
      for i = 1, 5 do ch:publish(tostring(i)) end
      assert.equal("", sent(a))
      assert.equal("12345", sent(here))
      world.full = false
      ch:publish "6"
      world:advance(0.1)
      assert.equal("123456", sent(a))
    end)

    it("begin again at the newest mark when the log has gone on", function()
      local ch = w1.channel.get("x", { items = 3 })
      ch:preamble "one "
      ch:publish "a"
      world:pump()
      local a, quits = listener(w2, "x"), listener(w2, "x", { policy = "close" })
      assert.equal("one ", sent(a))
      world.full = true
      for i = 1, 8 do ch:publish(tostring(i), i == 7) end
      ch:preamble "two "
      world.full = false
      world:advance(0.1)
      assert.equal("two 78", sent(a))
      ch:publish "9"
      assert.equal("9", sent(a))
      assert.equal("one ", sent(quits))
    end)

    it("refuse what is published elsewhere", function()
      w1.channel.get("x"):publish "a"
      world:pump()
      local ch = w2.channel.get "x"
      assert.is_true(ch:publish "b")
      world:pump()
      world.full = true
      assert.same({ nil, "full" }, { ch:publish "c" })
      ch:preamble "kept"
      world.full = false
      world:advance(0.1)
      assert.equal("kept", sent(listener(w1, "x")))
    end)
  end)

  it("keep a bounded number of blobs until they have a home", function()
    world.hung = true
    local ch = w1.channel.get("x", { bytes = 10 })
    local a = listener(w2, "x")
    assert.is_true(ch:publish "12345")
    assert.is_true(ch:publish "67890")
    assert.same({ nil, "full" }, { ch:publish "x" })
    world.hung = false
    world:pump()
    assert.equal("1234567890", sent(a))
  end)

  it("let go of names and logs that nobody needs", function()
    w1.channel.get("x"):publish("a", true)
    listener(w2, "x")
    local function pass()
      for _ = 1, 3 do
        world:advance(60)
        collectgarbage()
        collectgarbage()
      end
    end
    pass()
    assert.equal("a", sent(listener(w3, "x"))) -- w2 follows: the home stays
    for _, play in ipairs(plays) do play.peer:finish "reset" end
    plays = {}
    pass()
    pass()
    assert.is_nil(w1.registry.find "x")
    assert.is_nil(w2.registry.find "x")
    assert.is_nil(world.names["channel/x"])
    w2.channel.get("x"):publish "b"
    world:pump()
    assert.equal(2, w2.channel.get("x"):stats().home)
  end)

  it("bring no blob twice and none out of order, whoever dies", function()
    for seed = 1, 20 do
      start()
      local state = seed
      local function random(n)
        state = (state * 16807) % 2147483647
        return state % n + 1
      end
      local listeners, number = {}, 0
      for step = 1, 300 do
        local slot = random(3)
        local worker, what = world.workers[slot], random(12)
        if what <= 6 then
          number = number + 1
          worker.channel.get("x"):publish(("%d:%06d "):format(slot, number), random(4) == 1)
        elseif what == 7 then
          listeners[#listeners + 1] = { slot = slot, text = {}, peer = listener(worker, "x") }
        elseif what == 8 then
          world:pump()
        elseif what == 9 then
          world:advance(0.05)
        elseif what == 10 then
          world.full = random(2) == 1
        elseif what == 11 and random(3) == 1 then
          worker.channel.get("x"):close()
        elseif what == 12 and random(3) == 1 then
          for i = #listeners, 1, -1 do
            if listeners[i].slot == slot then table.remove(listeners, i).peer:drop() end
          end
          world:kill(slot)
          world:announce(load_channels(world:start(slot, step + 1)))
        end
      end
      world.full = false
      for _ = 1, 10 do world:advance(1) end
      w1 = world.workers[1]
      assert.is_true(w1.channel.get("x"):publish "1:999999 ")
      for _ = 1, 10 do world:advance(1) end
      for _, item in ipairs(listeners) do
        local text, last = sent(item.peer):gsub("%(closed x%)", ""), { 0, 0, 0 }
        assert.truthy(text:find "1:999999 $", "seed " .. seed)
        assert.equal("", (text:gsub("%d:%d%d%d%d%d%d ", "")))
        for from, n in text:gmatch "(%d):(%d+) " do
          from, n = tonumber(from), tonumber(n)
          assert.is_true(n > last[from], "seed " .. seed .. ": " .. n .. " after " .. last[from])
          last[from] = n
        end
      end
      for _, play in ipairs(plays) do play.peer:drop() end
      plays = {}
      tasks.cancel_all()
      core.settle()
    end
  end)
end)
