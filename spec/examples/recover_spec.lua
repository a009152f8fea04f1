local t = require "linedancer.testing"
local recover = require "examples.recover"

describe("examples/recover.lua", function()
  it("skips a line that is no sum and goes on, however it is cut", function()
    t.every_split(recover, { "1+2\nwhat?\n3+x\n3+4\n", t.eof },
      { sent = "3\n? unexpected bytes\n? unexpected bytes\n7\n", reason = "done" })
  end)

  it("skips a number of too many digits as well", function()
    assert.equal("? a frame is over its limit\n3\n", t.play(recover, { "1234567890+1\n1+2\n" }).sent)
  end)

  it("does not go on for ever with a line that does not end", function()
    assert.equal("limit", t.play(recover, { ("x"):rep(200) }).reason)
  end)

  it("is done or truncated wherever the peer leaves", function()
    t.every_truncation(recover, "1+2\nwhat?\n3+4\n")
  end)
end)
