local bytes = require "linedancer.bytes"
local ld = require "linedancer"
local t = require "linedancer.testing"

-- Call CHECK with "abcdefgh" as a slice, a buffer of several pieces, and a blob.
local function each_kind(check)
  check(ld.buffer():put("abc"):put(ld.blob "de"):put "fgh")
  check(ld.blob "abcdefgh")
  local run = t.play(function(conn)
    conn:skip(1)
    check(conn:slice(8))
  end, { "xabcdefghy" })
  assert.equal("done", run.reason)
end

describe("slices, buffers and blobs", function()
  -- What string.METHOD says is right, for positions of every kind.
  local positions = { -100, -9, -8, -3, -1, 0, 1, 2, 4, 8, 9, 100 }

  it("have byte() as strings do", function()
    each_kind(function(x)
      assert(x:byte() == 97)
      for _, i in ipairs(positions) do assert(x:byte(i) == ("abcdefgh"):byte(i), i) end
    end)
  end)

  it("have sub() as strings do", function()
    each_kind(function(x)
      assert(x:sub() == "abcdefgh")
      for _, i in ipairs(positions) do
        assert(x:sub(i) == ("abcdefgh"):sub(i), i)
        for _, j in ipairs(positions) do assert(x:sub(i, j) == ("abcdefgh"):sub(i, j), i .. "," .. j) end
      end
    end)
  end)

  it("have u32be(), from the end too", function()
    each_kind(function(x)
      assert(x:u32be() == 0x61626364 and x:u32be(5) == 0x65666768 and x:u32be(-4) == 0x65666768)
      for _, i in ipairs { 0, 6, 9, -3, -9, 100 } do
        local ok, err = pcall(x.u32be, x, i)
        assert(not ok and err.code == "range", i)
      end
    end)
    assert.equal(0xFFFFFFFF, ld.blob("\255\255\255\255"):u32be())
  end)

  it("have their length, and their text by tostring", function()
    each_kind(function(x) assert(#x == 8 and tostring(x) == "abcdefgh") end)
    assert.equal(0, #ld.buffer())
    assert.equal("", tostring(ld.buffer()))
  end)

  it("compare to strings and to each other by eq()", function()
    each_kind(function(x)
      assert(x:eq "abcdefgh" and x:eq(x) and x:eq(ld.blob "abcdefgh"))
      assert(not x:eq "abcdefgx" and not x:eq "abcdefg" and not x:eq "" and not x:eq(nil) and not x:eq {})
    end)
    assert.is_false(ld.blob("nil"):eq(nil))
    assert.is_false(ld.blob("5"):eq(5))
  end)

  it("decode by unpack(), from any position", function()
    each_kind(function(x)
      local a, b, after = x:unpack ">I2 B"
      assert(a == 0x6162 and b == 0x63 and after == 4)
      a, after = x:unpack("B", 8)
      assert(a == 0x68 and after == 9)
      a, after = x:unpack("B", -1)
      assert(a == 0x68 and after == 9)
    end)
  end)

  it("are known by bytes.is", function()
    each_kind(function(x) assert(bytes.is(x)) end)
    assert.is_false(bytes.is "abc")
    assert.is_false(bytes.is {})
    assert.is_true(bytes.is_buffer(ld.buffer()))
  end)

  it("show no pointer", function()
    each_kind(function(x)
      assert(not pcall(function() return x.p end) or x.p == nil)
      for _, name in ipairs { "len", "off", "view", "conn", "handle" } do
        assert(not pcall(function() x[name] = 1 end), name)
      end
    end)
  end)
end)

describe("a buffer", function()
  it("collects strings, numbers, slices, buffers and blobs, and parts of them", function()
    local b = ld.buffer()
    assert.equal(b, b:put "ab")
    b:put(12):put(ld.buffer():put "cd"):put(ld.blob "ef")
    b:put("0123456789", 3, 5):put(ld.blob "0123456789", -2):put("xyz", 2)
    t.play(function(conn) b:put(conn:slice(4), 2, 3) end, { "wxyz" })
    assert.equal("ab12cdef23489yzxy", tostring(b))
  end)

  it("takes nothing of a range that is empty or beyond the end", function()
    for _, x in ipairs { "abc", ld.blob "abc" } do
      local b = ld.buffer()
      b:put(x, 4):put(x, 10, 20):put(x, 3, 2):put(x, 0, 0):put(x, -100, -50):put("")
      assert.equal("", tostring(b))
      b:put(x, -100, 100)
      assert.equal("abc", tostring(b))
    end
    local run = t.play(function(conn) conn:write(#ld.buffer():put(conn:slice(3), 10, 20)) end, { "abc" })
    assert.equal("0", run.sent)
  end)

  it("refuses what is no bytes", function()
    for _, value in ipairs { {}, true, print } do
      assert.has_error(function() ld.buffer():put(value) end)
    end
    assert.has_error(function() ld.buffer():put(nil) end)
    assert.has_error(function() ld.blob(nil) end)
    assert.has_error(function() ld.blob {} end)
  end)

  it("shares large pieces, and copies small ones: the source may change after", function()
    for _, size in ipairs { 1, 100, 4095, 4096, 100000 } do
      local text = ("s"):rep(size)
      local source = ld.buffer():put(text)
      local copy = ld.buffer():put "<":put(source):put ">"
      source:put "more"
      assert.is_true(tostring(copy) == "<" .. text .. ">")
      assert.is_true(tostring(source) == text .. "more")
    end
  end)

  it("keeps shared bytes alive without their source", function()
    local b = ld.buffer()
    for i = 1, 20 do b:put(ld.blob((string.char(64 + i)):rep(10000))) end
    collectgarbage()
    collectgarbage()
    for i = 1, 20 do assert.equal(64 + i, b:byte((i - 1) * 10000 + 1)) end
    assert.equal(200000, #b)
  end)

  it("refuses itself", function()
    local b = ld.buffer():put "x"
    assert.has_error(function() b:put(b) end)
    assert.equal("x", tostring(b))
  end)

  it("encodes by pack()", function()
    local b = ld.buffer()
    assert.equal(b, b:pack(">B I2", 1, 2))
    b:pack(">s2", ld.blob "hi"):pack("s1", b:sub(1, 2))
    assert.equal("\1\0\2\0\2hi\2\1\0", tostring(b))
    assert.has_error(function() b:pack("B", 256) end)
    assert.equal(10, #b)
  end)

  it("grows to its maximum and no further", function()
    local b = ld.buffer(10)
    b:put "12345"
    for _, add in ipairs {
      function() b:put "123456" end, function() b:put(ld.blob "123456") end, function() b:pack(">I4 I2", 1, 2) end,
      function()
        local err
        t.play(function(conn) err = select(2, pcall(b.put, b, conn:slice(6))) end, { "123456" })
        error(err)
      end,
    } do
      local ok, err = pcall(add)
      assert.is_false(ok)
      assert.equal("limit", err.code)
      assert.equal("12345", tostring(b))
    end
    b:pack(">I4 B", 0, 0)
    assert.equal(10, #b)
    b:put ""
  end)

  it("refuses a maximum that is none", function()
    for _, max in ipairs { -1, 0 / 0, "x", {} } do
      assert.has_error(function() ld.buffer(max) end)
    end
  end)

  it("is sealed by keep(), as a blob is from the start", function()
    for _, b in ipairs { ld.buffer():put("ab"):keep(), ld.blob "ab" } do
      for _, add in ipairs {
        function() b:put "c" end, function() b:pack("B", 1) end, function() b:put(ld.blob "c") end,
      } do
        local ok, err = pcall(add)
        assert.is_false(ok)
        assert.equal("busy", err.code)
        assert.matches("sealed", err.message)
      end
      assert.equal("ab", tostring(b))
    end
  end)

  it("is used again after clear(), and what was put elsewhere stays", function()
    for _, size in ipairs { 3, 5000, 200000 } do
      local buffer, other = ld.buffer(), ld.buffer()
      other:put(buffer:put(("a"):rep(size)))
      assert.equal(0, #buffer:clear())
      assert.equal("b", tostring(buffer:put "b"))
      buffer:keep()
      assert.equal("c", tostring(buffer:clear():put "c"))
      assert.equal(("a"):rep(size), tostring(other))
    end
  end)

  it("may be read while it grows", function()
    local b = ld.buffer()
    for i = 1, 3000 do
      b:put(("%05d"):format(i))
      if i % 500 == 0 then assert.equal(("%05d"):format(i), b:sub(-5)) end
    end
    assert.equal(15000, #b)
    assert.equal("00001", b:sub(1, 5))
  end)

  it("is given back to C when it is dropped", function()
    collectgarbage()
    collectgarbage()
    local handles = {}
    for _ = 1, 50 do
      for _ = 1, 200 do
        local b = ld.buffer():put "x"
        handles[b.handle % 2 ^ 24] = true
      end
      collectgarbage()
      collectgarbage()
    end
    local count = 0
    for _ in pairs(handles) do count = count + 1 end
    assert.is_true(count <= 1024, count)
  end)
end)

describe("a blob", function()
  it("holds any bytes", function()
    for _, text in ipairs { "", "\0", "abc\0def", ("x"):rep(100000) } do
      assert.is_true(tostring(ld.blob(text)) == text)
    end
    local all = {}
    for i = 0, 255 do all[#all + 1] = string.char(i) end
    assert.equal(table.concat(all), tostring(ld.blob(table.concat(all))))
  end)

  it("may be made of a slice, a buffer or a blob", function()
    assert.equal("abc", t.play(function(conn) conn:write(tostring(ld.blob(conn:slice(3)))) end, { "abc" }).sent)
    assert.equal("abc", tostring(ld.blob(ld.buffer():put "abc")))
    assert.equal("abc", tostring(ld.blob(ld.blob "abc")))
  end)
end)
