--- rtmp/link: what both ends of a connection do about the connection itself. (Spec 5.4, 6.2, 7.1.7.)
--
--   1 SetChunkSize u32    2 Abort csid:u32    3 Acknowledgement u32    5 WindowAckSize u32    6 SetPeerBandwidth u32 u8
--   4 UserControl event:u16 ...    0 begin, 1 end, 2 dry, 4 recorded (id:u32), 3 buffer (id:u32 ms:u32), 6 ping and
--                                  7 pong (u32)
--
-- All go out on chunk stream 2. Bytes are acknowledged at half the window that the peer announced, or, as encoders
-- stop that forgot to, of one that most have.
--
-- conn.link: window = bytes that the peer may have unacknowledged; acked = bytes acknowledged; given = the window that
-- the peer was told; heard = when it last answered a ping.
local ld = require "linedancer"
local amf0 = require "handlers.rtmp.amf0"
local chunk = require "handlers.rtmp.chunk"

local M = {}

local WINDOW = 2500000 -- bytes
local BEGIN, EOF, RECORDED, PING, PONG = 0, 1, 4, 6, 7

--- The window that we announce, in bytes.
M.WINDOW = WINDOW

--- Have CONN, past its handshake, exchange messages.
function M.init(conn)
  chunk.init(conn)
  conn.link = { window = WINDOW, acked = 0, heard = ld.now() }
end

-- Bodies of 4 bytes and of 6.
local function control4(conn, kind, value)
  conn:pack(">B I3 I3 B I4 I4", 2, 0, 4, kind, 0, value)
end

local function event(conn, what, value)
  conn:pack(">B I3 I3 B I4 I2 I4", 2, 0, 6, 4, 0, what, value % 2 ^ 32)
end

--- Announce our chunk size. It must precede any message of more than 128 bytes.
function M.announce_chunks(conn) control4(conn, 1, chunk.OUT) end

--- Ask for an acknowledgement at least every BYTES.
function M.announce_window(conn, bytes) control4(conn, 5, bytes or WINDOW) end

--- Ask the peer to send no more than BYTES unacknowledged (dynamic).
function M.announce_bandwidth(conn, bytes)
  conn:pack(">B I3 I3 B I4 I4 B", 2, 0, 5, 6, 0, bytes or WINDOW, 2)
end

--- Message stream ID begins, ends, or is recorded.
function M.begin(conn, id) event(conn, BEGIN, id) end
function M.finish(conn, id) event(conn, EOF, id) end
function M.recorded(conn, id) event(conn, RECORDED, id) end

--- Ask the peer to answer; conn.link.heard says when it last did, by ld.now().
function M.ping(conn) event(conn, PING, math.floor(ld.now() * 1000)) end

--- Tell the peer how long the player buffers stream ID, in milliseconds.
function M.buffer_length(conn, id, ms)
  conn:pack(">B I3 I3 B I4 I2 I4 I4", 2, 0, 10, 4, 0, 3, id, ms)
end

--- Send command NAME with transaction TID on message stream ID; the rest are its values, of linedancer's AMF0.
function M.command(conn, id, name, tid, ...)
  conn:write(chunk.encode(3, 20, 0, id, amf0.encode(name, tid, ...)))
end

--- Send an onStatus on message stream ID: LEVEL "status" or "error", CODE, DESCRIPTION; EXTRA, an array of { key, value
-- }, may be nil.
function M.status(conn, id, level, code, description, extra)
  local info = { { "level", level }, { "code", code }, { "description", description } }
  for _, pair in ipairs(extra or {}) do info[#info + 1] = pair end
  conn:write(chunk.encode(5, 20, 0, id, amf0.encode("onStatus", 0, amf0.null, amf0.object(info))))
end

local function u32(conn, kind, body)
  if #body < 4 then conn:fail(("a control message of kind %d with %d bytes"):format(kind, #body)) end
  return body:u32be(1)
end

local handle = {}

handle[1] = function(conn, value) chunk.resize(conn, value) end
handle[2] = function(conn, value) chunk.abort(conn, value) end
handle[3] = function(conn, value) conn.link.peer_acked = value end
handle[5] = function(conn, value) conn.link.window = value end

-- The answer to a bandwidth is a window, once.
handle[6] = function(conn, value)
  if conn.link.given == value then return end
  conn.link.given = value
  M.announce_window(conn, value)
end

local function user_control(conn, body)
  if #body < 6 then return end -- an event that none knows
  local what = body:byte(1) * 256 + body:byte(2)
  if what == PING then
    event(conn, PONG, body:u32be(3))
  elseif what == PONG then
    conn.link.heard = ld.now()
  end
end

--- Deal with a message of KIND, if it is about the connection: true. Else false: it is for others.
function M.handle(conn, kind, body)
  if kind == 4 then
    user_control(conn, body)
    return true
  end
  local fn = handle[kind]
  if not fn then return false end
  fn(conn, u32(conn, kind, body))
  return true
end

--- Acknowledge what has been received, if half the window has been since. For after each message.
function M.acknowledge(conn)
  local link, received = conn.link, conn.chunks.received
  if received - link.acked < link.window / 2 then return end
  link.acked = received
  control4(conn, 3, received % 2 ^ 32)
end

--- Call FN(kind, time, id, body) for each message in BODY, an aggregate that came at TIME. (Spec 7.1.6.)
function M.aggregate(conn, time, id, body, fn)
  local at, size, first = 1, #body, nil
  while at + 10 < size do
    local head = body:u32be(at)
    local kind, length = math.floor(head / 2 ^ 24), head % 2 ^ 24
    local stamp = body:u32be(at + 4)
    stamp = math.floor(stamp / 256) + stamp % 256 * 2 ^ 24
    first = first or stamp
    if at + 10 + length > size then conn:fail "an aggregate whose parts are longer than it" end
    local part = ld.buffer()
    if length > 0 then part:put(body, at + 11, at + 10 + length) end
    fn(kind, (time + stamp - first) % 2 ^ 32, id, part)
    at = at + 11 + length + 4
  end
end

return M
