local ld = require "linedancer"
local logged = require "spec.support.logged"
local play = require "spec.support.quietly"
local t = require "linedancer.testing"

describe("write", function()
  it("queues strings and numbers, in order and whole", function()
    local run = t.play(function(conn)
      conn:write("a", 1, 2.5, "", "b")
      conn:write "c"
      conn:write(-7)
    end, {})
    assert.equal("a12.5bc-7", run.sent)
  end)

  it("refuses anything that is not bytes", function()
    for _, value in ipairs { {}, true, print } do
      local run = play(function(conn) conn:write("x", value) end, {})
      assert.matches("bytes expected", run.error.message)
      assert.matches("got " .. type(value), run.error.message)
    end
    assert.matches("got nil", play(function(conn) conn:write(nil) end, {}).error.message)
  end)

  it("refuses at the caller's line", function()
    local run = play(function(conn) conn:write {} end, {})
    assert.matches("conn_write_spec", run.error.message)
  end)

  it("is one call for many values, however large", function()
    local text = ("m"):rep(40000)
    local run = t.play(function(conn)
      local slice = conn:slice(#text)
      conn:write(slice, slice:sub(1, 1), slice, 7, slice)
    end, { text }, { limits = { output = 2 ^ 20 } })
    assert.equal(text .. "m" .. text .. "7" .. text, run.sent)
  end)

  for _, size in ipairs { 0, 1, 4095, 4096, 4097, 70000 } do
    it("takes slices, blobs and buffers of " .. size .. " bytes", function()
      local text = ("0123456789abcdef"):rep(size / 16 + 1):sub(1, size)
      local run = t.play(function(conn)
        conn:write("<", conn:slice(size), "|")
        conn:write(ld.blob(text), "|", ld.buffer():put(text), ">")
      end, { text })
      assert.equal("<" .. text .. "|" .. text .. "|" .. text .. ">", run.sent)
    end)
  end

  it("keeps a slice's bytes although the input goes on", function()
    local text = ("x"):rep(50000)
    local run = t.play(function(conn)
      for _ = 1, 4 do conn:write(conn:slice(#text)) end
    end, { text .. text:gsub("x", "y") .. text:gsub("x", "z"), text })
    assert.equal(text .. text:gsub("x", "y") .. text:gsub("x", "z") .. text, run.sent)
  end)

  it("seals a buffer", function()
    for _, write in ipairs {
      function(conn, buffer) conn:write(buffer) end,
      function(conn, buffer) conn:pack("s2>s2", "", buffer) end,
    } do
      local code
      play(function(conn)
        local buffer = ld.buffer():put "abc"
        pcall(write, conn, buffer)
        conn:write(buffer)
        local _, err = pcall(buffer.put, buffer, "d")
        code = err.code
      end, {})
      assert.equal("busy", code)
    end
  end)

  it("may write one buffer to many connections", function()
    local buffer = ld.buffer():put(("b"):rep(10000))
    for _ = 1, 3 do
      assert.equal(10000, #t.play(function(conn) conn:write(buffer, buffer:sub(1, 0)) end, {}).sent)
    end
  end)

  it("to a connection that has ended does nothing", function()
    local kept
    t.play(function(conn) kept = conn end, {})
    kept:write("x", ld.blob "y", ld.buffer():put "z")
    kept:pack(">I4", 5)
    assert.equal(0, kept.unsent)
    local run = t.play(function(conn) conn:write "ok" end, {})
    assert.equal("ok", run.sent)
  end)

  it("of one turn leaves as one piece, before the handler waits again", function()
    local open = t.begin(function(conn)
      conn:write "a"
      conn:write "b"
      conn:read(1)
      conn:write "c"
    end, {})
    assert.equal("ab", t.result(open).sent)
    t.perform(open, "x")
    assert.equal("c", t.result(open).sent)
  end)
end)

describe("put", function()
  it("queues a part of a string, counted as string.sub does", function()
    local text = "abcdef"
    local ranges = { {}, { 3 }, { 2, 4 }, { -2 }, { 1, -2 }, { 0, 2 }, { 5, 100 }, { 4, 3 }, { 7 }, { -100, 1 } }
    for _, range in ipairs(ranges) do
      local run = t.play(function(conn) conn:put(text, range[1], range[2]) end, {})
      assert.same({ sent = text:sub(range[1] or 1, range[2] or -1), reason = "done" }, run)
    end
  end)

  it("takes strings alone", function()
    local run
    logged(function() run = t.play(function(conn) conn:put({}) end, {}) end)
    assert.matches("string expected, got table", run.error.message)
  end)
end)

describe("pack", function()
  it("encodes straight into the output", function()
    local run = t.play(function(conn)
      conn:pack(">B s2 <I2", 7, "hi", 513)
      conn:pack(ld.format ">kind:B body:s1", { kind = 1, body = "x" })
    end, {})
    assert.equal("\7\0\2hi\1\2\1\1x", run.sent)
  end)

  it("takes slices and buffers for bytes, of any size", function()
    for _, size in ipairs { 3, 4096, 20000 } do
      local text = ("s"):rep(size)
      local run = t.play(function(conn)
        conn:pack(">B s4 B s4 B", 1, conn:slice(size), 2, ld.buffer():put(text), 3)
      end, { text })
      local framed = ld.format(">s4"):pack(text)
      assert.equal("\1" .. framed .. "\2" .. framed .. "\3", run.sent)
    end
  end)

  it("takes a number where bytes are expected, as string.pack does", function()
    local run = t.play(function(conn) conn:pack("s1 s1", 12, 3.5) end, {})
    assert.equal("\00212\0033.5", run.sent)
  end)

  it("writes nothing when a value does not fit", function()
    local run = play(function(conn)
      conn:write "a"
      local ok, err = pcall(conn.pack, conn, ">B B", 1, 256)
      conn:write(tostring(ok), err.code)
    end, {})
    assert.equal("afalserange", run.sent)
  end)

  it("forgets the shared bytes of a pack that failed", function()
    local big = ("C"):rep(5000)
    local run = t.play(function(conn)
      local other = ld.buffer():put(("A"):rep(5000))
      assert(not pcall(conn.pack, conn, ">s4 B", other, {}))
      conn:pack(">s4 B", ld.buffer():put(big), 66)
    end, {})
    assert.is_true(run.sent == "\0\0\19\136" .. big .. "B")
  end)
end)

describe("flush", function()
  it("waits until all output has been taken", function()
    local open = t.begin(function(conn)
      conn:read(1)
      conn:write "abc"
      conn:flush()
      conn.flushed = conn.unsent
      conn:write "d"
      conn:read(1)
    end, {})
    t.perform(open, t.stall)
    t.perform(open, "x")
    assert.equal("", t.result(open).sent)
    t.perform(open, t.resume)
    assert.equal("abcd", t.result(open).sent)
  end)

  it("returns at once when there is nothing to send", function()
    assert.same({ sent = "x", reason = "done" }, t.play(function(conn) conn:flush(); conn:write "x" end, {}))
  end)

  it("is ended by a reset, and by a timeout: waiting for the peer to take output counts", function()
    local function main(conn)
      conn:read(1)
      conn:write "abc"
      conn:flush()
    end
    assert.equal("reset", play(main, { t.stall, "x", t.reset, t.resume }).reason)
    local slow = { initial = "main", states = { main = main }, timeouts = { 5 } }
    assert.equal("timeout", play(slow, { t.stall, "x", t.advance(6) }).reason)
  end)
end)

describe("unsent and unread", function()
  it("count the bytes queued and the bytes buffered", function()
    local seen
    t.play(function(conn)
      conn:read(1)
      conn:write "abc"
      seen = { conn.unsent, conn.unread }
    end, { "x12345" })
    assert.same({ 3, 5 }, seen)
  end)
end)

describe("the high watermark", function()
  -- Ten KB for every byte.
  local block = ("#"):rep(10240)
  local function answering(counter)
    return function(conn)
      local byte = conn:read(1)
      if not byte then return end
      counter.n = counter.n + 1
      conn:write(byte, block)
      return "main"
    end
  end

  it("holds the handler at its next read or transition, and all comes in order", function()
    local counter = { n = 0 }
    local open = t.begin(answering(counter), {})
    t.perform(open, t.stall)
    t.perform(open, "abcdefghijklmnopqrstuvwxyz")
    assert.is_true(counter.n >= 7 and counter.n < 10, counter.n)
    t.perform(open, "0123456789")
    assert.is_true(counter.n < 10, counter.n)
    t.perform(open, t.resume)
    assert.equal(36, counter.n)
    local expected = ("abcdefghijklmnopqrstuvwxyz0123456789"):gsub(".", "%0" .. block)
    assert.equal(expected, t.result(open).sent)
  end)

  it("takes no more input from a peer that reads nothing", function()
    local open = t.begin(answering { n = 0 }, {})
    t.perform(open, t.stall)
    t.perform(open, "abcdefghij")
    t.perform(open, ("x"):rep(1000))
    assert.is_true(t.result(open).unread >= 1000)
  end)

  it("tells the end of a held handler's input when it goes on", function()
    local counter = { n = 0 }
    local run = t.play(answering(counter), { t.stall, "abcdefghijklmnop", t.eof, t.resume })
    assert.equal(16, counter.n)
    assert.equal("done", run.reason)
    assert.equal(16 * 10241, #run.sent)
  end)

  for name, read in pairs {
    unpack = function(conn) return conn:unpack "c1" end, slice = function(conn) return tostring(conn:slice(1)) end,
    read_some = function(conn) return conn:read_some(1) end,
    peek = function(conn) conn:peek(1); return conn:read(1) end,
    read_into = function(conn) return tostring(conn:read_into(ld.buffer(), 1)) end,
    body = function(conn) return tostring(conn:body(1)()) end,
  } do
    it("holds a handler that loops over " .. name, function()
      local n = 0
      local open = t.begin(function(conn)
        for _ = 1, 26 do
          local byte = read(conn)
          n = n + 1
          conn:write(byte, block)
        end
      end, {})
      t.perform(open, t.stall)
      t.perform(open, "abcdefghijklmnopqrstuvwxyz")
      assert.is_true(n >= 7 and n < 10, n)
      t.perform(open, t.resume)
      local run = t.result(open)
      assert.equal("done", run.reason)
      assert.equal((("abcdefghijklmnopqrstuvwxyz"):gsub(".", "%0" .. block)), run.sent)
    end)
  end

  it("counts for timeouts while it holds", function()
    local slow = { initial = "main", states = { main = answering { n = 0 } }, timeouts = { { total = 10 } } }
    local run = play(slow, { t.stall, "abcdefghijklmnop", t.advance(11) })
    assert.equal("timeout", run.reason)
  end)

  it("is no obstacle for a reset", function()
    assert.equal("reset", play(answering { n = 0 }, { t.stall, "abcdefghijklmnop", t.reset, t.resume }).reason)
  end)
end)

describe("limits.output", function()
  local block = ("#"):rep(1000)

  it("ends the connection with `limit`", function()
    local run = play(function(conn)
      conn:read(1)
      for _ = 1, 200 do conn:write(block) end
      conn:read(1)
    end, { t.stall, "x" }, { limits = { output = 100000 } })
    assert.equal("limit", run.reason)
    assert.matches("limits.output", run.error.message)
  end)

  it("bounds what is queued, even by a state that never waits", function()
    local most = 0
    play(function(conn)
      conn:read(1)
      for _ = 1, 2000 do
        conn:write(block)
        most = math.max(most, conn.unsent)
      end
    end, { t.stall, "x" }, { limits = { output = 100000 } })
    assert.is_true(most <= 102000, most)
  end)

  it("ends a handler that only transitions", function()
    local run = play(function(conn)
      conn:write(block)
      return "main"
    end, {}, { limits = { output = 50000 } })
    assert.equal("limit", run.reason)
  end)

  it("leaves other connections alone", function()
    local other = t.begin(function(conn) conn:write(conn:read(1), "ok") end, {})
    play(function(conn)
      conn:read(1)
      for _ = 1, 200 do conn:write(block) end
      conn:read(1)
    end, { t.stall, "x" }, { limits = { output = 100000 } })
    t.perform(other, "1")
    assert.same({ sent = "1ok", reason = "done" }, t.result(other))
  end)

  it("is reached through others' writes too", function()
    local shared
    local one = t.begin(function(conn) shared = conn; conn:read(1) end, { limits = { output = 5000 } })
    t.perform(one, t.stall)
    local writer = t.begin(function(conn)
      conn:read(1)
      for _ = 1, 50 do shared:write(block) end
      conn:write "ok"
    end, {})
    logged(function() t.perform(writer, "x") end)
    assert.same({ sent = "ok", reason = "done" }, t.result(writer))
    assert.equal("limit", t.result(one).reason)
  end)

  it("does not count what one turn writes when the peer takes it", function()
    local run = t.play(function(conn)
      for _ = 1, 90 do conn:write(block) end
      conn:flush()
      for _ = 1, 90 do conn:write(block) end
    end, {}, { limits = { output = 100000 } })
    assert.equal("done", run.reason)
    assert.equal(180000, #run.sent)
  end)
end)
