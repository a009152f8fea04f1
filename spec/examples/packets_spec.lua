local t = require "linedancer.testing"
local packets = require "examples.packets"

describe("examples/packets.lua", function()
  it("counts the bytes of packets of any mode, however they are cut", function()
    for mode, wire in pairs {
      ["1"] = "\2hi\0", ["2"] = "\0\2hi\0\0", ["4"] = "\0\0\0\2hi\0\0\0\0", ["2le"] = "\2\0hi\0\0", varint = "\2hi\0",
    } do
      t.every_split(packets, { mode .. "\n" .. wire, t.eof }, { sent = "ok\n2\n0\n", reason = "done" })
      t.every_truncation(packets, mode .. "\n" .. wire)
    end
    t.every_split(packets, { "line\none\ntwo!\n", t.eof }, { sent = "ok\n4\n5\n", reason = "done" })
    t.every_split(packets, { "tpkt\n\3\0\0\6hi", t.eof }, { sent = "ok\n6\n", reason = "done" })
  end)

  it("refuses a mode that it does not know, and a packet over its limit before its bytes", function()
    assert.equal("no mode 3", t.play(packets, { "3\n" }).reason)
    assert.equal("limit", t.play(packets, { "4\n\0\1\0\0" }).reason)
    assert.equal("limit", t.play(packets, { ("m"):rep(17) }).reason)
  end)
end)
