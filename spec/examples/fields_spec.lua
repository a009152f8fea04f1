local t = require "linedancer.testing"
local fields = require "examples.fields"

describe("examples/fields.lua", function()
  it("sends readings back with their values sorted, and the note if there is one", function()
    local urgent, plain = "\24\2\0\7\255\254\2hi", "\16\3\0\3\0\1\0\2"
    t.every_split(fields, { urgent .. plain .. "\16\0", t.eof },
      { sent = "\24\2\255\254\0\7\2hi" .. "\16\3\0\1\0\2\0\3" .. "\16\0", reason = "done" })
    t.every_truncation(fields, urgent .. plain)
  end)

  it("refuses another version, too many values and a long note before its bytes", function()
    assert.equal("version 2", t.play(fields, { "\32\0" }).reason)
    assert.equal("limit", t.play(fields, { "\16\101" }).reason)
    assert.equal("limit", t.play(fields, { "\24\0\81" }).reason)
  end)
end)
