local t = require "linedancer.testing"
local radio = require "examples.channel"

describe("examples/channel.lua", function()
  local world

  before_each(function() world = t.world() end)
  after_each(function() world:close() end)

  local function tune(name) return world:connect(radio):send("hear " .. name .. "\n") end
  local function speak(name) return world:connect(radio):send("speak " .. name .. "\n") end

  it("lets who comes late begin at the last headline", function()
    local first, speaker = tune "news", speak "news"
    speaker:send "= One\na\n= Two\nb\n"
    local late = tune "news"
    speaker:send "c\n"
    assert.equal("[news]\n= One\na\n= Two\nb\nc\n", first:sent())
    assert.equal("[news]\n= Two\nb\nc\n", late:sent())
    assert.equal("", speaker:sent())
    speaker:finish()
  end)

  it("lets them go when the speaker leaves, after its last line", function()
    local speaker, one = speak "farewell", tune "farewell"
    speaker:send("Bye.\n"):finish()
    assert.equal("[farewell]\nBye.\n", one:sent())
    assert.equal("off the air", one.reason)
    assert.equal("done", speaker.reason)
  end)

  it("has one speaker for each channel at a time", function()
    local speaker, other = speak "one", speak "two"
    assert.equal("somebody speaks there", speak("one").reason)
    assert.equal("speak", other.state)
    speaker:reset()
    assert.equal("speak", speak("one").state)
  end)

  it("does not wait for one who does not hear", function()
    local speaker, deaf, one = speak "long", tune "long", tune "long"
    deaf:stall()
    local line, heard = ("x"):rep(999) .. "\n", 0
    for _ = 1, 1000 do
      speaker:send(line)
      heard = heard + #one:sent()
    end
    assert.equal(1000 * #line + #"[long]\n", heard)
    speaker:send "= Now\n"
    deaf:resume()
    assert.truthy(deaf:sent():find "= Now\n$")
    assert.is_nil(deaf.reason)
  end)

  it("ends a connection that wants something else", function()
    assert.equal("speak or hear, and a channel", world:connect(radio):send("dance news\n").reason)
  end)
end)
