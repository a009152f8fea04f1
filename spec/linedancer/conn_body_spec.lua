local ld = require "linedancer"
local logged = require "spec.support.logged"
local play = require "spec.support.quietly"
local t = require "linedancer.testing"

-- Bytes that tell where they are.
local function pattern(size)
  local parts = {}
  for i = 1, math.ceil(size / 8) do parts[i] = ("%08d"):format(i) end
  return table.concat(parts):sub(1, size)
end

local function cut(text, size)
  local pieces = {}
  for at = 1, #text, size do pieces[#pieces + 1] = text:sub(at, at + size - 1) end
  return pieces
end

describe("slice", function()
  it("is a view of that many bytes of the frame", function()
    local function main(conn)
      local slice = conn:slice(4)
      conn:write(tostring(slice), #slice, slice:byte(1), slice:sub(2, 3))
      conn:write(tostring(conn:slice(0)), conn:read(1))
    end
    t.every_split(main, { "abcde" }, { sent = "abcd497" .. "bc" .. "e", reason = "done" })
  end)

  it("is bounded by limits.frame, and truncated by an end", function()
    local opts = { limits = { frame = 4 } }
    assert.equal("limit", play(function(conn) conn:slice(5) end, {}, opts).reason)
    assert.equal("truncated", play(function(conn) conn:slice(2) end, { "a", t.eof }).reason)
    assert.equal("truncated", play(function(conn) conn:slice(2) end, { t.eof }).reason)
  end)

  local uses = {
    tostring = tostring, byte = function(s) return s:byte(1) end, sub = function(s) return s:sub(1, 2) end,
    u32be = function(s) return s:u32be(1) end, eq = function(s) return s:eq "abcd" end,
    keep = function(s) return s:keep() end, unpack = function(s) return s:unpack "B" end,
    write = function(s, conn) return conn:write(s) end, pack = function(s, conn) return conn:pack("s1", s) end,
    put = function(s) return ld.buffer():put(s) end,
  }
  for name, use in pairs(uses) do
    it("is stale for " .. name .. " after the next read", function()
      local code
      t.play(function(conn)
        local slice = conn:slice(4)
        use(slice, conn)
        conn:read(1)
        local ok, err = pcall(use, slice, conn)
        code = not ok and err.code
      end, { "abcdef" })
      assert.equal("stale", code)
    end)

    it("is stale for " .. name .. " after a wait", function()
      local code
      t.play(function(conn)
        local slice = conn:slice(4)
        conn:write "x"
        conn:flush()
        local ok, err = pcall(use, slice, conn)
        code = not ok and err.code
      end, { "abcd" })
      assert.equal("stale", code)
    end)
  end

  it("is stale after any wait, whatever came meanwhile", function()
    for _, script in ipairs { { "abcd" }, { "abcd", "efgh" }, { "abcdef", "gh" }, { "ab", "cdef", "gh" } } do
      local code
      script[#script + 1] = t.advance(2)
      t.play(function(conn)
        local slice = conn:slice(4)
        ld.sleep(1)
        local ok, err = pcall(tostring, slice)
        code = not ok and err.code
      end, script)
      assert.equal("stale", code)
    end
  end)

  it("is stale after a read that failed, peeked or did not wait", function()
    for _, read in ipairs { "peek", "try", "unpack" } do
      local code
      t.play(function(conn)
        local slice = conn:slice(2)
        pcall(conn[read], conn, read == "unpack" and "'X'" or "B")
        local _, err = pcall(tostring, slice)
        code = err.code
      end, { "abcd" })
      assert.equal("stale", code)
    end
  end)

  it("is stale once its connection has ended, whatever comes after", function()
    local kept
    play(function(conn) kept = conn:slice(4) end, { "abcd" })
    t.play(function(conn) conn:read(4) end, { "wxyz" })
    local ok, err = pcall(tostring, kept)
    assert.is_false(ok)
    assert.equal("stale", err.code)
  end)

  it("is stale in on_close", function()
    local code
    play({
      initial = "a", states = { a = function(conn) conn.last = conn:slice(4) end },
      on_close = function(conn) code = select(2, pcall(tostring, conn.last)).code end,
    }, { "abcd" })
    assert.equal("stale", code)
  end)

  it("is good until the state's next read, also in the next state and in on_error", function()
    local run = play({
      initial = "a",
      states = {
        a = function(conn) return "b", conn:slice(2) end,
        b = function(conn, slice) conn.last = slice; conn:write(slice); conn:fail "x" end,
      },
      on_error = function(conn) conn:write(tostring(conn.last)) end,
    }, { "ab" })
    assert.equal("abab", run.sent)
  end)

  it("is outlived by what it keeps", function()
    for _, size in ipairs { 0, 1, 100, 4096, 100000 } do
      local text = pattern(size)
      local kept
      local run = t.play(function(conn)
        kept = conn:slice(size):keep()
        conn:read(1)
        conn:write(kept)
      end, { text .. "x" })
      assert.equal(text, run.sent)
      collectgarbage()
      assert.equal(text, tostring(kept))
    end
  end)
end)

describe("slice fields", function()
  it("are views like those of slice()", function()
    local function main(conn)
      local kind, body = conn:unpack ">B &s2"
      conn:write(kind, body, #body)
    end
    t.every_split(main, { "\7\0\3abc" }, { sent = "7abc3", reason = "done" })
  end)

  it("of one frame are all valid together", function()
    local run = t.play(function(conn)
      local a, b = conn:unpack ">&s1 &s1"
      conn:write(b, a)
    end, { "\2ab\2cd" })
    assert.equal("cdab", run.sent)
  end)
end)

describe("body", function()
  it("of n bytes comes in slices as they arrive, any size", function()
    local text = pattern(300000)
    local run = t.play(function(conn)
      local all, size = {}, 0
      for slice in conn:body(#text) do
        all[#all + 1] = tostring(slice)
        size = size + #slice
      end
      conn:write(size, table.concat(all) == text and " same " or " different ", conn:read(1))
    end, cut(text .. "!", 40000), { limits = { frame = 100 } })
    assert.equal("300000 same !", run.sent)
  end)

  it("of n bytes does not depend on how they are cut", function()
    local function main(conn)
      for slice in conn:body(5) do conn:write(slice) end
      conn:write("|", conn:read(1))
    end
    t.every_split(main, { "abcdef" }, { sent = "abcde|f", reason = "done" })
  end)

  it("of nothing is empty", function()
    local run = t.play(function(conn)
      for _ in conn:body(0) do conn:write "never" end
      conn:write "end"
    end, {})
    assert.equal("end", run.sent)
  end)

  it("up to a delimiter comes without it, over any split", function()
    for _, delim in ipairs { "\n", "\r\n", "\r\n\r\n", "aab", "12345678" } do
      local function main(conn)
        for slice in conn:body(delim) do conn:write(slice) end
        conn:write("|", conn:read(2))
      end
      local text = "a\r\n\raaaab" .. ("1234567"):rep(2)
      local upto = text:find(delim, 1, true)
      local before = upto and text:sub(1, upto - 1) or text
      logged(t.every_split, main, { before .. delim .. "zz" }, { sent = before .. "|zz", reason = "done" })
    end
  end)

  it("up to a delimiter may be larger than limits.frame", function()
    local text = pattern(200000)
    local run = t.play(function(conn)
      local size = 0
      for slice in conn:body "\n" do size = size + #slice end
      conn:write(size)
    end, cut(text .. "\n", 50000), { limits = { frame = 100 } })
    assert.equal("200000", run.sent)
  end)

  it("raises `truncated` when the peer leaves inside it", function()
    for _, what in ipairs { 10, "\r\n" } do
      local run = play(function(conn) for _ in conn:body(what) do conn:write "." end end, { "abc\r", t.eof })
      assert.equal("truncated", run.reason)
    end
  end)

  it("refuses a delimiter that is none", function()
    for _, delim in ipairs { "", "123456789" } do
      assert.matches("1 to 8 bytes", play(function(conn) conn:body(delim) end, {}).error.message)
    end
  end)
end)

describe("read_into", function()
  it("moves bytes to the end of a buffer, however they are cut", function()
    local function main(conn)
      local buffer = ld.buffer():put "<"
      assert(conn:read_into(buffer, 4) == buffer)
      conn:read_into(buffer, 0)
      conn:read_into(buffer, 1)
      conn:write(buffer, conn:read(1))
    end
    t.every_split(main, { "abcdef" }, { sent = "<abcdef", reason = "done" })
  end)

  for _, size in ipairs { 4095, 4096, 65536, 65537, 300000 } do
    it("moves " .. size .. " bytes, in segments of any size", function()
      local text = pattern(size)
      for _, segment in ipairs { 1000, 65536, 1000000 } do
        local run = t.play(function(conn)
          local buffer = ld.buffer()
          local head = conn:read(2)
          conn:read_into(buffer, size)
          conn:write(head, tostring(buffer) == text and "same" or "different", #buffer, conn:read(2))
        end, cut("ab" .. text .. "yz", segment))
        assert.equal("absame" .. size .. "yz", run.sent)
      end
    end)
  end

  it("collects several pieces in one buffer", function()
    local text = pattern(50000)
    local run = t.play(function(conn)
      local buffer = ld.buffer()
      for _ = 1, 5 do
        conn:skip(1)
        conn:read_into(buffer, 10000)
      end
      conn:write(buffer)
    end, { (text:gsub(("."):rep(100), "%0")):gsub("^", "") and (function()
      local out = {}
      for i = 0, 4 do out[#out + 1] = "#" .. text:sub(i * 10000 + 1, i * 10000 + 10000) end
      return table.concat(out)
    end)() })
    assert.equal(text, run.sent)
  end)

  it("raises `limit` above the buffer's maximum, before it waits", function()
    local run = play(function(conn) conn:read_into(ld.buffer(10), 11) end, {})
    assert.equal("limit", run.reason)
    run = play(function(conn)
      local buffer = ld.buffer(10):put "12345"
      conn:read_into(buffer, 6)
    end, {})
    assert.equal("limit", run.reason)
  end)

  it("raises `busy` for a sealed buffer, as put() does", function()
    local run = play(function(conn)
      local buffer = ld.buffer():put "x"
      conn:write(buffer)
      conn:read_into(buffer, 1)
    end, { "a" })
    assert.equal("busy", run.reason)
    assert.matches("sealed", run.error.message)
  end)

  it("raises `truncated` when the peer leaves, and keeps what came", function()
    local buffer = ld.buffer()
    local run = play(function(conn) conn:read_into(buffer, 5) end, { "abc", t.eof })
    assert.equal("truncated", run.reason)
    assert.equal("abc", tostring(buffer))
  end)

  it("takes nothing but a buffer", function()
    assert.matches("buffer expected", play(function(conn) conn:read_into({}, 1) end, { "x" }).error.message)
  end)

  it("survives the end of its connection while the buffer is collected", function()
    for _ = 1, 20 do
      play({
        initial = "a",
        states = { a = function(conn) conn:read_into(ld.buffer(), 100000) end },
        timeouts = { 5 },
        on_error = function() collectgarbage() end,
      }, { ("x"):rep(5000), t.advance(6) })
    end
  end)
end)
