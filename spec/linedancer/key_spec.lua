local ld = require "linedancer"
local t = require "linedancer.testing"

describe("ld.key", function()
  it("keeps the bytes behind four of a hash, and is the same for the same bytes", function()
    for _, text in ipairs { "", "a", "12345678", "123456789", ("x"):rep(1000), "a\0b" } do
      local key = ld.key(text)
      assert.equal(text, key:sub(5))
      assert.equal(#text + 4, #key)
      assert.equal(key, ld.key(text))
    end
  end)

  it("takes slices, buffers and blobs as it takes strings", function()
    local seen
    t.play(function(conn) seen = ld.key(conn:slice(3)) end, { "key" })
    assert.equal(ld.key "key", seen)
    assert.equal(ld.key "key", ld.key(ld.blob "key"))
    assert.equal(ld.key "key", ld.key(ld.buffer():put "key"))
  end)

  it("spreads keys that differ in bytes which LuaJIT does not look at", function()
    local heads, distinct = {}, 0
    for i = 1, 5000 do
      local head = ld.key(("user:%08d:name"):format(i)):sub(1, 4)
      if not heads[head] then distinct = distinct + 1 end
      heads[head] = true
    end
    assert.is_true(distinct > 4990)
  end)

  it("refuses a slice that is no longer valid", function()
    local run = t.play(function(conn)
      local slice = conn:slice(1)
      conn:skip(1)
      ld.key(slice)
    end, { "ab" })
    assert.equal("stale", run.reason)
  end)
end)
