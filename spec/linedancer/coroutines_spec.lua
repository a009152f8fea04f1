local play = require "spec.support.quietly"
local t = require "linedancer.testing"

describe("a coroutine of the handler's own", function()
  it("passes a read's wait through to the connection", function()
    local function main(conn)
      local next_byte = coroutine.wrap(function()
        for _ = 1, 3 do coroutine.yield(conn:read(1)) end
        return conn:unpack ">I2"
      end)
      conn:write(next_byte(), next_byte(), next_byte(), next_byte())
    end
    t.every_split(main, { "abc\1\2" }, { sent = "abc258", reason = "done" })
  end)

  it("may be nested", function()
    local function main(conn)
      local outer = coroutine.wrap(function()
        local inner = coroutine.wrap(function()
          conn:write(conn:read(2))
          coroutine.yield "inner"
          return conn:read(1)
        end)
        coroutine.yield(inner())
        return inner()
      end)
      conn:write(outer())
      conn:write(outer())
    end
    t.every_split(main, { "abc" }, { sent = "abinnerc", reason = "done" })
  end)

  it("cannot be one of endlessly many within each other", function()
    local function main(conn)
      local count = 0
      local function deeper()
        count = count + 1
        coroutine.wrap(deeper)()
      end
      local ok, err = pcall(deeper)
      assert(not ok and err:find "stack overflow", err)
      conn:write(count > 100 and count < 1000 and conn:read(1) or "?")
      count = 0
      local cut = select(2, coroutine.resume(coroutine.create(function() return pcall(deeper) end)))
      conn:write(tostring(cut), count > 100 and "!" or "?")
    end
    t.every_split(main, { "a" }, { sent = "afalse!", reason = "done" })
  end)

  it("works through coroutine.resume, with all that it passes and returns", function()
    local function main(conn)
      local co = coroutine.create(function(a, b)
        local c = conn:read(1)
        local d, e = coroutine.yield(a, nil, b, c)
        error { d, e, conn:read(1) }
      end)
      local ok, a, none, b, c = coroutine.resume(co, 1, 2)
      assert(ok and a == 1 and none == nil and b == 2 and c == "x")
      local _, err = coroutine.resume(co, 3, 4)
      assert(err[1] == 3 and err[2] == 4 and err[3] == "y")
      assert(coroutine.status(co) == "dead")
      conn:write(tostring(select("#", coroutine.resume(co))), select(2, coroutine.resume(co)))
    end
    t.every_split(main, { "xy" }, { sent = "2cannot resume dead coroutine", reason = "done" })
  end)

  it("passes errors of a read on, to be caught inside or outside", function()
    local run = play(function(conn)
      local co = coroutine.wrap(function()
        local ok, err = pcall(conn.expect, conn, 5)
        conn:write(tostring(ok), err.code, " ")
        conn:expect(5)
      end)
      local ok, err = pcall(co)
      conn:write(tostring(ok), err.code)
    end, { "ab", t.eof })
    assert.equal("falsetruncated falseclosed", run.sent)
  end)

  it("ends with its connection", function()
    local collected = setmetatable({}, { __mode = "k" })
    play({
      initial = "a",
      states = {
        a = function(conn)
          local co = coroutine.create(function() conn:read(5) end)
          collected[co] = true
          coroutine.resume(co)
        end,
      },
      timeouts = { 5 },
    }, { "ab", t.advance(6) })
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(collected))
  end)

  it("yields what it likes to the handler", function()
    local run = t.play(function(conn)
      for value in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) do conn:write(value) end
    end, {})
    assert.equal("123", run.sent)
  end)

  it("of one connection may be run by another, which then may not read the first", function()
    local shared
    local one = t.begin(function(conn)
      shared = coroutine.wrap(function() return conn:read(1) end)
      conn:write(conn:read(2))
    end, {})
    local run = t.play(function(conn)
      local _, err = pcall(shared)
      conn:write(err.code)
    end, {})
    assert.equal("busy", run.sent)
    t.perform(one, "ok")
    assert.equal("ok", t.result(one).sent)
  end)
end)

describe("coroutine.yield in a state itself", function()
  it("is a clear error that ends this connection alone", function()
    for _, yield in ipairs { coroutine.yield, function() coroutine.yield(1, 2, 3) end } do
      local run = play(function(conn) conn:write "x"; yield() end, {})
      assert.equal("error", run.reason)
      assert.matches("coroutine.yield%(%) outside a coroutine of the handler's own", run.error.message)
    end
  end)

  it("is one also after a wait that could not be", function()
    local run = play(function(conn)
      pcall(string.gsub, "x", "x", function() conn:read(1) end)
      coroutine.yield()
    end, { })
    assert.equal("error", run.reason)
  end)
end)

describe("a read in a callback of a C function", function()
  local ld = require "linedancer"
  local callers = {
    ["table.sort"] = function(read) table.sort({ 3, 2, 1 }, function(a, b) read(); return a < b end) end,
    ["string.gsub"] = function(read) return (("abc"):gsub(".", read)) end,
  }
  for name, call in pairs(callers) do
    it("raises a clear error in " .. name .. " when it would have to wait", function()
      local run = play(function(conn)
        conn:write "x"
        call(function() conn:read(1) end)
      end, {})
      assert.equal("error", run.reason)
      assert.equal("x", run.sent)
      assert.matches("cannot wait inside a callback", run.error.message)
    end)

    it("works in " .. name .. " when the bytes are there", function()
      local run = t.play(function(conn)
        conn:peek(10)
        call(function() conn:read(1) end)
        conn:write "ok"
      end, { "0123456789" })
      assert.same({ sent = "ok", reason = "done" }, run)
    end)

    it("may be caught in " .. name .. ", and reading goes on", function()
      local run = t.play(function(conn)
        assert(not pcall(call, function() conn:read(3) end))
        conn:write(conn:read(2))
        assert(not pcall(call, function() conn:skip(3) end))
        conn:write(tostring(conn:unpack ">I2"))
      end, { "a", "b", "\1", "\2" })
      assert.same({ sent = "ab258", reason = "done" }, run)
    end)

    it("in " .. name .. " does not outlive the buffer that it fills", function()
      local run = play(function(conn)
        pcall(call, function() conn:read_into(ld.buffer(), 10000) end)
        collectgarbage()
        conn:write(conn:read(4))
      end, { "ab", ("x"):rep(5000) })
      assert.equal("abxx", run.sent)
    end)
  end
end)
