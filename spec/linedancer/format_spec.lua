local errors = require "linedancer.errors"
local ffi = require "ffi"
local ld = require "linedancer"
local t = require "linedancer.testing"

-- The error object, or message, that FN(...) raises.
local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok, "nothing was raised")
  return err
end

describe("Format:unpack", function()
  it("returns the values and the position after them, as string.unpack does", function()
    assert.same({ 1, 0x0203, 4 }, { ld.format(">B I2"):unpack "\1\2\3\4" })
    assert.same({ "abc", 5 }, { ld.format("s1"):unpack "\3abcd" })
    assert.same({ 3 }, { ld.format("x2"):unpack "ab" })
    assert.same({ 1 }, { ld.format(""):unpack "" })
  end)

  it("begins at a position, from the end when it is negative", function()
    local format = ld.format "B"
    assert.same({ 98, 3 }, { format:unpack("abc", 2) })
    assert.same({ 99, 4 }, { format:unpack("abc", -1) })
    assert.same({ 97, 2 }, { format:unpack("abc", -3) })
    for _, pos in ipairs { 0, 5, -4 } do
      assert.matches("initial position out of string", raised(format.unpack, format, "abc", pos))
    end
    assert.equal("truncated", raised(format.unpack, format, "abc", 4).code)
  end)

  it("raises `truncated` and says how much is missing", function()
    local err = raised(ld.format(">I4").unpack, ld.format ">I4", "abc")
    assert.is_true(errors.is(err))
    assert.equal("truncated", err.code)
    assert.matches("1 more", err.message)
  end)

  it("raises `mismatch` and `range` with offset and field", function()
    local err = raised(function() ld.format("B 'LD'"):unpack "\1LX" end)
    assert.same({ "mismatch", 2 }, { err.code, err.offset })
    err = raised(function() ld.format(">a:B b:I8"):unpack("\1" .. ("\255"):rep(8)) end)
    assert.same({ "range", 1, "b" }, { err.code, err.offset, err.field })
    err = raised(function() ld.format("m"):unpack "\255\255\255\255\255" end)
    assert.equal("varint", err.code)
  end)

  it("has one NaN, whatever bits a peer sends for it", function()
    for _, case in ipairs {
      { ">d", "\255\255\255\255\255\255\255\255" }, { ">d", "\255\254\128\0\0\0\0\1" },
      { "<d", "\1\2\3\4\5\6\252\255" }, { ">d", "\127\240\0\0\0\0\0\1" }, { ">f", "\255\255\255\255" },
      { "<f", "\255\255\191\255" },
    } do
      local value = ld.format(case[1]):unpack(case[2])
      assert.equal("number", type(value))
      assert.is_true(value ~= value)
      local seen = {}
      t.play(function(conn) seen[1] = conn:unpack(case[1]) end, { case[2] })
      assert.equal("number", type(seen[1]))
    end
    assert.equal(-math.huge, (ld.format(">d"):unpack "\255\240\0\0\0\0\0\0"))
  end)

  it("takes slices, buffers and blobs", function()
    assert.same({ 0x6162, 3 }, { ld.format(">I2"):unpack(ld.blob "abc") })
    assert.same({ 0x6263, 4 }, { ld.format(">I2"):unpack(ld.buffer():put("a"):put "bc", 2) })
  end)

  it("gives slice fields as strings", function()
    assert.same({ "ab", 1, 5 }, { ld.format("&s1 B"):unpack "\2ab\1" })
  end)

  it("leaves out fields named _", function()
    assert.same({ 1, 3, 4 }, { ld.format("B _:B B"):unpack "\1\2\3" })
    assert.equal("\1\0\3", ld.format("B _:B B"):pack(1, 3))
    assert.same({ { { 1 }, { 2 } }, 5 }, { ld.format("2*(_:B B)"):unpack "\0\1\0\2" })
    assert.same({ a = 1 }, (ld.format("_:B a:B _:s1"):unpack "\9\1\1x"))
    assert.same({ 3 }, { ld.format("_:B _:B"):unpack "ab" })
  end)
end)

describe("named fields", function()
  it("give one table, with unnamed ones by position", function()
    assert.same({ kind = 1, size = 515, 9 }, (ld.format(">kind:B size:I2 B"):unpack "\1\2\3\9"))
  end)

  it("take one table", function()
    assert.equal("\1\2\3\9", ld.format(">kind:B size:I2 B"):pack { kind = 1, size = 515, 9 })
  end)

  it("have lengths filled in from their bytes", function()
    local format = ld.format ">kind:B size:I2 body:c@size"
    assert.equal("\1\0\3abc", format:pack { kind = 1, body = "abc" })
    assert.same({ kind = 1, size = 3, body = "abc" }, (format:unpack "\1\0\3abc"))
    format = ld.format ">size:I4 body:c(@size-4)"
    assert.equal("\0\0\0\7abc", format:pack { body = "abc" })
    assert.equal("abc", (format:unpack "\0\0\0\7abc").body)
  end)

  it("do not change the table that is packed", function()
    for _, source in ipairs { ">size:I2 body:c@size", ">n:B list:@n*(B)" } do
      local values = { body = "abc", list = { 1, 2 } }
      ld.format(source):pack(values)
      assert.is_nil(values.size)
      assert.is_nil(values.n)
    end
  end)

  it("may have any name, keywords too", function()
    assert.same({ ["end"] = 1, ["local"] = 2 }, (ld.format("end:B local:B"):unpack "\1\2"))
    assert.equal("\1\2", ld.format("end:B local:B"):pack { ["end"] = 1, ["local"] = 2 })
  end)
end)

describe("repeats", function()
  it("are arrays of values, or of tables", function()
    assert.same({ { 1, 2, 3 }, 4 }, { ld.format("3*(B)"):unpack "\1\2\3" })
    assert.same({ { { 1, 2 }, { 3, 4 } }, 5 }, { ld.format("2*(B B)"):unpack "\1\2\3\4" })
    assert.same({ { { k = 1, v = "a" }, { k = 2, v = "bc" } }, 8 }, { ld.format("2*(k:B v:s1)"):unpack "\1\1a\2\2bc" })
    assert.same({ n = 2, list = { 7, 8 } }, (ld.format("n:B list:@n*(B)"):unpack "\2\7\8"))
  end)

  it("may be empty", function()
    assert.same({ n = 0, list = {} }, (ld.format("n:B list:@n*(B)"):unpack "\0"))
    assert.equal("\0", ld.format("n:B list:@n*(B)"):pack { list = {} })
  end)

  it("fill in their count", function()
    assert.equal("\3\7\8\9", ld.format("n:B list:@n*(B)"):pack { list = { 7, 8, 9 } })
  end)

  it("may be nested", function()
    local format = ld.format "n:B rows:@n*(m:B cells:@m*(s1))"
    local value = { n = 2, rows = { { m = 1, cells = { "a" } }, { m = 2, cells = { "b", "cc" } } } }
    assert.equal("\2\1\1a\2\1b\2cc", format:pack(value))
    assert.same(value, (format:unpack "\2\1\1a\2\1b\2cc"))
    assert.equal("\2\1\1a\2\1b\2cc", format:pack { rows = { { cells = { "a" } }, { cells = { "b", "cc" } } } })
  end)

  it("refuse an array of the wrong length", function()
    assert.is_true(errors.is(raised(function() ld.format("3*(B)"):pack { 1, 2 } end)))
    assert.is_true(errors.is(raised(function() ld.format("n:B l:@n*(B)"):pack { n = 3, l = { 1, 2 } } end)))
  end)

  it("are bounded: a count that a peer sends cannot ask for too much", function()
    local run = t.play(function(conn)
      local ok, err = pcall(conn.unpack, conn, ">n:I4 list:@n*(B)")
      conn:write(tostring(ok), err.code)
    end, { "\255\255\255\255" .. ("x"):rep(10000) })
    assert.equal("falselimit", run.sent)
  end)
end)

describe("conditionals", function()
  it("give nil for positional fields of an absent one", function()
    local format = ld.format "flag:B ?flag(B) B"
    assert.same({ flag = 1, 7, 8 }, (format:unpack "\1\7\8"))
    assert.same({ flag = 0, [2] = 8 }, (format:unpack "\0\8"))
  end)

  it("may have names of their own, and be nested", function()
    local format = ld.format "kind:B ?kind=3(size:B body:c@size ?size=2(more:B))"
    assert.same({ kind = 3, size = 2, body = "ab", more = 9 }, (format:unpack "\3\2ab\9"))
    assert.same({ kind = 3, size = 1, body = "a" }, (format:unpack "\3\1a"))
    assert.same({ kind = 4 }, (format:unpack "\4"))
    assert.equal("\3\2ab\9", format:pack { kind = 3, size = 2, body = "ab", more = 9 })
    assert.equal("\3\1a", format:pack { kind = 3, body = "a" })
    assert.equal("\4", format:pack { kind = 4 })
  end)

  it("may test bits", function()
    local format = ld.format "flags:B ?flags&4(x:B) ?flags&1(y:B)"
    assert.same({ flags = 5, x = 1, y = 2 }, (format:unpack "\5\1\2"))
    assert.same({ flags = 1, y = 2 }, (format:unpack "\1\2"))
    assert.equal("\4\9", format:pack { flags = 4, x = 9 })
  end)
end)

describe("numbers", function()
  it("of j and J are int64 and uint64 cdata", function()
    local a, b = ld.format(">j J"):unpack(("\255"):rep(16))
    assert.is_true(ffi.istype("int64_t", a))
    assert.is_true(ffi.istype("uint64_t", b))
    assert.is_true(a == -1LL and b == 0xFFFFFFFFFFFFFFFFULL)
    assert.is_true(ld.format(">j J"):pack(a, b) == ("\255"):rep(16))
    assert.is_true(ld.format("<j J"):pack(5, 6) == "\5\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0")
  end)

  it("may be int64 cdata for any integer field", function()
    assert.equal("\0\5", ld.format(">I2"):pack(5LL))
    assert.equal("range", raised(function() ld.format("B"):pack(256ULL) end).code)
    assert.equal("range", raised(function() ld.format("B"):pack(-1LL) end).code)
  end)

  it("that do not fit name the value", function()
    for source, bad in pairs {
      B = 256, b = 128, [">I2"] = 65536, [">i2"] = 32768, [">I3"] = 2 ^ 24, [">I4"] = 2 ^ 32, [">i4"] = 2 ^ 31,
      [">u4 u4"] = 16, m = 2 ^ 28, [">I8"] = 2 ^ 64, ["<i8"] = 2 ^ 63, q = 2 ^ 62, [">I2 "] = 1.5, [">I1"] = 0 / 0,
    } do
      local err = raised(function() ld.format(source):pack(bad, 0) end)
      assert.equal("range", err.code)
      assert.matches("value 1", err.message)
    end
    local err = raised(function() ld.format(">a:B b:I2"):pack { a = 1, b = -1 } end)
    assert.matches("value b", err.message)
    assert.equal("b", err.field)
  end)

  it("are refused when they are something else", function()
    assert.matches("value 2: number expected, got string", raised(function() ld.format("B B"):pack(1, "x") end))
    assert.matches("field 'a': number expected, got nothing", raised(function() ld.format("a:B"):pack {} end))
    assert.matches("bytes expected", raised(function() ld.format("s1"):pack {} end))
    assert.matches("bytes expected", raised(function() ld.format("s1"):pack() end))
  end)
end)

describe("bytes", function()
  it("that are too long name the value", function()
    local err = raised(function() ld.format("B s1"):pack(1, ("x"):rep(256)) end)
    assert.is_true(err.code == "limit" or err.code == "range")
    assert.matches("value 2", err.message)
  end)

  it("of a fixed size are filled with zeros as by string.pack, and not cut", function()
    assert.equal("abc", ld.format("c3"):pack "abc")
    assert.equal("ab\0", ld.format("c3"):pack "ab")
    assert.is_true(errors.is(raised(function() ld.format("c3"):pack "abcd" end)))
  end)

  it("up to a delimiter must not hold it", function()
    assert.equal("ab\0", ld.format("z"):pack "ab")
    assert.equal("ab\r\n", ld.format("t'\r\n'"):pack "ab")
    assert.is_true(errors.is(raised(function() ld.format("z"):pack "a\0b" end)))
    assert.is_true(errors.is(raised(function() ld.format("t'\r\n'"):pack "a\r\nb" end)))
  end)

  it("may be slices, buffers and blobs", function()
    assert.equal("\2ab\2cd", ld.format("s1 s1"):pack(ld.blob "ab", ld.buffer():put "cd"))
    local big = ("x"):rep(5000)
    assert.is_true(ld.format(">s4 B"):pack(ld.blob(big), 1) == "\0\0\19\136" .. big .. "\1")
  end)

  it("may be counted in decimal", function()
    local format = ld.format 'sD"\r\n" D";"'
    assert.same({ "abc", 42, 10 }, { format:unpack "3\r\nabc42;" })
    assert.equal("3\r\nabc42;", format:pack("abc", 42))
    assert.equal("mismatch", raised(function() format:unpack "x\r\n" end).code)
  end)
end)

describe("unpack(pack(x))", function()
  -- The same numbers every time.
  local seed = 1
  local function random(n)
    seed = (seed * 1103515245 + 12345) % 2 ^ 31
    return math.floor(seed / 2 ^ 8) % n
  end
  local function text() return ("%08x"):format(random(2 ^ 23)):rep(random(4)):sub(1 + random(8)) end

  local options = {
    { "B", function() return random(256) end }, { "b", function() return random(256) - 128 end },
    { ">I2", function() return random(65536) end }, { "<i2", function() return random(65536) - 32768 end },
    { ">I3", function() return random(2 ^ 23) end }, { "<I4", function() return random(2 ^ 23) * 511 end },
    { ">I6", function() return random(2 ^ 23) * 2 ^ 20 end }, { "<i8", function() return random(2 ^ 23) - 2 ^ 50 end },
    { ">d", function() return random(2 ^ 23) / 1024 end }, { "<f", function() return random(2 ^ 20) / 16 end },
    { "m", function() return random(2 ^ 22) end }, { "v", function() return random(2 ^ 23) end },
    { "q", function() return random(2 ^ 23) end }, { "s1", text }, { ">s2", text }, { "sv", text }, { "sm", text },
    { "z", text }, { "y", text }, { "t';;'", text }, { ">u4 u4", function() return random(16), random(16) end },
    { ">u1 u7 u16", function() return random(2), random(128), random(65536) end }, { "'lit'", function() end },
    { "x3", function() end }, { "3*(B)", function() return { random(256), random(256), random(256) } end },
    { "V", function() return random(2 ^ 20) - 2 ^ 19 end },
    { "2*(B s1)", function() return { { random(256), text() }, { random(256), text() } } end },
  }

  it("is x, for formats of every kind put together", function()
    for _ = 1, 300 do
      local parts, values, n = {}, {}, 0
      for i = 1, 1 + random(5) do
        local option = options[1 + random(#options)]
        parts[i] = option[1]
        local function add(...)
          for at = 1, select("#", ...) do
            n = n + 1
            values[n] = (select(at, ...))
          end
        end
        add(option[2]())
      end
      local source = table.concat(parts, " ")
      local format = ld.format(source)
      local packed = format:pack(unpack(values, 1, n))
      local back = { format:unpack(packed) }
      assert.equal(#packed + 1, table.remove(back))
      assert.same(values, back, source)
    end
  end)
end)

describe("a format's text", function()
  it("is refused with the column of what is wrong", function()
    for source, column in pairs { ["~"] = 1, ["B ~"] = 3, [">I4 I9"] = 5, ["I2"] = 1, ["B 'abc"] = 3, ["3*(B"] = 1 } do
      local err = raised(ld.format, source)
      assert.matches('bad format ".*": column %d+: ', err)
      if source:find "~" then assert.matches("column " .. column .. ":", err) end
    end
  end)

  it("may be given as a format, and nothing else", function()
    local format = ld.format "B"
    assert.equal(format, ld.format(format))
    assert.equal('format "B"', tostring(format))
    for _, bad in ipairs { 5, {}, true } do assert.matches("format expected, got", raised(ld.format, bad)) end
    assert.matches("format expected, got nil", raised(ld.format, nil))
  end)

  it("is compiled once", function()
    assert.equal(ld.format ">B B B I2", ld.format ">B B B I2")
  end)

  it("may be one of thousands: those no longer known are given back, and work again", function()
    local core = require "linedancer.core"
    local old = ld.format ">B I2 x1"
    for round = 1, 3 do
      for i = 1, 3000 do ld.format(("B x%d"):format(i)):pack(i % 256) end
      collectgarbage()
      collectgarbage()
      local id = core.format "B"
      assert.is_true(id < 3000, id .. " after round " .. round)
    end
    assert.same({ 1, 2, 5 }, { old:unpack "\1\0\2\0" })
    assert.same({ 1, 2, 5 }, { ld.format(">B I2 x1"):unpack "\1\0\2\0" })
  end)
end)

describe("a frame with groups", function()
  it("is read from a connection as from a string, however it is cut", function()
    local function main(conn)
      local frame = conn:unpack "n:B rows:@n*(m:B cells:@m*(&s1)) ?n=2(tail:&s1)"
      for _, row in ipairs(frame.rows) do
        for _, cell in ipairs(row.cells) do conn:write(cell, ",") end
        conn:write ";"
      end
      conn:write(frame.tail or "none")
    end
    t.every_split(main, { "\2\1\1a\2\1b\2cc\3end" }, { sent = "a,;b,cc,;end", reason = "done" })
    t.every_split(main, { "\1\0" }, { sent = ";none", reason = "done" })
    t.every_truncation(function(conn)
      if conn:unpack "n:B rows:@n*(m:B cells:@m*(&s1)) ?n=2(tail:&s1)" then return "main" end
    end, "\2\1\1a\2\1b\2cc\3end\1\0")
  end)

  it("can be tried, peeked and expected", function()
    local run = t.play(function(conn)
      assert(conn:try "2*(B)" == nil)
      local peeked = conn:peek "2*(B)"
      local tried, expected = conn:try "2*(B)", conn:expect "2*(B)"
      conn:write(table.concat(peeked), table.concat(tried), table.concat(expected))
    end, { "\1", "\2\3\4\5\6" })
    assert.equal("121234", run.sent)
  end)

  it("is written to a connection", function()
    local run = t.play(function(conn)
      conn:pack("n:B list:@n*(s1)", { list = { "a", ld.blob "bc", 7 } })
    end, {})
    assert.equal("\3\1a\2bc\0017", run.sent)
  end)
end)
