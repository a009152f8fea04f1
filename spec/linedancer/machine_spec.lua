local errors = require "linedancer.errors"
local logged = require "spec.support.logged"
local play = require "spec.support.quietly"
local t = require "linedancer.testing"

describe("states", function()
  it("begin with the initial one and end with one that returns nothing", function()
    local run, path = t.play({
      initial = "one",
      states = {
        one = function(conn) conn:write "1"; return "two" end,
        two = function(conn) conn:write "2" end,
      },
    }, {})
    assert.same({ sent = "12", reason = "done" }, run)
    assert.same({ { "one" }, { "two" } }, path)
  end)

  it("pass the values after the name to the next state, nils included", function()
    local _, path = t.play({
      initial = "one",
      states = {
        one = function() return "two", 1, nil, "c", nil, false, {}, nil end,
        two = function(_, a, b, c, d, e, f, g)
          assert(a == 1 and b == nil and c == "c" and d == nil and e == false and type(f) == "table" and g == nil)
          return "three", nil, nil, 7
        end,
        three = function() end,
      },
    }, {})
    assert.same({ { "one" }, { "two", 1, nil, "c", nil, false, {} }, { "three", nil, nil, 7 } }, path)
  end)

  it("pass up to seven values, and refuse more", function()
    local function with(n)
      return play({
        initial = "one",
        states = {
          one = function()
            local values = {}
            for i = 1, n do values[i] = i end
            return "two", unpack(values)
          end,
          two = function(conn, ...) conn:write(tostring(select("#", ...)), ":", tostring((select(7, ...)))) end,
        },
      }, {})
    end
    assert.equal("7:7", with(7).sent)
    local run = with(8)
    assert.equal("error", run.reason)
    assert.matches("state one returned more than 7 values", run.error.message)
  end)

  it("do not see values of an earlier transition", function()
    local _, path = t.play({
      initial = "a",
      states = {
        a = function() return "b", 1, 2, 3 end,
        b = function() return "c", "only" end,
        c = function() return "d" end,
        d = function() end,
      },
    }, {})
    assert.same({ { "a" }, { "b", 1, 2, 3 }, { "c", "only" }, { "d" } }, path)
  end)

  it("may follow themselves, thousands of times without a wait", function()
    local run = t.play({
      initial = "count",
      states = {
        count = function(conn, n)
          n = (n or 0) + 1
          if n == 100000 then conn:write "done"; return end
          return "count", n
        end,
      },
    }, {})
    assert.same({ sent = "done", reason = "done" }, run)
  end)

  it("are one, called main, when the module is a bare function", function()
    local run, path = t.play(function(conn) conn:write(conn:read(2)) end, { "hi" })
    assert.same({ sent = "hi", reason = "done" }, run)
    assert.same({ { "main" } }, path)
  end)

  it("suggest the nearest name for one that is none", function()
    local run = play({
      initial = "hello",
      states = { hello = function() return "fraem" end, frame = function() end },
    }, {})
    assert.equal("error", run.reason)
    assert.matches("state hello returned 'fraem', which is no state %(did you mean 'frame'%?%)", run.error.message)
    assert.equal("hello", run.error.state)
  end)

  it("refuse any result but a name", function()
    for _, value in ipairs { 7, true, false, {}, function() end } do
      local run = play(function() return value end, {})
      assert.equal("error", run.reason)
      assert.matches("state main returned .*a state returns the name of the next one, or nothing", run.error.message)
    end
  end)

  it("are known by conn.state, also in hooks", function()
    local run = t.play({
      initial = "one",
      states = {
        one = function(conn) conn:write(conn.state, " "); return "two" end,
        two = function(conn) conn:write(conn.state) end,
      },
      enter = { two = function(conn, from) conn:write("[", conn.state, " after ", from, "] ") end },
    }, {})
    assert.equal("one [two after one] two", run.sent)
  end)

  it("need not read: what arrives is left unread", function()
    local run = t.play(function() end, { "abc" })
    assert.equal("done", run.reason)
  end)
end)

describe("enter hooks", function()
  it("are told where the connection comes from: nil at first, then the state, itself included", function()
    local seen = {}
    t.play({
      initial = "a",
      states = {
        a = function(_, n)
          if not n then return "a", 1 end
          return "b"
        end,
        b = function() end,
      },
      enter = {
        a = function(_, from) seen[#seen + 1] = "a<" .. tostring(from) end,
        b = function(_, from) seen[#seen + 1] = "b<" .. tostring(from) end,
      },
    }, {})
    assert.same({ "a<nil", "a<a", "b<a" }, seen)
  end)

  it("run before the state and may write", function()
    local run = t.play({
      initial = "a", states = { a = function(conn) conn:write "state" end },
      enter = { a = function(conn) conn:write "hook " end },
    }, {})
    assert.equal("hook state", run.sent)
  end)

  local waits = {
    unpack = function(conn) conn:unpack "B" end,
    expect = function(conn) conn:expect(1) end,
    peek = function(conn) conn:peek(1) end,
    read = function(conn) conn:read(1) end,
    read_some = function(conn) conn:read_some() end,
    read_line = function(conn) conn:read_line() end,
    skip = function(conn) conn:skip(1) end,
    slice = function(conn) conn:slice(1) end,
    body = function(conn) conn:body(5)() end,
    flush = function(conn) conn:write "x"; conn:flush() end,
  }
  for name, wait in pairs(waits) do
    it("raise `hook` from " .. name, function()
      local run = play({
        initial = "a", states = { a = function(conn) conn:write(conn:read(1)) end }, enter = { a = wait },
      }, { "xyz" })
      assert.equal("hook", run.reason)
      assert.equal("hook", run.error.code)
    end)
  end

  it("leave the connection usable when they catch what they raised", function()
    local run = t.play({
      initial = "a", states = { a = function(conn) conn:write(conn:read(3)) end },
      enter = { a = function(conn) assert(not pcall(conn.read, conn, 1)) end },
    }, { "abc" })
    assert.same({ sent = "abc", reason = "done" }, run)
  end)

  it("end the connection by an error, like a state", function()
    local run = play({
      initial = "a", states = { a = function(conn) conn:write "never" end },
      enter = { a = function() error "oops" end },
    }, {})
    assert.same({ sent = "", reason = "error" }, run)
    assert.matches("oops", run.error.message)
  end)

  it("cannot yield, and do not leave later reads believing that they are hooks", function()
    local function broken() coroutine.yield() end
    local run = play({ initial = "a", states = { a = function() end }, enter = { a = broken } }, {})
    assert.equal("error", run.reason)
    assert.equal("ok", t.play(function(conn) conn:write(conn:read(2)) end, { "ok" }).sent)
  end)

  it("cannot wait out the end of their connection", function()
    local tries = 0
    local run = play({
      initial = "a", states = { a = function() end },
      enter = {
        a = function(conn)
          conn:close "over"
          for _ = 1, 10 do
            if not pcall(conn.read, conn, 1) then tries = tries + 1 end
          end
        end,
      },
    }, {})
    assert.equal(10, tries)
    assert.equal("over", run.reason)
    assert.equal("ok", t.play(function(conn) conn:write(conn:read(2)) end, { "ok" }).sent)
  end)
end)

describe("on_error", function()
  it("has the last words", function()
    local run = play({
      initial = "a", states = { a = function(conn) conn:fail "no" end },
      on_error = function(conn, err) conn:write("sorry: ", err.message) end,
    }, {})
    assert.same({ sent = "sorry: no", reason = "no" }, run)
  end)

  it("is told what was raised, as an error object", function()
    local seen
    play({
      initial = "a", states = { a = function() error { code = 7 } end }, on_error = function(_, err) seen = err end,
    }, {})
    assert.is_true(errors.is(seen))
    assert.equal("error", seen.code)
    assert.equal("a", seen.state)
  end)

  it("may return a state to go on in, with values", function()
    local run, path = play({
      initial = "a",
      states = {
        a = function(conn) conn:expect "'X'" end,
        b = function(conn, why, n, none, last)
          conn:write(why, tostring(n), tostring(none), last, conn:read(2))
        end,
      },
      on_error = function(_, err) return "b", err.code, 2, nil, "!" end,
    }, { "hi" })
    assert.same({ sent = "mismatch2nil!hi", reason = "done" }, run)
    assert.same({ { "a" }, { "b", "mismatch", 2, nil, "!" } }, path)
  end)

  it("leaves no error behind when the state it chose ends well", function()
    local reason, err = nil, "not called"
    play({
      initial = "a", states = { a = function() error "x" end, b = function() end },
      on_error = function() return "b" end,
      on_close = function(_, r, e) reason, err = r, e end,
    }, {})
    assert.equal("done", reason)
    assert.is_nil(err)
  end)

  it("may go on after a timeout", function()
    local run = play({
      initial = "a",
      states = { a = function(conn) conn:read(1) end, b = function(conn) conn:write(conn:read(3)) end },
      timeouts = { a = 5, b = 5 },
      on_error = function(_, err) if err.code == "timeout" then return "b" end end,
    }, { t.advance(6), "abc" })
    assert.same({ sent = "abc", reason = "done" }, run)
  end)

  it("cannot go on once the peer is lost", function()
    local calls = 0
    local run = play({
      initial = "a", states = { a = function(conn) conn:read(1) end },
      on_error = function() calls = calls + 1; return "a" end,
    }, { t.reset })
    assert.equal("reset", run.reason)
    assert.equal(1, calls)
  end)

  it("cannot keep a state running that fails at once", function()
    local calls = 0
    local run = play({
      initial = "a", states = { a = function() error "again" end },
      on_error = function() calls = calls + 1; return "a" end,
    }, {})
    assert.equal("error", run.reason)
    assert.is_true(calls < 100)
  end)

  it("cannot keep a connection running whose peer has left", function()
    local calls = 0
    local run = play({
      initial = "a", states = { a = function(conn) conn:expect(1) end },
      on_error = function() calls = calls + 1; return "a" end,
    }, { t.eof })
    assert.is_true(run.reason == "truncated" or run.reason == "closed")
    assert.is_true(calls < 100)
  end)

  it("may go on as often as the state that it chose waits", function()
    local run = play({
      initial = "a",
      states = {
        a = function(conn)
          local byte = conn:read(1)
          if byte == "q" then return end
          conn:fail(byte)
        end,
      },
      on_error = function(conn, err) conn:write(err.message); return "a" end,
    }, { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "q" })
    assert.same({ sent = "abcdefghijkl", reason = "done" }, run)
  end)

  it("is logged, and no more, when it fails itself", function()
    local run
    local lines = logged(function()
      run = t.play({
        initial = "a", states = { a = function(conn) conn:write "x"; conn:fail "first" end },
        on_error = function() error "second" end,
      }, {})
    end)
    assert.same({ sent = "x", reason = "first" }, run)
    local last = lines[#lines]
    assert.equal("on_error failed", last.text)
    assert.matches("second", last.fields.error)
  end)

  it("cannot wait", function()
    local code
    play({
      initial = "a", states = { a = function(conn) conn:fail "x" end },
      on_error = function(conn)
        local _, err = pcall(conn.read, conn, 1)
        code = err.code
      end,
    }, { "abc" })
    assert.equal("hook", code)
  end)

  it("is told a plain sentence when it returns no state's name", function()
    for value, text in pairs { [5] = "returned 5", fraem = "returned 'fraem', which is no state" } do
      local last
      play({
        initial = "a", states = { a = function() error "x" end, frame = function() end },
        on_error = function(_, err)
          if err.message:find "x$" then return value end
          last = err
        end,
      }, {})
      assert.matches(text, last.message, 1, true)
    end
  end)

  it("is told when it returns more than it may", function()
    local last
    play({
      initial = "a", states = { a = function() error "x" end },
      on_error = function(_, err)
        if err.message:find "x$" then return "a", 1, 2, 3, 4, 5, 6, 7, 8 end
        last = err
      end,
    }, {})
    assert.matches("more than 7 values", last.message)
  end)

  it("is not called for an end that the handler asked for", function()
    for _, finish in ipairs { "close", "reset" } do
      local called = false
      play({
        initial = "a",
        states = { a = function(conn) conn[finish](conn); conn:read(1) end },
        on_error = function() called = true end,
      }, { "x" })
      assert.is_false(called)
    end
  end)
end)

describe("on_close", function()
  local ends = {
    done = { function() end, {} },
    ["by name"] = { function(conn) conn:close "by name"; conn:read(1) end, {} },
    closed = { function(conn) conn:close(); conn:read(1) end, {} },
    reset = { function(conn) conn:read(1) end, { t.reset }, "reset" },
    truncated = { function(conn) conn:expect(2) end, { "x", t.eof }, "truncated" },
    timeout = { function(conn) conn:read(1) end, { t.advance(11) }, "timeout" },
    mismatch = { function(conn) conn:unpack "'X'" end, { "Y" }, "mismatch" },
    limit = { function(conn) conn:read(2 ^ 21) end, {}, "limit" },
    ["my words"] = { function(conn) conn:fail "my words" end, {}, "fail" },
    error = { function() error "boom" end, {}, "error" },
  }
  for reason, case in pairs(ends) do
    it("is called once, with the reason '" .. reason .. "'", function()
      local calls = {}
      local run = play({
        initial = "a", states = { a = case[1] }, timeouts = { 10 },
        on_close = function(conn, why, err) calls[#calls + 1] = { type(conn), why, err and err.code } end,
      }, case[2])
      if run.reason == nil then error "still open" end
      assert.same({ { "table", reason, case[3] } }, calls)
      assert.equal(reason, run.reason)
    end)
  end

  it("can still ask conn for its facts and the handler's own fields", function()
    local seen
    t.play({
      initial = "a", states = { a = function(conn) conn.user = "me" end }, options = { greeting = "OK" },
      on_close = function(conn) seen = { conn.user, conn.options.greeting, type(conn.id) } end,
    }, {})
    assert.same({ "me", "OK", "string" }, seen)
  end)

  it("is logged, and no more, when it fails", function()
    local run
    local lines = logged(function()
      run = t.play({
        initial = "a", states = { a = function(conn) conn:write "x" end }, on_close = function() error "late" end,
      }, {})
    end)
    assert.same({ sent = "x", reason = "done" }, run)
    assert.equal("on_close failed", lines[#lines].text)
    assert.matches("late", lines[#lines].fields.error)
    assert.equal("error", lines[#lines].level)
  end)

  it("writes to nobody and reads nothing", function()
    local code
    local run = t.play({
      initial = "a", states = { a = function(conn) conn:write "x" end },
      on_close = function(conn)
        conn:write "too late"
        local _, err = pcall(conn.read, conn, 1)
        code = err.code
      end,
    }, {})
    assert.equal("x", run.sent)
    assert.equal("closed", code)
  end)
end)

describe("an error in a state", function()
  local broken = setmetatable({}, { __tostring = function() error "inner" end })
  local values = {
    ["a string"] = "text", ["a table"] = { 1 }, ["a number"] = 42, ["a boolean"] = false,
    ["a table whose tostring fails"] = broken,
    ["a table whose tostring returns none"] = setmetatable({}, { __tostring = function() return {} end }),
    ["a table that hides its metatable"] = setmetatable({}, { __metatable = 5 }),
    ["a cdata"] = require("ffi").new "int[2]", ["a coroutine"] = coroutine.create(function() end),
  }
  values["a function"] = function() end
  for name, value in pairs(values) do
    it("may be " .. name, function()
      local run = play(function(conn) conn:write "x"; error(value, 0) end, {})
      assert.same({ sent = "x", reason = "error" }, run)
      assert.equal("error", run.error.code)
      assert.equal("string", type(run.error.message))
      assert.equal("string", type(tostring(run.error)))
    end)
  end

  it("may be nil", function()
    local run = play(function() error(nil) end, {})
    assert.equal("error", run.reason)
    assert.equal("error", run.error.code)
  end)

  it("is logged with a traceback into the handler", function()
    local lines = logged(t.play, function() error "find me" end, {})
    assert.equal("error", lines[1].level)
    assert.matches("find me", lines[1].fields.error)
    assert.matches("machine_spec", lines[1].fields.traceback)
  end)

  it("ends only that connection", function()
    local one = t.begin(function(conn) conn:write(conn:read(1)) end, {})
    play(function() error "x" end, {})
    t.perform(one, "1")
    assert.equal("1", t.result(one).sent)
  end)
end)
