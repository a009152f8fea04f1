local t = require "linedancer.testing"
local ld = require "linedancer"
local chunk = require "handlers.rtmp.chunk"
local link = require "handlers.rtmp.link"

-- A handler that reads messages and does nothing else: its path lists them.
local states = {}

function states.read(conn)
  local kind, time, id, body = chunk.read(conn)
  if not kind then return end
  return "message", kind, time, id, body
end

function states.message(conn, kind, _, _, body)
  link.handle(conn, kind, body)
  link.acknowledge(conn)
  return "read"
end

local handler = {
  initial = "read", states = states, timeouts = { read = { idle = 60 }, message = 1 }, on_message = link.ping,
}
local reader = { setup = link.init }

local fmt0, fmt1 = ld.format ">u2 u6 I3 I3 B <I4", ld.format ">u2 u6 I3 I3 B"
local fmt2, U32 = ld.format ">u2 u6 I3", ld.format ">I4"

local function head(csid, time, kind, size) return fmt0:pack(0, csid, time, size, kind, 1) end

local function next_of(csid) return string.char(0xC0 + csid) end

local function resize(size) return "\2\0\0\0\0\0\4\1\0\0\0\0" .. U32:pack(size) end

local function messages_of(path)
  local list = {}
  for _, step in ipairs(path) do
    if step[1] == "message" then list[#list + 1] = { unpack(step, 2) } end
  end
  return list
end

-- These bytes give these messages, however they are cut.
local function reads(bytes, messages, opts)
  local run, path = t.play(handler, { bytes }, opts or reader)
  assert.is_nil(run.reason)
  assert.same(messages, messages_of(path))
  t.every_split(handler, { bytes }, { sent = run.sent, state = "read", path = path }, opts or reader)
  return run
end

local function refuses(bytes, reason)
  local run = t.play(handler, { bytes }, reader)
  assert.equal(reason, run.reason)
  t.every_split(handler, { bytes }, { sent = run.sent, reason = reason }, reader)
end

local video, audio = ("v"):rep(328), ("a"):rep(20)

describe("rtmp chunk reader", function()
  it("takes audio, and a new chunk size, inside a split video message", function()
    reads(head(6, 40, 9, 328) .. video:sub(1, 128) .. head(4, 41, 8, 20) .. audio
      .. resize(200) .. next_of(6) .. video:sub(129)
      .. next_of(6) .. video:sub(1, 200) .. next_of(6) .. video:sub(201), -- and once more, by fmt 3 alone
      { { 8, 41, 1, audio }, { 1, 0, 0, U32:pack(200) }, { 9, 40, 1, video }, { 9, 80, 1, video } })
  end)

  it("takes chunk streams of two and three bytes", function()
    for csid, bytes in pairs { [64] = "\0\0", [319] = "\0\255", [320] = "\1\0\1", [400] = "\1\80\1",
      [65599] = "\1\255\255" } do
      local rest = head(0, 7, 8, 20):sub(2)
      reads(bytes .. rest .. audio .. string.char(bytes:byte() + 0xC0) .. bytes:sub(2) .. audio,
        { { 8, 7, 1, audio }, { 8, 14, 1, audio } }, csid and reader)
    end
  end)

  it("takes the time of a fmt 0 for the delta of the fmt 3 after it", function()
    reads(head(4, 26, 8, 20) .. audio .. next_of(4) .. audio, { { 8, 26, 1, audio }, { 8, 52, 1, audio } })
  end)

  it("adds the deltas of fmt 1 and 2, and keeps what they leave out", function()
    reads(head(4, 100, 8, 20) .. audio .. fmt1:pack(1, 4, 20, 3, 9) .. "abc" .. fmt2:pack(2, 4, 5) .. "def"
      .. next_of(4) .. "ghi",
      { { 8, 100, 1, audio }, { 9, 120, 1, "abc" }, { 9, 125, 1, "def" }, { 9, 130, 1, "ghi" } })
  end)

  it("opens a chunk stream by fmt 1, as librtmp does", function()
    reads(fmt1:pack(1, 2, 0, 6, 4) .. "\0\7\0\0\0\1", { { 4, 0, 0, "\0\7\0\0\0\1" } })
  end)

  it("takes an extended time in fmt 3 or its absence, to the last byte", function()
    for _, again in ipairs { "", "\1\0\0\5" } do
      for rest = 1, 5 do
        local body = ("w"):rep(128 + rest)
        reads(head(6, 0xFFFFFF, 9, 128 + rest) .. "\1\0\0\5" .. body:sub(1, 128) .. next_of(6) .. again
          .. body:sub(129), { { 9, 0x1000005, 1, body } })
      end
    end
  end)

  it("takes the extended value of a fmt 1 for a delta", function()
    reads(head(6, 11000, 9, 3) .. "abc" .. fmt1:pack(1, 6, 0xFFFFFF, 3, 9) .. U32:pack(0xFFFC18 + 0x5E8) .. "def",
      { { 9, 11000, 1, "abc" }, { 9, 11000 + 0x1000200, 1, "def" } })
  end)

  it("adds an extended delta once more when fmt 3 opens the next message", function()
    reads(fmt0:pack(0, 6, 0xFFFFFF, 3, 9, 1) .. U32:pack(0x1000000) .. "abc"
      .. next_of(6) .. U32:pack(0x1000000) .. "def",
      { { 9, 0x1000000, 1, "abc" }, { 9, 0x2000000, 1, "def" } })
  end)

  it("wraps its clock at 2^32", function()
    reads(head(6, 0xFFFFFF, 9, 3) .. "\255\255\255\250" .. "abc" .. fmt2:pack(2, 6, 10) .. "def",
      { { 9, 2 ^ 32 - 6, 1, "abc" }, { 9, 4, 1, "def" } })
  end)

  it("passes on messages without a body", function()
    reads(head(4, 5, 8, 0) .. head(4, 6, 8, 20) .. audio, { { 8, 5, 1, "" }, { 8, 6, 1, audio } })
  end)

  it("forgets a half-sent message that is aborted, and reads on", function()
    reads(head(6, 40, 9, 328) .. video:sub(1, 128) .. "\2\0\0\0\0\0\4\2\0\0\0\0\0\0\0\6" .. head(6, 80, 9, 3) .. "abc",
      { { 2, 0, 0, "\0\0\0\6" }, { 9, 80, 1, "abc" } })
    reads(resize(128) .. "\2\0\0\0\0\0\4\2\0\0\0\0\0\0\0\9" .. head(6, 80, 9, 3) .. "abc", -- nothing to abort
      { { 1, 0, 0, "\0\0\0\128" }, { 2, 0, 0, "\0\0\0\9" }, { 9, 80, 1, "abc" } })
  end)

  it("takes chunk sizes up to the largest for what they are worth", function()
    for _, size in ipairs { 134217728, 2147483647 } do
      reads(resize(size) .. head(6, 1, 9, 328) .. video, { { 1, 0, 0, U32:pack(size) }, { 9, 1, 1, video } })
    end
  end)

  it("lets a fmt 1 repeat the header inside a message", function()
    reads(head(6, 40, 9, 328) .. video:sub(1, 128) .. fmt1:pack(1, 6, 33, 328, 9) .. video:sub(129, 256)
      .. next_of(6) .. video:sub(257), { { 9, 40, 1, video } })
  end)

  it("refuses a header that changes inside a message", function()
    local begun = head(6, 40, 9, 328) .. video:sub(1, 128)
    refuses(begun .. head(6, 40, 9, 328), "a header has changed inside a message")
    refuses(begun .. fmt1:pack(1, 6, 0, 5000, 9), "a header has changed inside a message")
    refuses(begun .. fmt2:pack(2, 6, 0), "a header has changed inside a message")
  end)

  it("refuses chunk streams that begin without a header", function()
    refuses(fmt2:pack(2, 6, 0), "chunk stream 6 begins with fmt 2")
    refuses(next_of(9), "chunk stream 9 begins with fmt 3")
  end)

  it("refuses chunks that are too small", function()
    refuses(resize(0), "chunks of 0 bytes, less than 128")
    refuses(resize(1), "chunks of 1 bytes, less than 128")
  end)

  it("bounds the number of chunk streams", function()
    local parts = {}
    for csid = 3, 66 do
      parts[#parts + 1] = csid < 64 and head(csid, 0, 8, 0) or "\0" .. string.char(csid - 64) .. head(0, 0, 8, 0):sub(2)
    end
    assert.equal("read", t.play(handler, { table.concat(parts) }, reader).state)
    parts[#parts + 1] = "\1\255\255" .. head(0, 0, 8, 0):sub(2)
    assert.equal("more than 64 chunk streams", t.play(handler, { table.concat(parts) }, reader).reason)
  end)

  it("bounds a message, before a byte of it has come", function()
    refuses(head(6, 0, 18, 2 ^ 24 - 1), "a message of kind 18 with 16777215 bytes, more than 1048576")
    refuses(head(6, 0, 9, 2 ^ 24 - 1), "a message of kind 9 with 16777215 bytes, more than 8387584")
  end)

  it("bounds all that is half read", function()
    local function most(csid) return head(csid, 0, 9, 8387584) .. ("x"):rep(8000000) end
    local script = { resize(0xFFFFFF) }
    local big = chunk.encode(6, 9, 0, 1, ("x"):rep(8387584), nil, 8000000)
    script[2] = tostring(big):sub(1, 8000012)
    assert.equal("read", t.play(handler, script, reader).state)
    script = { resize(8000000), most(6), most(7), most(8) }
    assert.equal("more than 16777216 bytes of unfinished messages", t.play(handler, script, reader).reason)
  end)

  it("is done between chunks and truncated inside one, never in error", function()
    t.every_truncation(handler, head(4, 0xFFFFFF, 8, 20) .. "\1\0\0\0" .. audio .. resize(300)
      .. head(6, 1, 9, 328) .. video:sub(1, 300) .. next_of(6) .. video:sub(301), reader)
  end)

  it("answers a message while a chunk is half read, wherever it is cut", function()
    local wire = head(4, 41, 8, 20) .. audio
    local pinged = t.play(handler, { t.message {} }, reader).sent
    assert.equal("\2\0\0\0\0\0\6\4\0\0\0\0\0\6", pinged:sub(1, 14))
    for cut = 1, #wire - 1 do
      local run, path = t.play(handler, { wire:sub(1, cut), t.message {}, wire:sub(cut + 1) }, reader)
      assert.equal(14, #run.sent - 4)
      assert.same({ "message", 8, 41, 1, audio }, path[2])
    end
  end)

  it("times out on silence, not on slowness", function()
    local wire = head(4, 0, 8, 20)
    assert.equal("read", t.play(handler, { wire, t.advance(59), "x", t.advance(59) }, reader).state)
    assert.equal("timeout", t.play(handler, { wire, t.advance(61) }, reader).reason)
  end)
end)

describe("rtmp chunk writer", function()
  -- What comes back of a message that was encoded.
  local function back(csid, kind, time, body, size)
    local encoded = tostring(chunk.encode(csid, kind, time, 5, body, nil, size))
    local _, path = t.play(handler, { resize(size or chunk.OUT) .. encoded }, reader)
    return messages_of(path)[2], encoded
  end

  it("writes what the reader reads, for all sizes and times", function()
    for _, size in ipairs { 0, 1, 127, 128, 129, 256, 1000, 4096 } do
      for _, time in ipairs { 0, 0xFFFFFE, 0xFFFFFF, 0x1000000, 2 ^ 31, 2 ^ 32 - 1 } do
        for _, csid in ipairs { 2, 6, 63 } do
          local body = ("m"):rep(size)
          assert.same({ 9, time, 5, body }, (back(csid, 9, time, body, 128)))
        end
      end
    end
  end)

  it("repeats an extended time in each chunk", function()
    local _, encoded = back(6, 9, 0x1000000, ("m"):rep(129), 128)
    assert.equal("\198\1\0\0\0m", encoded:sub(-6))
  end)

  it("has a reverse", function()
    for _, size in ipairs { 0, 1, chunk.OUT - 1, chunk.OUT, chunk.OUT + 1, 3 * chunk.OUT } do
      for _, time in ipairs { 0, 0xFFFFFF, 2 ^ 32 - 1 } do
        local body = ("0123456789"):rep(math.ceil(size / 10)):sub(1, size)
        assert.same({ 9, time, 7, body }, { chunk.decode(tostring(chunk.encode(6, 9, time, 7, body))) })
      end
    end
  end)

  it("uses a buffer again, and what was put elsewhere stays", function()
    local out, log = ld.buffer(), ld.buffer()
    log:put(chunk.encode(4, 8, 1, 5, ("a"):rep(5000), out)):put(chunk.encode(4, 8, 2, 5, "b", out))
    assert.equal(tostring(chunk.encode(4, 8, 1, 5, ("a"):rep(5000))) .. tostring(chunk.encode(4, 8, 2, 5, "b")),
      tostring(log))
  end)

  it("takes bodies of every kind", function()
    local buffer = ld.buffer():put(("b"):rep(5000))
    assert.same({ 8, 1, 5, ("b"):rep(5000) }, (back(4, 8, 1, buffer, 4096)))
  end)
end)
