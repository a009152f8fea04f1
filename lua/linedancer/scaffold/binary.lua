--- scaffold/binary: a protocol of frames that carry their type and their length.
local M = {}

M.handler = [=[
--- $NAME: requests and replies in frames that carry their type and their length.
--
--   hello   'LD' version:u8                answered by the same, with our version
--   frame   type:u8 size:u16 body          big-endian; a body has at most BODY_MAX bytes
--
--   ECHO    any bytes        --> ECHO      the same bytes
--   SUM     a:u32 b:u32      --> SUM       their sum, u64
--   what cannot be done      --> ERROR     why, as text
--
--   hello --> frame --> frame ...          until the client ends its side between frames
local VERSION, BODY_MAX = 1, 4096
local ECHO, SUM, ERROR = 1, 2, 255

local states = {}

local function refuse(conn, why) conn:pack(">B s2", ERROR, why) end

-- By type: each takes the body of a request and sends the reply.
local requests = {}

requests[ECHO] = function(conn, body) conn:pack(">B s2", ECHO, body) end

requests[SUM] = function(conn, body)
  if #body ~= 8 then return refuse(conn, "SUM takes two numbers of four bytes") end
  local a, b = body:unpack ">I4 I4"
  conn:pack(">B I2 I8", SUM, 8, a + b)
end

function states.hello(conn)
  local version = conn:unpack "'LD' B"            -- other bytes than LD end the connection: `mismatch`
  if not version then return end                  -- it left without a word
  conn:pack("'LD' B", VERSION)
  if version ~= VERSION then conn:fail("version " .. version) end
  return "frame"
end

function states.frame(conn)
  local kind, body = conn:unpack ">B &s2"         -- waits for the whole frame; body is borrowed until the next read
  if not kind then return end                     -- a clean end; one within a frame is an error: `truncated`
  local answer = requests[kind]
  if answer then answer(conn, body) else refuse(conn, "unknown type " .. kind) end
  return "frame"
end

return {
  initial = "hello",
  states = states,
  limits = { frame = 3 + BODY_MAX },              -- a longer one is refused by its size, before its body comes
  timeouts = { hello = 5, frame = 60 },           -- seconds: to greet, and from one frame to the end of the next
}
]=]

M.spec = [=[
local handler = require "handlers.$NAME"
local ld = require "linedancer"
local t = require "linedancer.testing"

local ECHO, SUM, ERROR = 1, 2, 255
local HELLO = "LD\1"

local function frame(kind, body) return ld.format(">B s2"):pack(kind, body) end

describe("$NAME", function()
  it("greets and answers each request, however the bytes are cut", function()
    local script = { HELLO, frame(ECHO, "hello"), frame(SUM, "\255\255\255\255\0\0\0\2"), t.eof }
    local run, path = t.play(handler, script)
    assert.same({ sent = HELLO .. frame(ECHO, "hello") .. frame(SUM, "\0\0\0\1\0\0\0\1"), reason = "done" }, run)
    assert.same({ { "hello" }, { "frame" }, { "frame" }, { "frame" } }, path)
    t.every_split(handler, script, { sent = run.sent, reason = "done", path = path })
  end)

  it("is done or truncated wherever the client leaves", function()
    t.every_truncation(handler, HELLO .. frame(ECHO, "hello") .. frame(ECHO, ""))
  end)

  it("refuses another protocol, and another version after saying its own", function()
    assert.same({ sent = "", reason = "mismatch" }, (t.play(handler, { "GET / HTTP/1.1\r\n" })))
    assert.same({ sent = HELLO, reason = "version 2" }, (t.play(handler, { "LD\2" })))
  end)

  it("says what it cannot do, and goes on", function()
    local run = t.play(handler, { frame(9, "?"), frame(SUM, "1"), frame(ECHO, "") }, { state = "frame" })
    local refusals = frame(ERROR, "unknown type 9") .. frame(ERROR, "SUM takes two numbers of four bytes")
    assert.same({ sent = refusals .. frame(ECHO, ""), state = "frame" }, run)
  end)

  it("takes bodies of 4096 bytes, and refuses longer ones before they come", function()
    local body = ("x"):rep(4096)
    assert.equal(frame(ECHO, body), t.play(handler, { frame(ECHO, body) }, { state = "frame" }).sent)
    assert.equal("limit", t.play(handler, { "\1\16\1" }, { state = "frame" }).reason)
  end)

  it("gives five seconds to greet, and a minute for each frame, even if bytes trickle in", function()
    assert.equal("timeout", t.play(handler, { "L", t.advance(3), "D", t.advance(3) }).reason)
    local request = frame(ECHO, "")
    local script = { t.advance(50), request, t.advance(50), request:sub(1, 1), t.advance(9) }
    assert.equal("frame", t.play(handler, script, { state = "frame" }).state)
    script[#script + 1] = t.advance(2)
    assert.equal("timeout", t.play(handler, script, { state = "frame" }).reason)
  end)
end)
]=]

M.config = [=[
-- linedancer run $NAME.conf.lua
-- printf 'LD\1\1\0\5hello' | nc -N 127.0.0.1 7000 | od -An -c
--
-- Serves handlers/$NAME.lua to this machine alone; "[::]:7000" would be for all.
return {
  watch = true, -- a file that changes is loaded again, while connections live
  listen = {
    { "127.0.0.1:7000", handler = "$NAME" },
  },
}
]=]

return M
