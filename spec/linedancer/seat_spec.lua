local seat = require "linedancer.seat"

describe("a message of the supervisor", function()
  it("holds numbers and texts, which are read again", function()
    local message = "L" .. seat.u32(4000000001) .. seat.u16(65535) .. seat.s2 "word" .. seat.s2 ""
    assert.equal("\238\107\40\1\255\255\0\4word\0\0", message:sub(2))
    assert.equal(4000000001, seat.read(message, 2, 4))
    assert.equal(65535, seat.read(message, 6, 2))
    local text, after = seat.read_s2(message, 8)
    assert.same({ "word", 14 }, { text, after })
    assert.same({ "", 16 }, { seat.read_s2(message, after) })
  end)

  it("is refused when it is cut short", function()
    for _, read in ipairs {
      function() seat.read("ab", 2, 2) end,
      function() seat.read_s2("\0\3ab", 1) end,
      function() seat.read_s2("\0", 1) end,
    } do
      assert.error_matches(read, "cut short")
    end
  end)
end)
