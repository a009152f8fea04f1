local ld = require "linedancer"
local logged = require "spec.support.logged"
local play = require "spec.support.quietly"
local t = require "linedancer.testing"

-- The handler of the manual's first page.
local tlv = {
  initial = "hello",
  states = {
    hello = function(conn)
      local version = conn:unpack ">'LD' B"
      if not version then return end
      if version ~= 1 then conn:fail("version " .. version) end
      conn:write(conn.options.greeting, "\n")
      return "frame"
    end,
    frame = function(conn)
      local kind, size = conn:unpack ">B I2"
      if not kind then return end
      if size > 4096 then conn:fail "body too large" end
      conn:pack(">B s2", kind, conn:expect(size))
      return "frame"
    end,
  },
  options = { greeting = "OK" },
  timeouts = { 60, hello = 5, frame = { idle = 60 } },
}

-- Its body depends on what one segment happens to hold.
local function careless(conn)
  local text = conn:read_some()
  if not text then return end
  conn:write("<", text, ">")
  return "main"
end

local function message_of(fn, ...)
  local ok, err
  logged(function(...) ok, err = pcall(fn, ...) end, ...)
  assert(not ok, "nothing was raised")
  return err
end

describe("t.play", function()
  it("returns what was sent and the reason of the end, and the path", function()
    local run, path = t.play(tlv, { "LD\1", "\1\0\2hi", t.eof })
    assert.same({ sent = "OK\n\1\0\2hi", reason = "done" }, run)
    assert.same({ { "hello" }, { "frame" }, { "frame" } }, path)
  end)

  it("returns the state of a connection that is still open", function()
    local run = t.play(tlv, { "LD\1\1\0" })
    assert.same({ sent = "OK\n", state = "frame" }, run)
    assert.is_nil(run.reason)
    assert.equal(2, run.unread)
  end)

  it("begins in a state, with values for it", function()
    local handler = {
      initial = "a",
      states = {
        a = function() end,
        b = function(conn, x, y, z) conn:write(tostring(x), tostring(y), z); return "a" end,
      },
    }
    local run, path = t.play(handler, {}, { state = "b", args = { 1, nil, "z" } })
    assert.equal("1nilz", run.sent)
    assert.same({ { "b", 1, nil, "z" }, { "a" } }, path)
  end)

  it("passes its values to the first entry only", function()
    local run = t.play({
      initial = "a",
      states = { a = function(conn, n) conn:write(tostring(n)); if n then return "a" end end },
    }, {}, { args = { 1 } })
    assert.equal("1nil", run.sent)
  end)

  it("prepares the connection by setup, before anything of the handler runs", function()
    local run = t.play({
      initial = "a",
      states = { a = function(conn) conn:write(conn.user) end },
      enter = { a = function(conn) conn:write("hook ", conn.user, " ") end },
    }, {}, { setup = function(conn) conn.user = "me" end })
    assert.equal("hook me me", run.sent)
  end)

  it("sets options, and refuses those that the handler does not have", function()
    assert.equal("HI\n", t.play(tlv, { "LD\1" }, { options = { greeting = "HI" } }).sent)
    assert.matches("greting", message_of(t.play, tlv, {}, { options = { greting = "HI" } }))
    assert.matches("string", message_of(t.play, tlv, {}, { options = { greeting = 5 } }))
  end)

  it("sets limits over the handler's own", function()
    local handler = { initial = "a", states = { a = function(conn) conn:read(50) end }, limits = { frame = 40 } }
    assert.equal("limit", play(handler, {}).reason)
    assert.equal("a", play(handler, {}, { limits = { frame = 60 } }).state)
  end)

  it("refuses a handler that is none, an unknown state, and a strange script", function()
    assert.matches("states is missing", message_of(t.play, {}, {}))
    assert.matches("no state is called c", message_of(t.play, tlv, {}, { state = "c" }))
    assert.matches("a script holds strings and steps such as t.eof, not number", message_of(t.play, tlv, { 5 }))
  end)

  it("does not change the handler", function()
    local states, hello = tlv.states, tlv.states.hello
    t.play(tlv, { "LD\1" }, { state = "hello" })
    assert.equal(states, tlv.states)
    assert.equal(hello, tlv.states.hello)
    assert.is_nil(tlv.on_close)
  end)

  it("records values that a later state changes as they were, bytes as strings", function()
    local _, path = t.play({
      initial = "a",
      states = {
        a = function(conn) return "b", conn:slice(2), ld.blob "blob" end,
        b = function(conn) conn:read(1) end,
      },
    }, { "abc" })
    assert.same({ { "a" }, { "b", "ab", "blob" } }, path)
  end)

  it("plays an end, a reset, a stall and time", function()
    assert.equal("done", play(tlv, { t.eof }).reason)
    assert.equal("truncated", play(tlv, { "L", t.eof }).reason)
    assert.equal("reset", play(tlv, { t.reset }).reason)
    assert.equal("timeout", play(tlv, { t.advance(6) }).reason)
    assert.equal("hello", play(tlv, { t.advance(4) }).state)
    assert.same({ sent = "", state = "frame" }, play(tlv, { t.stall, "LD\1" }))
    assert.same({ sent = "OK\n", state = "frame" }, play(tlv, { t.stall, "LD\1", t.resume }))
  end)

  it("plays an end that comes while the handler is held", function()
    local run = t.play(function(conn)
      local byte = conn:read(1)
      if not byte then return end
      conn:write(byte, ("x"):rep(20000))
      return "main"
    end, { t.stall, "abcdefgh", t.eof, t.resume })
    assert.equal("done", run.reason)
    assert.equal(8 * 20001, #run.sent)
  end)

  it("delivers what no segment can hold", function()
    local run = t.play(function(conn)
      local size = 0
      for piece in conn:body(500000) do size = size + #piece end
      conn:write(size)
    end, { ("x"):rep(500000) })
    assert.equal("500000", run.sent)
  end)

  it("is over when it returns: time that later plays let pass does not reach it", function()
    local ended = {}
    local handler = {
      initial = "a", states = { a = function(conn) conn:read(1) end }, timeouts = { 5 },
      on_close = function(_, reason) ended[#ended + 1] = reason end,
    }
    local run = t.play(handler, {})
    assert.equal("a", run.state)
    play(tlv, { t.advance(100) })
    assert.same({}, ended)
    assert.equal("a", run.state)
    assert.is_nil(run.reason)
  end)

  it("may be called from many tests at once, each with its own end", function()
    local one, two = t.begin(tlv, {}), t.begin(tlv, {})
    t.perform(one, "LD\1")
    t.perform(two, "LD")
    t.perform(one, "\1\0\1x")
    t.perform(two, "\1")
    assert.equal("OK\n\1\0\1x", t.result(one).sent)
    assert.equal("OK\n", t.result(two).sent)
  end)

  it("may be called thousands of times", function()
    local function kilobytes()
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    t.play(tlv, { "LD\1" })
    local before = kilobytes()
    for _ = 1, 3000 do t.play(tlv, { "LD\1" }) end
    assert.is_true(kilobytes() - before < 1000)
  end)
end)

describe("t.every_split", function()
  it("finds the same result for every split, and counts the runs", function()
    local wire = "LD\1\1\0\2hi"
    local runs = t.every_split(tlv, { wire, t.eof }, { sent = "OK\n\1\0\2hi", reason = "done" })
    assert.is_true(runs >= #wire - 1 + 2)
  end)

  it("finds a handler that depends on splits, and shows the split", function()
    local message = message_of(t.every_split, careless, { "abc", t.eof }, { sent = "<abc>", reason = "done" })
    assert.matches('split as "', message)
    assert.matches('sent is "<', message)
    assert.matches('not "<abc>"', message)
  end)

  it("compares the path too, when one is given", function()
    local path = { { "hello" }, { "frame" } }
    t.every_split(tlv, { "LD\1" }, { sent = "OK\n", state = "frame", path = path })
    path[3] = { "frame" }
    local expected = { sent = "OK\n", state = "frame", path = path }
    assert.matches("the path is", message_of(t.every_split, tlv, { "LD\1" }, expected))
  end)

  it("compares the reason and the state", function()
    assert.matches("reason", message_of(t.every_split, tlv, { "LD\1", t.eof }, { sent = "OK\n", reason = "x" }))
    assert.matches("state", message_of(t.every_split, tlv, { "LD\1" }, { sent = "OK\n", state = "hello" }))
  end)

  it("cuts across the strings of a script, but not across its steps", function()
    local function main(conn)
      for _ = 1, 2 do conn:write(conn:read(2)) end
    end
    assert.equal(1 + 1 + 3 + 20, t.every_split(main, { "ab", "cd" }, { sent = "abcd", reason = "done" }))
    t.every_split(main, { "ab", t.advance(1), "cd" }, { sent = "abcd", reason = "done" })
  end)

  it("passes its options on", function()
    t.every_split(tlv, { "\1\0\1x" }, { sent = "\1\0\1x", state = "frame" }, { state = "frame" })
  end)
end)

describe("t.every_truncation", function()
  it("accepts done and truncated", function()
    assert.equal(9, t.every_truncation(tlv, "LD\1\1\0\2hi"))
  end)

  it("finds a beginning that ends in an error, and shows where", function()
    local message = message_of(t.every_truncation, function(conn)
      local text = conn:read_some()
      if text == "ab" then error "boom" end
    end, "abc")
    assert.matches("cut after 2 of 3 bytes: reason is \"error\"", message)
    assert.matches("boom", message)
  end)

  it("finds a handler that stays open", function()
    local message = message_of(t.every_truncation, function(conn)
      pcall(conn.read, conn, 1)
      conn:close "mine"
      conn:read(1)
    end, "abc")
    assert.matches('reason is "mine"', message)
  end)
end)
