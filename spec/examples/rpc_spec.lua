local ld = require "linedancer"
local t = require "linedancer.testing"
local rpc = require "examples.rpc"

local REQUEST, RESPONSE = ld.format ">I4 s1 s4", ld.format ">I4 B s4"

local function ask(id, method, params) return REQUEST:pack(id, method, params or "") end
local function answer(id, status, result) return RESPONSE:pack(id, status, result or "") end

describe("examples/rpc.lua", function()
  it("answers what is done first, in whatever order it was asked", function()
    local run = t.play(rpc, { ask(1, "sleep", "3") .. ask(2, "sleep", "1") .. ask(3, "echo", "hi"), t.advance(4) })
    assert.same({ sent = answer(3, 0, "hi") .. answer(2, 0, "slept") .. answer(1, 0, "slept"), state = "request" }, run)
  end)

  it("answers while the next request is half read", function()
    local later = ask(2, "echo", "later")
    local run = t.play(rpc, { ask(1, "sleep", "1") .. later:sub(1, 7), t.advance(2), later:sub(8) })
    assert.equal(answer(1, 0, "slept") .. answer(2, 0, "later"), run.sent)
  end)

  it("says what failed", function()
    local run = t.play(rpc, { ask(1, "sleep", "x") .. ask(2, "dance") })
    assert.equal(answer(1, 1, "not a number of seconds") .. answer(2, 1, "no method dance"), run.sent)
  end)

  it("cancels what is in flight, and that only", function()
    local run = t.play(rpc, { ask(1, "sleep", "1"), ask(2, "sleep", "1"), ask(1, "cancel"), t.advance(2),
      ask(2, "cancel"), ask(1, "echo") })
    assert.equal(answer(1, 3) .. answer(2, 0, "slept") .. answer(1, 0), run.sent)
  end)

  it("is busy above options.in_flight, until one is answered", function()
    local run = t.play(rpc, { ask(1, "sleep", "1"), ask(2, "echo"), t.advance(2), ask(3, "echo") },
      { options = { in_flight = 1 } })
    assert.equal(answer(2, 2) .. answer(1, 0, "slept") .. answer(3, 0), run.sent)
  end)

  it("refuses two requests of one id, and more than 64 KB", function()
    assert.equal("two requests 7", t.play(rpc, { ask(7, "sleep", "1"), ask(7, "echo") }).reason)
    assert.equal("limit", t.play(rpc, { "\0\0\0\1\4echo\0\1\0\1" }).reason)
  end)

  it("answers what is in flight when the peer has ended its side", function()
    local run = t.play(rpc, { ask(1, "sleep", "5"), t.eof, t.advance(6) })
    assert.same({ sent = answer(1, 0, "slept"), reason = "done" }, run)
  end)

  it("is the same however requests are cut", function()
    local wire = ask(1, "echo", "one") .. ask(2, "dance")
    t.every_split(rpc, { wire .. ask(3, "echo", "three"), t.eof },
      { sent = answer(1, 0, "one") .. answer(2, 1, "no method dance") .. answer(3, 0, "three"), reason = "done" })
    t.every_truncation(rpc, wire)
  end)
end)
