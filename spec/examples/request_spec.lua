local t = require "linedancer.testing"
local request = require "examples.request"

describe("examples/request.lua", function()
  local plays

  before_each(function() plays = {} end)
  after_each(function()
    for _, play in ipairs(plays) do t.perform(play, t.reset) end
  end)

  local function arrive(opts)
    local play = t.begin(request, opts or {})
    plays[#plays + 1] = play
    return play
  end

  -- Say LINES in PLAY, and get what it has been told.
  local function say(play, lines)
    t.perform(play, lines)
    return play.peer:sent()
  end

  it("carries a question to who serves, and the answer back", function()
    local service, ann = arrive(), arrive()
    say(service, "serve sum\n")
    say(ann, "ask sum 1 2\n")
    assert.equal("# 1 1 2\n", service.peer:sent())
    say(service, "# 1 3\n")
    assert.equal("= 3\n", ann.peer:sent())
  end)

  it("gives each answer to the one that asked, in whatever order, while a line is half read", function()
    local service, ann, bob = arrive(), arrive(), arrive()
    say(service, "serve s\n#")
    say(ann, "ask s a\n")
    say(bob, "ask s b\n")
    assert.equal("# 1 a\n# 2 b\n", say(service, " 2 B\n# 1 A\n"))
    assert.equal("= A\n", ann.peer:sent())
    assert.equal("= B\n", bob.peer:sent())
  end)

  it("says when nobody serves, and when the name is taken", function()
    assert.equal("! nobody\n", say(arrive(), "ask s x\n"))
    assert.equal("", say(arrive(), "serve s\n"))
    assert.equal("! taken\n", say(arrive(), "serve s\n"))
  end)

  it("gives up on an answer in time, and drops it when it comes later", function()
    local service, ann = arrive(), arrive()
    say(service, "serve s\n")
    say(ann, "ask s x\n")
    t.perform(ann, t.advance(5.1))
    assert.equal("! timeout\n", ann.peer:sent())
    say(service, "# 1 late\n# 1 later\n# 7 never asked\n")
    assert.equal("", ann.peer:sent())
    assert.equal("line", t.result(service).state)
  end)

  it("forgets the oldest question when a hundred others are open", function()
    local service, first, second = arrive(), arrive(), arrive()
    say(service, "serve s\n")
    say(first, "ask s 1\n")
    say(second, "ask s 2\n")
    for i = 3, 101 do say(arrive(), "ask s " .. i .. "\n") end
    say(service, "# 1 one\n# 2 two\n")
    assert.equal("", first.peer:sent())
    assert.equal("= two\n", second.peer:sent())
  end)

  it("tells who waits that the service is gone", function()
    local service, ann = arrive(), arrive()
    say(service, "serve s\n")
    say(ann, "ask s x\n")
    t.perform(service, t.reset)
    assert.equal("! gone\n", ann.peer:sent())
    assert.equal("! nobody\n", say(ann, "ask s x\n"))
  end)

  it("does so across workers", function()
    local world = t.world { workers = 2 }
    local service, ann = world:connect(request), world:connect(request, { worker = 2 })
    service:send "serve far\n"
    ann:send "ask far x\n"
    assert.equal("# 1 x\n", service:sent())
    service:send "# 1 X\n"
    assert.equal("= X\n", ann:sent())
    ann:send "ask far y\n"
    service:reset()
    assert.equal("! gone\n", ann:sent())
    world:close()
  end)

  it("ends a connection that wants something else", function()
    assert.equal("ask, serve or # expected", t.play(request, { "what?\n" }).reason)
    t.every_truncation(request, "serve s\nask t x\n")
  end)
end)
