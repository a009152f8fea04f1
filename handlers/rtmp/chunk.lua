--- rtmp/chunk: cuts chunks into messages, and chunks messages once for all viewers. (Spec 5.3.1.)
--
--   basic header     fmt:u2 csid:u6; csid 0: 64 + u8; csid 1: 64 + u16 little-endian
--   message header   fmt 0: time:u24 size:u24 kind:u8 id:u32le; fmt 1: no id; fmt 2: time alone; fmt 3: nothing
--   extended time    u32 when time is FFFFFF; a fmt 3 repeats it, or, from some encoders, does not
--
-- Messages of several chunk streams may be half read at a time. What a peer declares costs nothing: bodies grow as
-- bytes come, and there are limits on chunk streams, on a message, and on all that is half read.
--
-- conn.chunks, what read() keeps: size = of the chunks that come; count = chunk streams; held = bytes of unfinished
-- messages; received = all bytes of chunks, for acknowledgements; [csid] = { time, delta, size, kind, id, extended =
-- its four bytes or false, body = the unfinished one or nil, got = its bytes, spare = a buffer for the next one }.
local ld = require "linedancer"
local bit = require "bit"

local band, rshift, min = bit.band, bit.rshift, math.min

local M = {}

local U32, HEAD = ld.format ">I4", ld.format ">B I3 I3 B <I4"
local EXTENDED = 0xFFFFFF
local STREAMS_MAX, HELD_MAX = 64, 2 ^ 24
local SIZE_LEAST, SIZE_MOST = 128, 0xFFFFFF

--- The size of the chunks that we send, once that has been announced. Large, as ours are whole messages anyway, and
-- ffmpeg sends chunks of the size that it is told.
M.OUT = 60000

-- The largest body of a message: of audio and video, and of anything else.
local MEDIA_MAX, DATA_MAX = 2 ^ 23 - 2 ^ 10, 2 ^ 20

--- Have CONN read chunks.
function M.init(conn)
  conn.chunks = { size = 128, count = 0, held = 0, received = 0 }
end

local function open(conn, chunks, csid, fmt)
  if fmt > 1 then conn:fail(("chunk stream %d begins with fmt %d"):format(csid, fmt)) end
  if chunks.count == STREAMS_MAX then conn:fail(("more than %d chunk streams"):format(STREAMS_MAX)) end
  chunks.count = chunks.count + 1
  local s = { time = 0, delta = 0, size = 0, kind = 0, id = 0, extended = false }
  chunks[csid] = s
  return s
end

-- Take the fields of a header with FMT 0 to 2; those that it lacks are nil.
local function take(conn, chunks, s, fmt, time, size, kind, id)
  s.extended = false
  if time == EXTENDED then
    s.extended = conn:expect(4)
    chunks.received = chunks.received + 4
    time = U32:unpack(s.extended)
  end
  if s.body then -- inside a message, where only a fmt 1 that repeats the size is harmless
    if fmt ~= 1 or size ~= s.size then conn:fail "a header has changed inside a message" end
    return
  end
  if size then
    local most = (kind == 8 or kind == 9) and MEDIA_MAX or DATA_MAX
    if size > most then conn:fail(("a message of kind %d with %d bytes, more than %d"):format(kind, size, most)) end
    s.size, s.kind = size, kind
    if id then s.id = id end
  end
  s.delta = time
  s.time = (fmt == 0 and time or s.time + time) % 2 ^ 32
end

-- fmt 3, with PIECE bytes of body to follow. Peek no further than they reach: the peer may send no more.
local function continue(conn, chunks, s, piece)
  local again = true
  if not s.body then
    s.time = (s.time + s.delta) % 2 ^ 32
  else
    local n = min(4, piece)
    again = s.extended and conn:peek(n) == s.extended:sub(1, n)
  end
  if s.extended and again then
    conn:skip(4)
    chunks.received = chunks.received + 4
  end
end

-- A csid that takes a second byte, or two more.
local function long_csid(conn, chunks, short)
  chunks.received = chunks.received + 1 + short
  return 64 + (short == 0 and conn:expect "B" or conn:expect "<I2")
end

-- Take COUNT bytes of header and PIECE of body into account.
local function hold(conn, chunks, count, piece)
  chunks.received = chunks.received + count + piece
  local held = chunks.held + piece
  if held > HELD_MAX then conn:fail(("more than %d bytes of unfinished messages"):format(HELD_MAX)) end
  chunks.held = held
end

-- A buffer for the next body. Those of audio and video are used again: they come by the thousand.
local function begin(s)
  local kind = s.kind
  if kind ~= 8 and kind ~= 9 then return ld.buffer() end
  if s.spare then return s.spare:clear() end
  s.spare = ld.buffer()
  return s.spare
end

--- Read chunks until a message of any chunk stream is whole: its kind, time (milliseconds, mod 2^32), message stream
-- id and body, a buffer that is good until the next read. Nil when the peer ends between chunks. Raises `fail` for what
-- is no chunk.
--
-- It goes back by goto, as most messages are one chunk: LuaJIT makes a trace of any loop that is entered often, and the
-- caller's loop could then not be compiled with this one within.
function M.read(conn)
  local chunks = conn.chunks
  ::another::
  do
    local first = conn:unpack "B"
    if not first then return nil end
    local fmt, csid, count = rshift(first, 6), band(first, 63), 1
    if csid < 2 then csid = long_csid(conn, chunks, csid) end
    local s = chunks[csid] or open(conn, chunks, csid, fmt)
    if fmt == 0 then
      count = 12
      take(conn, chunks, s, 0, conn:expect ">I3 I3 B <I4")
    elseif fmt == 1 then
      count = 8
      take(conn, chunks, s, 1, conn:expect ">I3 I3 B")
    elseif fmt == 2 then
      count = 4
      take(conn, chunks, s, 2, conn:expect ">I3")
    end
    local body, size = s.body, s.size
    local piece = min(body and size - s.got or size, chunks.size)
    if fmt == 3 and (s.extended or not body) then continue(conn, chunks, s, piece) end
    hold(conn, chunks, count, piece)
    local got = piece
    if body then got = got + s.got else body = begin(s) end
    if piece > 0 then conn:read_into(body, piece) end
    if got == size then
      s.body = nil
      chunks.held = chunks.held - size
      return s.kind, s.time, s.id, body
    end
    s.body, s.got = body, got
  end
  goto another
end

--- The peer announces chunks of SIZE bytes, from the next one on, also for messages that are half read.
function M.resize(conn, size)
  if size < SIZE_LEAST then conn:fail(("chunks of %d bytes, less than %d"):format(size, SIZE_LEAST)) end
  conn.chunks.size = min(size, SIZE_MOST)
end

--- The peer gives up the message that it has half sent on CSID.
function M.abort(conn, csid)
  local chunks = conn.chunks
  local s = chunks[csid]
  if s and s.body then
    chunks.held, s.body = chunks.held - s.got, nil
  end
end

--- A whole message as chunks on CSID (2 to 63), which say all and depend on nothing sent before: fmt 0, then fmt 3.
-- BODY: a string, slice or buffer. OUT: a buffer to use, which is cleared; default a new one. CHUNK_SIZE: M.OUT, if the
-- peer knows that. Returns the buffer.
function M.encode(csid, kind, time, id, body, out, chunk_size)
  local size = #body
  out = out and out:clear() or ld.buffer()
  chunk_size = chunk_size or M.OUT
  if time < EXTENDED then
    out:pack(">u2 u6 I3 I3 B <I4", 0, csid, time, size, kind, id)
  else
    out:pack(">u2 u6 I3 I3 B <I4 >I4", 0, csid, EXTENDED, size, kind, id, time)
  end
  if size <= chunk_size then return out:put(body) end
  out:put(body, 1, chunk_size)
  for at = chunk_size + 1, size, chunk_size do
    out:pack(">u2 u6", 3, csid)
    if time >= EXTENDED then out:pack(">I4", time) end
    out:put(body, at, min(at + chunk_size - 1, size))
  end
  return out
end

--- What encode() made of a message, TEXT, with chunks of M.OUT: kind, time, id and body, a string.
function M.decode(text)
  local _, time, size, kind, id, at = HEAD:unpack(text)
  local skip = 1
  if time == EXTENDED then
    time, at = U32:unpack(text, at)
    skip = 5
  end
  local parts = {}
  for from = 0, size - 1, M.OUT do
    local piece = min(size - from, M.OUT)
    parts[#parts + 1] = text:sub(at, at + piece - 1)
    at = at + piece + skip
  end
  return kind, time, id, table.concat(parts)
end

return M
