local t = require "linedancer.testing"
local greeter = require "handlers.greeter"

describe("greeter", function()
  local HELLO = "G`day\r\n"

  it("greets first, before the client has said anything", function()
    assert.same({ sent = HELLO, state = "hello" }, (t.play(greeter, {})))
  end)

  it("echoes what follows the client's greeting, however it is cut", function()
    local run = { sent = HELLO .. "one\ntwo\0", reason = "done" }
    t.every_split(greeter, { "hi there\r\none\ntwo\0", t.eof }, run)
    t.every_split(greeter, { "hi there\none\ntwo\0", t.eof }, run)
  end)

  it("does not send back the greeting itself", function()
    local run, path = t.play(greeter, { "hi\n" })
    assert.same({ sent = HELLO, state = "echo" }, run)
    assert.same({ { "hello" }, { "echo" } }, path)
  end)

  it("says what its config wants", function()
    assert.equal("Hej\r\n", t.play(greeter, {}, { options = { greeting = "Hej" } }).sent)
  end)

  it("refuses an empty greeting", function()
    assert.same({ sent = HELLO, reason = "no greeting" }, (t.play(greeter, { "\r\nabc" })))
  end)

  it("refuses a greeting of 257 bytes and takes one of 256", function()
    assert.equal("echo", t.play(greeter, { ("g"):rep(256) .. "\n" }).state)
    assert.equal("limit", t.play(greeter, { ("g"):rep(257) }).reason)
    t.every_split(greeter, { ("g"):rep(300) }, { sent = HELLO, reason = "limit" })
  end)

  it("gives the client ten seconds to greet, even if bytes trickle in", function()
    assert.equal("timeout", t.play(greeter, { t.advance(6), "h", t.advance(6) }).reason)
    assert.equal("echo", t.play(greeter, { t.advance(6), "h", t.advance(3), "\n", t.advance(60) }).state)
  end)

  it("is done or truncated wherever the client leaves", function()
    t.every_truncation(greeter, "hi\nsome bytes")
    assert.equal("done", t.play(greeter, { t.eof }).reason)
    assert.equal("truncated", t.play(greeter, { "h", t.eof }).reason)
  end)
end)
