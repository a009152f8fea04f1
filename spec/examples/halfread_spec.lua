local t = require "linedancer.testing"
local halfread = require "examples.halfread"

describe("examples/halfread.lua", function()
  local frame = "\0\0\0\5hello"

  it("answers the clock and others while a frame is half read, wherever it is cut", function()
    local other = t.begin(halfread, {})
    for cut = 0, #frame - 1 do
      local half = t.begin(halfread, {})
      other.peer:sent()
      t.perform(half, frame:sub(1, cut))
      t.perform(half, t.advance(1))
      assert.equal("t\0\0\0\4\0\0\0" .. string.char(cut), half.peer:sent())
      t.perform(other, "\0\0\0\2hi")
      assert.equal("s\0\0\0\2hi", half.peer:sent())
      t.perform(half, frame:sub(cut + 1))
      assert.equal("s" .. frame, half.peer:sent())
      t.perform(half, t.eof)
      assert.equal("done", t.result(half).reason)
    end
    t.perform(other, t.eof)
  end)

  it("ticks on", function()
    local tick = "t\0\0\0\4\0\0\0\0"
    assert.same({ sent = tick:rep(3), state = "frame" }, (t.play(halfread, { t.advance(3.5) })))
  end)

  it("is the same however frames are cut", function()
    t.every_split(halfread, { frame .. "\0\0\0\0", t.eof }, { sent = "s" .. frame .. "s\0\0\0\0", reason = "done" })
    t.every_truncation(halfread, frame)
  end)

  it("refuses a body over 64 KB before its bytes", function()
    assert.equal("limit", t.play(halfread, { "\0\1\0\1" }).reason)
  end)
end)
