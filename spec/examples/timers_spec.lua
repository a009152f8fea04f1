local t = require "linedancer.testing"
local timers = require "examples.timers"

describe("examples/timers.lua", function()
  local function plays(script, expected)
    assert.same(expected, (t.play(timers, script, { options = { silence = 20, patience = 10 } })))
  end

  it("asks a silent client whether it is there, and throws it out if it does not answer", function()
    plays({ t.advance(19) }, { sent = "", state = "line" })
    plays({ t.advance(21) }, { sent = "ping\n", state = "line" })
    plays({ t.advance(20), t.advance(11) }, { sent = "ping\ngone\n", reason = "silent" })
  end)

  it("lets a client stay that answers, or says anything", function()
    plays({ t.advance(20), "pong\n", t.advance(19), "hi\n", t.advance(19) }, { sent = "ping\nhi\n", state = "line" })
    plays({ t.advance(20), "pong\n", t.advance(20), "pong\n", t.advance(20) },
      { sent = "ping\nping\nping\n", state = "line" })
  end)

  it("does not take a line without an end for an answer", function()
    plays({ "half", t.advance(20), " a", t.advance(11) }, { sent = "ping\ngone\n", reason = "silent" })
    plays({ "half", t.advance(20), " a line\n", t.eof }, { sent = "ping\nhalf a line\n", reason = "done" })
  end)

  it("is done or truncated wherever the client leaves", function()
    t.every_truncation(timers, "hello\npong\n")
  end)
end)
