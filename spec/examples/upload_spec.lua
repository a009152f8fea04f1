local t = require "linedancer.testing"
local upload = require "examples.upload"

describe("examples/upload.lua", function()
  it("sums bodies one after another, however they are cut", function()
    t.every_split(upload, { "5\n\1\2\3\4\255", "0\n", "3\nabc", t.eof },
      { sent = "5 265\n0 0\n3 294\n", reason = "done" })
    t.every_truncation(upload, "5\n12345")
  end)

  it("takes a body of many times what a frame may be", function()
    local piece = ("\1"):rep(60000)
    local script = { ("%d\n"):format(100 * #piece) }
    for i = 1, 100 do script[i + 1] = piece end
    assert.same({ sent = "6000000 6000000\n", state = "upload" }, (t.play(upload, script)))
  end)

  it("refuses a size that is none, or too large", function()
    assert.equal("mismatch", t.play(upload, { "five\n" }).reason)
    assert.equal("a size of -1", t.play(upload, { "-1\n" }).reason)
    assert.equal("a size of 9999999999999", t.play(upload, { "9999999999999\n" }).reason)
    assert.equal("limit", t.play(upload, { "99999999999999" }).reason)
  end)
end)
