local flv = require "handlers.rtmp.flv"
local ld = require "linedancer"
local t = require "linedancer.testing"

-- A connection that reads FLV and says what it finds.
local reader = {
  initial = "header",
  states = {
    header = function(conn) return flv.read_header(conn) and "tag" or nil end,
    tag = function(conn)
      local kind, time, body = flv.read(conn)
      if not kind then return end
      conn:write(kind, " ", time, " ", body, "\n")
      return "tag"
    end,
  },
  timeouts = { 60 },
}

describe("flv", function()
  it("has the header and the tags of the specification", function()
    assert.equal("FLV\1\5\0\0\0\9\0\0\0\0", flv.header())
    assert.equal("FLV\1\4\0\0\0\9\0\0\0\0", flv.header(true, false))
    assert.equal("\8\0\0\3\0\0\7\0\0\0\0abc\0\0\0\14", tostring(flv.tag(8, 7, "abc")))
    assert.equal("\9\0\0\1\52\86\120\18\0\0\0x\0\0\0\12", tostring(flv.tag(9, 0x12345678, "x")))
    assert.equal("\18\0\0\0\255\255\255\255\0\0\0\0\0\0\11", tostring(flv.tag(18, 2 ^ 32 - 1, "")))
  end)

  it("uses a buffer again, and what was put elsewhere stays", function()
    local out, all = ld.buffer(), ld.buffer()
    all:put(flv.tag(9, 1, ("a"):rep(9000), out)):put(flv.tag(9, 2, "b", out))
    assert.equal(tostring(flv.tag(9, 1, ("a"):rep(9000))) .. tostring(flv.tag(9, 2, "b")), tostring(all))
  end)

  it("reads what it writes, however that is cut", function()
    local wire = flv.header() .. tostring(flv.tag(8, 7, "abc")) .. tostring(flv.tag(9, 0x12345678, "x"))
      .. tostring(flv.tag(18, 9, ""))
    t.every_split(reader, { wire, t.eof }, { sent = "8 7 abc\n9 305419896 x\n18 9 \n", reason = "done" })
    t.every_truncation(reader, wire)
  end)

  it("is no other file", function()
    assert.equal("this is no FLV", t.play(reader, { "RIFF\0\0\0\0\0\0\0\0\0" }).reason)
  end)
end)
