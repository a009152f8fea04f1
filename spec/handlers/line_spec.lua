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

  local function enter(name)
    local play = arrive()
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
    local _ = enter "ann"
    local bob = arrive { options = { members = 1 } }
    say(bob, "bob\n")
    assert.equal("name?\n* the room is full\nname?\n", bob.peer:sent())
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
