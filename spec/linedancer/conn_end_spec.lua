local errors = require "linedancer.errors"
local logged = require "spec.support.logged"
local play = require "spec.support.quietly"
local t = require "linedancer.testing"

describe("a state that returns nothing", function()
  it("flushes, then ends with the reason done", function()
    local open = t.begin(function(conn)
      conn:read(1)
      conn:write "last words"
    end, {})
    t.perform(open, t.stall)
    t.perform(open, "x")
    t.perform(open, t.resume)
    assert.same({ sent = "last words", reason = "done" }, t.result(open))
  end)

  it("gives up on output that nobody takes after limits.linger", function()
    local closes = 0
    local run = play({
      initial = "a",
      states = { a = function(conn) conn:read(1); conn:write "never taken" end },
      on_close = function() closes = closes + 1 end,
    }, { t.stall, "x", t.advance(4), t.advance(2) }, { limits = { linger = 5 } })
    assert.equal("done", run.reason)
    assert.equal(1, closes)
  end)
end)

describe("close", function()
  it("flushes first and ends with the reason given, or closed", function()
    for given, reason in pairs { [false] = "closed", ["bye"] = "bye", [7] = "7" } do
      local run = play(function(conn)
        conn:write "before"
        conn:close(given or nil)
        conn:read(1)
      end, { "abc" })
      assert.equal("before", run.sent)
      assert.equal(reason, run.reason)
      assert.is_nil(run.error)
    end
  end)

  it("lets the coroutine go no further than its next read or transition", function()
    local steps = {}
    play({
      initial = "a",
      states = {
        a = function(conn) conn:close(); steps[#steps + 1] = "a"; return "b" end,
        b = function() steps[#steps + 1] = "b" end,
      },
    }, {})
    assert.same({ "a" }, steps)
    play(function(conn) conn:close(); conn:read(1); steps[#steps + 1] = "read" end, { "x" })
    assert.same({ "a" }, steps)
  end)

  it("keeps the first reason", function()
    assert.equal("one", play(function(conn) conn:close "one"; conn:close "two" end, {}).reason)
  end)

  it("of a connection that waits wakes nothing but ends it", function()
    local shared, after
    local one = t.begin({
      initial = "a", states = { a = function(conn) shared = conn; conn:write "hi"; conn:read(1); after = true end },
    }, {})
    t.play(function() shared:close "by another" end, {})
    assert.same({ sent = "hi", reason = "by another" }, t.result(one))
    assert.is_nil(after)
  end)

  it("is harmless after the end", function()
    local kept
    t.play(function(conn) kept = conn end, {})
    kept:close()
    kept:reset()
    kept:shutdown()
    kept:timeout("main", 5)
    kept:flush()
    assert.equal(0, kept.unread)
  end)
end)

describe("reset", function()
  it("drops what is queued", function()
    local run = play(function(conn)
      conn:read(1)
      conn:write "never"
      conn:reset()
    end, { "x" })
    assert.same({ sent = "", reason = "reset" }, run)
    assert.equal("reset", run.status)
  end)

  it("of another connection ends it at once", function()
    local shared
    local one = t.begin(function(conn) shared = conn; conn:read(1) end, {})
    t.play(function() shared:reset() end, {})
    assert.equal("reset", t.result(one).status)
    assert.equal("reset", t.result(one).reason)
  end)

  it("overrules a close that is still flushing nothing", function()
    local run = play(function(conn) conn:write "x"; conn:close "bye"; conn:reset() end, {})
    assert.equal("reset", run.status)
  end)
end)

describe("shutdown", function()
  it("half-closes after what is queued, and reading goes on", function()
    local open = t.begin(function(conn)
      conn:write "all"
      conn:shutdown()
      conn.got = conn:read(3)
      conn:write "ignored"
      conn:read(1)
    end, {})
    local run = t.result(open)
    assert.equal("all", run.sent)
    assert.is_true(run.half_closed)
    assert.equal("main", run.state)
    t.perform(open, "abc")
    assert.equal("", t.result(open).sent)
    t.perform(open, t.eof)
    assert.equal("done", t.result(open).reason)
  end)

  it("waits for output that is stuck", function()
    local open = t.begin(function(conn)
      conn:read(1)
      conn:write "all"
      conn:shutdown()
      conn:read(1)
    end, {})
    t.perform(open, t.stall)
    t.perform(open, "x")
    assert.is_false(t.result(open).half_closed)
    t.perform(open, t.resume)
    assert.is_true(t.result(open).half_closed)
  end)
end)

describe("fail", function()
  it("raises an error that ends the connection with its text as reason", function()
    local run = play({
      initial = "hello", states = { hello = function(conn) conn:fail("version " .. 7) end },
    }, {})
    assert.equal("version 7", run.reason)
    assert.equal("fail", run.error.code)
    assert.equal("version 7", run.error.message)
    assert.equal("hello", run.error.state)
  end)

  it("may be called by helpers, and caught", function()
    local function helper(conn) conn:fail "deep" end
    local run = t.play(function(conn)
      local _, err = pcall(helper, conn)
      conn:write(err.code, " ", tostring(err.message))
    end, {})
    assert.same({ sent = "fail deep", reason = "done" }, run)
  end)

  it("takes any value for a reason", function()
    assert.equal("42", play(function(conn) conn:fail(42) end, {}).reason)
    assert.is_string(play(function(conn) conn:fail() end, {}).reason)
    assert.is_string(play(function(conn) conn:fail {} end, {}).reason)
  end)
end)

describe("on_drain", function()
  it("is told once how many seconds are left; without it, who has been idle for a while ends", function()
    local told = {}
    local polite = t.begin({
      initial = "a", states = { a = function(conn) conn:read(1) end },
      on_drain = function(_, left) told[#told + 1] = left end,
    }, {})
    local plain = t.begin(function(conn) conn:read(1) end, {})
    local busy = t.begin(function(conn) conn:unpack ">I4"; conn:write "served" end, {})
    t.perform(busy, "\0\0")
    t.perform(polite, t.drain(30))
    assert.equal("main", t.result(plain).state) -- it may be about to ask
    t.perform(polite, t.advance(1))
    t.perform(polite, t.drain(20))
    assert.same({ 30 }, told)
    assert.equal("drain", t.result(plain).reason)
    assert.equal("a", t.result(polite).state)
    assert.equal("main", t.result(busy).state)
    t.perform(busy, "\0\0")
    assert.equal("served", t.result(busy).sent)
    t.perform(polite, t.drain(0))
    assert.equal("drain", t.result(polite).reason)
  end)

  it("that fails is logged, and ends no other connection", function()
    local function begin(on_drain)
      return t.begin({
        initial = "a", states = { a = function(conn) conn:write(conn:read(1)) end }, on_drain = on_drain,
      }, {})
    end
    local failing, open = begin(function() error "no" end), begin(function() end)
    local lines = logged(t.perform, failing, t.drain(30))
    assert.equal("connection failed", lines[1].text)
    assert.equal("error", t.result(failing).reason)
    t.perform(open, "x")
    assert.equal("x", t.result(open).sent)
  end)
end)

describe("an error object", function()
  it("has code, message, state, offset, field and conn, and is one line by tostring", function()
    local run = play({
      initial = "body", states = { body = function(conn) conn:unpack ">kind:B 'LD'" end },
    }, { "\1XX" })
    local err = run.error
    assert.is_true(errors.is(err))
    assert.equal("mismatch", err.code)
    assert.equal("body", err.state)
    assert.equal(1, err.offset)
    assert.matches("^%d+%.%d+%.%d+%.%d+$", err.conn)
    assert.matches("^mismatch: .*state body.*offset 1", tostring(err))
    assert.not_matches("\n", tostring(err))
  end)

  it("stays one line whatever its message holds", function()
    assert.equal("fail: a | b?c", tostring(errors.new("fail", "a\n  b\0c")))
    local run = play(function() error "two\nlines" end, {})
    assert.not_matches("[%c]", tostring(run.error))
  end)

  it("explains a code without a message", function()
    for _, code in ipairs { "truncated", "timeout", "reset", "limit", "stale", "busy", "hook", "closed" } do
      assert.is_true(#errors.new(code).message > #code)
    end
    assert.equal("dns", errors.new("dns").message)
  end)

  it("is passed on as it is when it is raised again", function()
    local run = play(function(conn)
      local _, err = pcall(conn.fail, conn, "first")
      error(err)
    end, {})
    assert.equal("first", run.reason)
  end)
end)
