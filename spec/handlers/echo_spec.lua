local t = require "linedancer.testing"
local echo = require "handlers.echo"

describe("echo", function()
  it("sends back every byte, however they are cut, and ends when the peer does", function()
    local bytes = "hello\r\n\0\1\255 and on"
    assert.same({ sent = bytes, reason = "done" }, (t.play(echo, { bytes, t.eof })))
    t.every_split(echo, { bytes, t.eof }, { sent = bytes, reason = "done" })
  end)

  it("sends nothing before it has heard something", function()
    assert.same({ sent = "", state = "echo" }, (t.play(echo, {})))
  end)

  it("is done wherever the peer leaves", function()
    t.every_truncation(echo, "some bytes")
  end)

  it("ends after an hour of silence, not of slowness", function()
    assert.equal("echo", t.play(echo, { "a", t.advance(3599), "b", t.advance(3599) }).state)
    assert.equal("timeout", t.play(echo, { "a", t.advance(3601) }).reason)
  end)

  it("stops reading from a peer that does not read, and loses nothing", function()
    local big = ("x"):rep(50000)
    local script = { t.stall, big, big, big, big, t.resume, t.eof }
    assert.same({ sent = big:rep(4), reason = "done" }, (t.play(echo, script)))
  end)
end)
