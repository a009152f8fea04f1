local t = require "linedancer.testing"
local tlv = require "examples.tlv"

describe("examples/tlv.lua", function()
  it("greets and sends frames back, however they are cut", function()
    local script = { "LD\1", "\1\0\2hi\2\0\0", t.eof }
    local run, path = t.play(tlv, script)
    assert.same({ sent = "OK\n\1\0\2hi\2\0\0", reason = "done" }, run)
    assert.same({ { "hello" }, { "frame" }, { "frame" }, { "frame" } }, path)
    t.every_split(tlv, script, { sent = run.sent, reason = "done", path = path })
    t.every_truncation(tlv, "LD\1\1\0\2hi")
  end)

  it("refuses another protocol, another version and a large body before its bytes", function()
    assert.equal("mismatch", t.play(tlv, { "GET" }).reason)
    assert.equal("version 2", t.play(tlv, { "LD\2" }).reason)
    assert.equal("body too large", t.play(tlv, { "\1\16\1" }, { state = "frame" }).reason)
    assert.equal("frame", t.play(tlv, { "\1\16\0" }, { state = "frame" }).state)
  end)

  it("gives five seconds for the handshake", function()
    assert.equal("timeout", t.play(tlv, { "LD", t.advance(6) }).reason)
  end)
end)
