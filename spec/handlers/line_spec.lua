local t = require "linedancer.testing"
local line = require "handlers.line"

describe("line", function()
  local people

  before_each(function() people = {} end)

  -- Whoever is still in the room leaves, so that the next test finds it empty.
  after_each(function()
    for _, play in ipairs(people) do t.perform(play, t.reset) end
  end)

  local function arrive(opts)
    local play = t.begin(line, opts or {})
    people[#people + 1] = play
    return play
  end

  local function say(play, ...)
    for _, item in ipairs { ... } do t.perform(play, item) end
  end

  local function enter(name, opts)
    local play = arrive(opts)
    say(play, name .. "\n")
    play.peer:sent()
    return play
  end

  it("asks for a name and says who is there", function()
    local ann = arrive()
    assert.equal("name?\n", ann.peer:sent())
    say(ann, "ann\n")
    assert.equal("* welcome, ann: 0 more here\n", ann.peer:sent())
    local bob = arrive()
    say(bob, "bob\r\n")
    assert.equal("name?\n* welcome, bob: 1 more here\n", bob.peer:sent())
    assert.equal("* bob has joined\n", ann.peer:sent())
  end)

  it("tells a line to all others, and not to who said it", function()
    local ann, bob, cy = enter "ann", enter "bob", enter "cy"
    ann.peer:sent()
    bob.peer:sent()
    say(ann, "hel", "lo\r", "\nagain\n")
    assert.equal("", ann.peer:sent())
    assert.equal("ann: hello\nann: again\n", bob.peer:sent())
    assert.equal("ann: hello\nann: again\n", cy.peer:sent())
  end)

  it("tells nobody who has not given a name", function()
    local ann, stranger = enter "ann", arrive()
    stranger.peer:sent()
    say(ann, "psst\n")
    assert.equal("", stranger.peer:sent())
    say(stranger, t.eof)
    assert.equal("", ann.peer:sent())
  end)

  it("announces who leaves, in whatever way, and frees the name", function()
    local ann = enter "ann"
    for _, way in ipairs { t.eof, t.reset, ("x"):rep(1001) } do
      local bob = enter "bob"
      say(bob, way)
      t.result(bob)
      assert.equal("* bob has joined\n* bob has left\n", ann.peer:sent())
    end
  end)

  it("asks again for a name that is taken, empty, too long or odd", function()
    local _ = enter "ann"
    for _, name in ipairs { "ann", "", ("n"):rep(21), "a b", "a\27[2J" } do
      local bob = arrive()
      say(bob, name .. "\n")
      assert.truthy(bob.peer:sent():find "^name%?\n%* .*\nname%?\n$")
      say(bob, "bob\n")
      assert.truthy(bob.peer:sent():find "^%* welcome, bob")
      say(bob, t.eof)
    end
  end)

  it("gives up after three names that will not do", function()
    local run = t.play(line, { "?\n?\n?\nann\n" })
    assert.equal("no acceptable name", run.reason)
    assert.truthy(run.sent:find "^name%?\n%*.*name%?\n%*.*name%?\n%*[^?]*$")
  end)

  it("lets no more in than its config says", function()
    local one = { options = { members = 1 } }
    local ann, bob = enter("ann", one), arrive(one)
    say(bob, "bob\n")
    assert.equal("name?\n* the room is full\nname?\n", bob.peer:sent())
    say(ann, t.eof)
    local twin = arrive(one)
    say(twin, "bob\n") -- a name without a seat is free
    assert.equal("name?\n* welcome, bob: 0 more here\n", twin.peer:sent())
    say(twin, t.eof)
    say(bob, "bob\n")
    assert.equal("* welcome, bob: 0 more here\n", bob.peer:sent())
  end)

  it("drops control characters, which terminals obey", function()
    local ann, bob = enter "ann", enter "bob"
    ann.peer:sent()
    say(bob, "\27[2Jhi\7\n", "\1\2\n")
    assert.equal("bob: [2Jhi\n", ann.peer:sent())
  end)

  it("ends a connection whose line is over 1000 bytes, and tells the others", function()
    local ann, bob = enter "ann", enter "bob"
    ann.peer:sent()
    say(bob, ("x"):rep(1000) .. "\n")
    assert.equal("bob: " .. ("x"):rep(1000) .. "\n", ann.peer:sent())
    say(bob, ("x"):rep(1001))
    assert.equal("limit", t.result(bob).reason)
    assert.equal("* bob has left\n", ann.peer:sent())
  end)

  it("ends a reader that is too slow, and nobody else notices", function()
    local ann, bob, slow = enter "ann", enter "bob", enter "slow"
    ann.peer:sent()
    bob.peer:sent()
    say(slow, t.stall)
    local text, heard = ("x"):rep(999) .. "\n", 0
    for _ = 1, 300 do
      say(ann, text)
      heard = heard + select(2, bob.peer:sent():gsub("ann: x", ""))
    end
    say(slow, t.resume)
    assert.equal("limit", t.result(slow).reason)
    assert.equal(300, heard)
    assert.equal("chat", t.result(ann).state)
    assert.equal("chat", t.result(bob).state)
  end)

  it("is the same however names and lines are cut", function()
    local run = { sent = "name?\n* welcome, ann: 0 more here\n", reason = "done",
      path = { { "name" }, { "chat" }, { "chat" }, { "chat" } } }
    t.every_split(line, { "ann\nhello\r\nworld\n", t.eof }, run)
    t.every_truncation(line, "ann\nhello\nworld\n")
  end)

  it("gives a newcomer a minute for the name", function()
    assert.equal("timeout", t.play(line, { "an", t.advance(61) }).reason)
  end)
end)

describe("line in two workers", function()
  local world, people

  local function leave(peers)
    for _, peer in ipairs(peers) do peer:reset() end
  end

  before_each(function() world, people = t.world { workers = 2 }, {} end)

  after_each(function()
    if not world.closed then leave(people) end
    world:close()
  end)

  local function arrive(slot)
    local peer = world:connect(line, { worker = slot })
    people[#people + 1] = peer
    return peer
  end

  local function enter(name, slot) return arrive(slot):send(name .. "\n") end

  -- Ann is in worker 1, bob in worker 2, and both have heard so.
  local function ann_and_bob()
    local ann, bob = enter("ann", 1), enter("bob", 2)
    assert.equal("name?\n* welcome, ann: 0 more here\n* bob has joined\n", ann:sent())
    assert.equal("name?\n* welcome, bob: 1 more here\n", bob:sent())
    return ann, bob
  end

  it("is one room", function()
    local ann, bob = ann_and_bob()
    ann:send "hi\n"
    assert.equal("ann: hi\n", bob:sent())
    bob:send "ho\nho\n"
    assert.equal("bob: ho\nbob: ho\n", ann:sent())
    assert.equal("", bob:sent())
  end)

  it("has each name once, until its member leaves", function()
    local ann, bob = ann_and_bob()
    local twin = enter("ann", 2)
    assert.equal("name?\n* ann is taken\nname?\n", twin:sent())
    ann:reset()
    assert.equal("* ann has left\n", bob:sent())
    twin:send "ann\n"
    assert.equal("* welcome, ann: 1 more here\n", twin:sent())
  end)

  it("frees names and seats of a worker that died", function()
    local _, bob = ann_and_bob()
    world:kill(2)
    assert.truthy(bob.reason)
    local again = enter("bob", 1)
    assert.equal("name?\n* welcome, bob: 1 more here\n", again:sent())
  end)

  it("frees the name that someone chose who left before it was given", function()
    local ann = arrive(1):send("ann\n"):finish()
    assert.equal("done", ann.reason)
    assert.equal("name?\n* welcome, ann: 0 more here\n", enter("ann", 2):sent())
  end)

  it("never has more members or other counts than its seats allow, in whatever order they come", function()
    local SEATS, GUESTS = 3, 5
    world:close()
    t.every_order(function(any)
      local peers, counts, full = {}, {}, 0
      for i = 1, GUESTS do
        peers[i] = any:connect(line, { worker = i % 2 + 1, options = { members = SEATS } })
      end
      -- All names arrive before any worker does anything.
      for i, peer in ipairs(peers) do peer.link:put("guest" .. i .. "\n") end
      any:run()
      for _, peer in ipairs(peers) do
        local text = peer:sent()
        local count = text:match "^name%?\n%* welcome, %w+: (%d+) more" -- before all that is said
        if count then counts[#counts + 1] = tonumber(count) end
        if text == "name?\n* the room is full\nname?\n" then full = full + 1 end
      end
      leave(peers)
      table.sort(counts)
      assert.equal(SEATS, #counts)
      assert.equal(GUESTS - SEATS, full)
      for i, count in ipairs(counts) do assert.truthy(count >= i - 1 and count < SEATS) end
    end, { workers = 2, seeds = 30 })
  end)

  it("tells all others what one said, in its order, in whatever order workers get to it", function()
    world:close()
    t.every_order(function(any)
      local peers = {}
      for i = 1, 4 do
        peers[i] = any:connect(line, { worker = i % 2 + 1 })
        peers[i]:send("guest" .. i .. "\n")
      end
      for _, peer in ipairs(peers) do peer:sent() end
      for i, peer in ipairs(peers) do peer.link:put(i .. "a\n" .. i .. "b\n") end
      any:run()
      for i, peer in ipairs(peers) do
        local text = peer:sent()
        for j = 1, 4 do
          local said = {}
          for what in text:gmatch("guest" .. j .. ": (%w+)\n") do said[#said + 1] = what end
          assert.same(i == j and {} or { j .. "a", j .. "b" }, said)
        end
      end
      leave(peers)
    end, { workers = 2, seeds = 20 })
  end)
end)
