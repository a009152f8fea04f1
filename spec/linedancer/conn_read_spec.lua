local ld = require "linedancer"
local logged = require "spec.support.logged"
local play = require "spec.support.quietly"
local t = require "linedancer.testing"

-- What READ(conn) returned, joined by "|", and how the connection ended, for these bytes however they are cut.
local function reads(read, bytes, expected, reason)
  local function main(conn)
    local function show(...)
      local parts = {}
      for i = 1, select("#", ...) do
        local value = select(i, ...)
        parts[i] = tostring(value)
      end
      conn:write(table.concat(parts, "|"))
    end
    show(read(conn))
  end
  logged(t.every_split, main, { bytes, t.eof }, { sent = expected, reason = reason or "done" })
end

-- Have every wait call ON_WAIT, until the function that this returns is called: a connection is resumed once for each.
-- Formats made meanwhile take coroutine.yield as they find it, and linedancer.await has taken it.
local function count_waits(on_wait)
  local await, yield = require("linedancer.await").await, coroutine.yield
  local function counted(...)
    on_wait()
    return yield(...)
  end
  local at = 1
  while debug.getupvalue(await, at) ~= "yield" do at = at + 1 end
  coroutine.yield = counted -- luacheck: ignore 122
  debug.setupvalue(await, at, counted)
  jit.flush()
  return function()
    coroutine.yield = yield -- luacheck: ignore 122
    debug.setupvalue(await, at, yield)
    jit.flush()
  end
end

describe("unpack", function()
  it("returns the values of a frame", function()
    reads(function(conn) return conn:unpack ">B I2 s1" end, "\1\2\3\3abc", "1|515|abc")
  end)

  it("takes a compiled format as well as its text", function()
    local format = ld.format "<I2"
    reads(function(conn) return conn:unpack(format) end, "\1\2", "513")
  end)

  it("returns a table when fields have names", function()
    reads(function(conn)
      local frame = conn:unpack ">kind:B body:s2"
      return frame.kind, frame.body
    end, "\9\0\2hi", "9|hi")
  end)

  it("returns true for a format without values", function()
    reads(function(conn) return conn:unpack "'LD' x2" end, "LD??", "true")
  end)

  it("returns nil at a clean end, and `truncated` inside a frame", function()
    reads(function(conn) return conn:unpack ">I4" end, "", "nil")
    for size = 1, 3 do
      local run = play(function(conn) conn:unpack ">I4" end, { ("x"):rep(size), t.eof })
      assert.equal("truncated", run.reason)
      assert.equal(size, run.error.offset)
    end
  end)

  it("raises `mismatch` at the first byte that differs, and consumes nothing", function()
    reads(function(conn)
      local ok, err = pcall(conn.unpack, conn, "'abcd' B")
      return ok, err.code, err.offset, conn:read(5)
    end, "abxd!", "false|mismatch|2|abxd!")
  end)

  it("names the field at fault", function()
    local run = play(function(conn) conn:unpack ">kind:B size:I8" end, { "\1\255\255\255\255\255\255\255\255" })
    assert.equal("range", run.reason)
    assert.equal("size", run.error.field)
    assert.equal(1, run.error.offset)
    run = play(function(conn) conn:unpack ">I8" end, { "\255\255\255\255\255\255\255\255" })
    assert.equal(1, run.error.field)
  end)

  it("refuses a frame over limits.frame before its bytes are there", function()
    local opts = { limits = { frame = 100 } }
    local run = play(function(conn) conn:unpack ">s4" end, { "\0\0\0\97" }, opts)
    assert.equal("limit", run.reason)
    assert.equal("main", play(function(conn) conn:unpack ">s4" end, { "\0\0\0\96" }, opts).state)
  end)

  it("refuses a line over limits.frame", function()
    local opts = { limits = { frame = 100 } }
    local run = play(function(conn) conn:unpack 't"\\n"' end, { ("x"):rep(101) }, opts)
    assert.equal("limit", run.reason)
  end)

  it("raises a message with the column of a bad format", function()
    local run = play(function(conn) conn:unpack ">I4 ~" end, {})
    assert.equal("error", run.reason)
    assert.matches("column 5", run.error.message)
  end)

  it("gives values to a frame whose bytes come one by one in a single wait", function()
    local waits, body = 0, ("b"):rep(300)
    local restore = count_waits(function() waits = waits + 1 end)
    local format = ld.format ">B I2 s2 z t'\r\n' m"
    local script = {}
    for byte in ("\7\0\8\1\44" .. body .. "zero\0line\13x\r\n\200\1"):gmatch "." do script[#script + 1] = byte end
    local run = t.play(function(conn)
      local a, b, c, d, e, f = conn:unpack(format)
      conn:write(a, b, tostring(c == body), d, e, f)
    end, script)
    restore()
    assert.equal("78truezeroline\13x200", run.sent)
    assert.equal(1, waits)
  end)
end)

describe("expect", function()
  it("is unpack inside a frame: an end is `truncated` even before its first byte", function()
    assert.equal("truncated", play(function(conn) conn:expect ">I4" end, { t.eof }).reason)
    reads(function(conn) return conn:expect ">I2 B" end, "\1\2\3", "258|3")
  end)

  it("takes a number of bytes", function()
    reads(function(conn) return conn:expect(3), conn:expect(0), conn:expect(2) end, "abcde", "abc||de")
    assert.equal("truncated", play(function(conn) conn:expect(3) end, { "ab", t.eof }).reason)
  end)

  it("refuses a number over limits.frame at once", function()
    local opts = { limits = { frame = 10 } }
    assert.equal("limit", play(function(conn) conn:expect(11) end, {}, opts).reason)
    assert.equal("main", play(function(conn) conn:expect(10) end, {}, opts).state)
    assert.equal("limit", play(function(conn) conn:expect(2 ^ 40) end, {}, opts).reason)
  end)

  for name, value in pairs { negative = -1, fraction = 1.5, ["not a number"] = 0 / 0 } do
    it("refuses a size that is " .. name, function()
      local run = play(function(conn) conn:expect(value) end, { "abc" })
      assert.matches("a number of bytes expected", run.error.message)
    end)
  end
end)

describe("peek", function()
  it("consumes nothing", function()
    reads(function(conn)
      return conn:peek(2), conn:peek ">B", conn:peek(3), conn:read(3), conn:unpack "B"
    end, "abc\7", "ab|97|abc|abc|7")
  end)

  it("returns nil at a clean end, and `truncated` inside a frame", function()
    reads(function(conn) return conn:peek(1) end, "", "nil")
    reads(function(conn) return conn:peek "B" end, "", "nil")
    assert.equal("truncated", play(function(conn) conn:peek(2) end, { "a", t.eof }).reason)
  end)

  it("keeps what it has seen when the read that follows needs more", function()
    reads(function(conn)
      conn:peek(1)
      return conn:peek ">I2", conn:read(4)
    end, "abcd", "24930|abcd")
  end)
end)

describe("try", function()
  it("does not wait: it says how many further bytes are needed", function()
    local seen = {}
    t.play(function(conn)
      for _ = 1, 3 do
        seen[#seen + 1] = { conn:try ">s2" }
        conn:peek(#seen + 1)
      end
      seen[#seen + 1] = { conn:try ">s2" }
    end, { "\0", "\3", "abc" })
    assert.same({ { nil, 2 }, { nil, 3 }, { "abc" } }, { seen[1], seen[2], seen[3] })
  end)

  it("returns nil and 0 at the end, once", function()
    local values, err
    play(function(conn)
      conn:read(1)
      values = { conn:try "B" }
      if values[2] ~= 0 then
        assert(conn:read(1) == nil)
        values = nil
      end
      err = select(2, pcall(conn.try, conn, "B"))
    end, { "a", t.eof })
    assert.is_nil(values)
    assert.equal("closed", err.code)
  end)

  it("tells the end itself when nothing did before", function()
    local values
    play(function(conn)
      conn:peek(1)
      conn:write "x"
      conn:flush()
      conn:skip(1)
      values = { n = select("#", conn:try "B"), conn:try "B" }
    end, { t.stall, "a", t.eof, t.resume })
    assert.is_table(values)
  end)

  it("cannot be called for ever after the end", function()
    local run = play(function(conn)
      conn:read(1)
      while true do pcall(conn.try, conn, "B") end
    end, { t.eof })
    assert.equal("closed", run.reason)
  end)
end)

describe("read", function()
  it("returns exactly that many bytes, or nil at the end", function()
    reads(function(conn) return conn:read(3), conn:read(0), conn:read(1), conn:read(1) end, "abcd", "abc||d|nil")
  end)

  it("takes frames larger than one segment and the read buffer", function()
    local big = ("0123456789"):rep(30000)
    local run = t.play(function(conn)
      local text = conn:read(#big)
      conn:write(text == big and "same" or "different", conn:read(4))
    end, { big:sub(1, 7), big:sub(8, 200000), big:sub(200001) .. "tail" })
    assert.same({ sent = "sametail", reason = "done" }, run)
  end)
end)

describe("read_some", function()
  it("returns what is there, at least one byte, at most its maximum", function()
    local pieces = {}
    t.play(function(conn)
      for _ = 1, 4 do pieces[#pieces + 1] = conn:read_some(3) end
      pieces[#pieces + 1] = tostring(conn:read_some())
    end, { "ab", "cdefg", "h", t.eof })
    assert.same({ "ab", "cde", "fg", "h", "nil" }, pieces)
  end)

  it("refuses a maximum below one", function()
    assert.matches("at least one byte", play(function(conn) conn:read_some(0) end, {}).error.message)
  end)
end)

describe("read_line", function()
  it("ends a line at LF or CR LF, wherever they are cut", function()
    reads(function(conn) return conn:read_line(), conn:read_line(), conn:read_line(), conn:read_line() end,
      "one\r\ntwo\n\r\na\rb\n", "one|two||a\rb")
  end)

  it("bounds the line by its maximum", function()
    assert.equal("limit", play(function(conn) conn:read_line(4) end, { "12345" }).reason)
    reads(function(conn) return conn:read_line(4) end, "1234\n", "1234")
  end)

  it("raises `truncated` for a last line without an end", function()
    assert.equal("truncated", play(function(conn) conn:read_line() end, { "abc", t.eof }).reason)
  end)
end)

describe("lines", function()
  it("iterates until the end", function()
    reads(function(conn)
      local all = {}
      for line in conn:lines() do all[#all + 1] = line end
      return unpack(all)
    end, "a\nbb\r\n\nccc\n", "a|bb||ccc")
  end)
end)

describe("read_until", function()
  it("returns the bytes before the delimiter, which it consumes", function()
    reads(function(conn) return conn:read_until("\r\n\r\n"), conn:read_until ";", conn:read(1) end,
      "a\r\n\r\r\n\r\nb;c", "a\r\n\r|b|c")
  end)

  it("takes any delimiter of one to eight bytes", function()
    for _, delim in ipairs { "\0", "\\", '"', "'", "\\n", "%", "{", "ABCDEFGH", "\255\254", "a\"b" } do
      reads(function(conn) return conn:read_until(delim), conn:read(1) end, "xy" .. delim .. "z", "xy|z")
    end
  end)

  it("refuses other delimiters", function()
    for _, delim in ipairs { "", "123456789", 5, {} } do
      local run = play(function(conn) conn:read_until(delim, 10) end, { "x" })
      assert.matches("a delimiter has 1 to 8 bytes", run.error.message)
    end
  end)

  it("bounds the bytes by its maximum", function()
    assert.equal("limit", play(function(conn) conn:read_until(";", 3) end, { "abcd" }).reason)
    reads(function(conn) return conn:read_until(";", 3) end, "abc;", "abc")
  end)
end)

describe("skip", function()
  it("drops any number of bytes, more than limits.frame too", function()
    local run = t.play(function(conn)
      conn:skip(0)
      conn:skip(250000)
      conn:write(conn:read(2))
    end, { ("x"):rep(100000), ("x"):rep(100000), ("x"):rep(50000) .. "ok" }, { limits = { frame = 100 } })
    assert.equal("ok", run.sent)
  end)

  it("is inside a frame: an end raises `truncated`", function()
    assert.equal("truncated", play(function(conn) conn:skip(5) end, { "abcd", t.eof }).reason)
    assert.equal("truncated", play(function(conn) conn:skip(5) end, { t.eof }).reason)
  end)
end)

describe("skip_until", function()
  it("drops up to the delimiter and the delimiter", function()
    reads(function(conn) conn:skip_until "\r\n"; return conn:read(1) end, "abc\r\r\nd", "d")
  end)
end)

describe("the end of input", function()
  it("is reported once; a further read raises `closed`", function()
    local first, second
    play(function(conn)
      first = conn:read(1)
      local _, err = pcall(conn.read, conn, 1)
      second = err
    end, { t.eof })
    assert.is_nil(first)
    assert.equal("closed", second.code)
  end)

  it("raises `closed` from every kind of read", function()
    local reading = {
      function(conn) conn:unpack "B" end, function(conn) conn:expect "B" end, function(conn) conn:expect(1) end,
      function(conn) conn:peek "B" end, function(conn) conn:peek(1) end, function(conn) conn:read_some() end,
      function(conn) conn:read_line() end, function(conn) conn:skip(1) end, function(conn) conn:slice(1) end,
      function(conn) conn:body(1)() end, function(conn) conn:body(";")() end,
      function(conn) conn:read_into(ld.buffer(), 1) end, function(conn) conn:packet(4) end,
    }
    for _, read in ipairs(reading) do
      local code
      play(function(conn)
        assert(conn:read(1) == nil)
        local _, err = pcall(read, conn)
        code = err.code
      end, { t.eof })
      assert.equal("closed", code)
    end
  end)

  -- A handler that catches everything must not run for ever.
  local endings = {
    ["a clean end"] = { function(conn) conn:read(1) end, t.eof, "closed" },
    ["an end inside a frame"] = { function(conn) conn:expect(9) end, t.eof, "closed" },
    ["an end inside a skip"] = { function(conn) conn:skip(9) end, t.eof, "closed" },
    ["a reset"] = { function(conn) conn:read(1) end, t.reset, "reset" },
    ["a timeout"] = { function(conn) conn:read(1) end, t.advance(100), "timeout" },
    ["its own close"] = { function(conn) conn:close "enough"; conn:read(1) end, t.advance(0), "enough" },
  }
  for name, case in pairs(endings) do
    it("is raised once more after " .. name .. ", then the coroutine is abandoned", function()
      local raised, closes = 0, 0
      local run = play({
        initial = "main",
        states = {
          main = function(conn)
            while true do
              if not pcall(case[1], conn) then raised = raised + 1 end
            end
          end,
        },
        timeouts = { 50 },
        on_close = function() closes = closes + 1 end,
      }, { "ab", case[2] })
      assert.equal(case[3], run.reason)
      assert.equal(2, raised)
      assert.equal(1, closes)
    end)
  end

  it("does not hang a handler that catches in a loop and transitions", function()
    local run = play(function(conn)
      pcall(conn.expect, conn, 5)
      return "main"
    end, { "ab", t.eof })
    assert.is_string(run.reason)
  end)

  it("leaves the bytes of an unfinished frame to be read", function()
    local rest
    play(function(conn)
      assert(not pcall(conn.expect, conn, 5))
      rest = conn:read(2)
    end, { "ab", t.eof })
    assert.equal("ab", rest)
  end)
end)

describe("a failed read", function()
  it("may be caught, and reading goes on where it was", function()
    reads(function(conn)
      local _, mismatch = pcall(conn.unpack, conn, "'X'")
      local _, limit = pcall(conn.read_line, conn, 2)
      local _, format = pcall(conn.unpack, conn, "??")
      return mismatch.code, limit.code, type(format), conn:read(4)
    end, "abcd\n", "mismatch|limit|string|abcd")
  end)

  it("makes no slices valid again, and an error says where it was", function()
    local run = play({
      initial = "head",
      states = { head = function() return "body" end, body = function(conn) conn:expect ">s1{2}" end },
    }, { "\3abc" })
    assert.equal("limit", run.reason)
    assert.equal("body", run.error.state)
    assert.is_string(run.error.conn)
    assert.matches("^limit: [^\n]*state body[^\n]*$", tostring(run.error))
  end)
end)

describe("a format that is dropped while a connection waits for its frame", function()
  it("stays alive for as long as the wait", function()
    local open = t.begin(function(conn)
      local a, b = conn:unpack(">B I2 " .. ("x"):rep(20) .. " s1")
      conn:write(tostring(a), tostring(b))
    end, {})
    t.perform(open, "\1")
    for i = 1, 1200 do ld.format((">I%d x%d B"):format(i % 8 + 1, i)) end
    collectgarbage()
    collectgarbage()
    for i = 1, 100 do ld.format((">I%d x%d I2"):format(i % 8 + 1, i)) end
    t.perform(open, "\0\2" .. ("."):rep(20) .. "\3abc")
    assert.equal("12", t.result(open).sent)
  end)
end)
