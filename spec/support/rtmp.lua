--- rtmp: a client for specs: the bytes that it sends, and what the bytes that it gets mean.
local amf0 = require "handlers.rtmp.amf0"
local chunk = require "handlers.rtmp.chunk"

local M = {}

local function rest(size) return ("0123456789abcdef"):rep(96):sub(1, size) end

--- A simple handshake, C0 to C2.
M.HELLO = "\3\0\0\0\0\0\0\0\0" .. rest(1528) .. rest(1536)
M.HELLO_ANSWER = 3073 -- bytes

--- A message in chunks of 128 bytes, as a client that announces no other size sends it.
function M.message(kind, time, id, body, csid)
  return tostring(chunk.encode(csid or (kind == 20 and 3 or kind == 8 and 4 or 6), kind, time, id, body, nil, 128))
end

--- A command on message stream ID.
function M.command(id, name, tid, ...) return M.message(20, 0, id, amf0.encode(name, tid, ...)) end

--- From the handshake to an answered connect.
function M.connect(app, more)
  local parts = { { "app", app }, { "tcUrl", "rtmp://here/" .. app } }
  for _, pair in ipairs(more or {}) do parts[#parts + 1] = pair end
  return M.HELLO .. M.command(0, "connect", 1, amf0.object(parts))
end

--- From the handshake to a publish or play of "APP/NAME" on message stream 1.
function M.publish(app, name, kind)
  return M.connect(app) .. M.command(0, "createStream", 2, amf0.null)
    .. M.command(1, "publish", 3, amf0.null, name, kind or "live")
end

function M.play(app, name)
  return M.connect(app) .. M.command(0, "createStream", 2, amf0.null) .. M.command(1, "play", 3, amf0.null, name)
end

M.VIDEO_HEADER, M.AUDIO_HEADER = "\23\0\0\0\0config", "\175\0\18\16"

--- A video frame, and a key frame, that says TEXT; an audio frame.
function M.frame(time, text) return M.message(9, time, 1, "\39\1\0\0\0" .. text) end
function M.key(time, text) return M.message(9, time, 1, "\23\1\0\0\0" .. text) end
function M.sound(time, text) return M.message(8, time, 1, "\175\1" .. text) end

--- The metadata and headers with which a publisher begins.
function M.head(time)
  return M.message(18, time, 1, amf0.encode("@setDataFrame", "onMetaData", amf0.ecma { { "width", 320 } }))
    .. M.message(9, time, 1, M.VIDEO_HEADER) .. M.message(8, time, 1, M.AUDIO_HEADER)
end

-- A reader of chunks, by the book.
local function read_chunk(state, text, at)
  local first = text:byte(at)
  local fmt, csid = math.floor(first / 64), first % 64
  at = at + 1
  assert(csid > 1, "a long chunk stream id")
  local s = state[csid] or {}
  state[csid] = s
  local function u(n)
    local value = 0
    for i = at, at + n - 1 do value = value * 256 + text:byte(i) end
    at = at + n
    return value
  end
  if fmt == 0 then
    s.time, s.size, s.kind = u(3), u(3), u(1)
    s.id = u(1) + u(1) * 256 + u(1) * 65536 + u(1) * 2 ^ 24
    s.extended = s.time == 0xFFFFFF
    s.body = nil
  end
  assert(fmt == 0 or fmt == 3, "fmt " .. fmt)
  if s.extended then s.time = u(4) end
  local got = s.body or ""
  local piece = math.min(s.size - #got, state.size)
  s.body = got .. text:sub(at, at + piece - 1)
  assert(at + piece - 1 <= #text, "a chunk is cut short")
  at = at + piece
  if #s.body < s.size then return nil, at end
  local message = { s.kind, s.time, s.id, s.body }
  s.body = nil
  if s.kind == 1 then state.size = ("").byte(message[4], 3) * 256 + message[4]:byte(4) end
  return message, at
end

--- The messages in TEXT, which a server sent from its handshake's end on, as { kind, time, id, body }. STATE, a table,
-- is for later calls about the same connection.
function M.messages(text, state)
  state = state or {}
  state.size = state.size or 128
  local list, at = {}, 1
  if not state.greeted then
    state.greeted, at = true, M.HELLO_ANSWER + 1
  end
  while at <= #text do
    local message
    message, at = read_chunk(state, text, at)
    list[#list + 1] = message
  end
  return list
end

local function describe(message)
  local kind, time, id, body = message[1], message[2], message[3], message[4]
  if kind == 20 then
    local values = amf0.decode(body)
    local info = values[4]
    if type(info) == "table" and info.code then return values[1] .. " " .. info.code end
    return ("%s %g %s"):format(values[1], values[2], amf0.show(info))
  elseif kind == 18 then
    return ("data %s"):format(amf0.decode(body)[1])
  elseif kind == 9 then
    return ("video %d %s"):format(time, body == M.VIDEO_HEADER and "header" or body:sub(6))
  elseif kind == 8 then
    return ("audio %d %s"):format(time, body == M.AUDIO_HEADER and "header" or body:sub(3))
  elseif kind == 4 then
    return ("event %d %d"):format(body:byte(2), body:byte(6))
  end
  return ("control %d %d"):format(kind, id)
end

--- The same as an array of short texts: "video 40 text", "onStatus NetStream.Play.Start"...
function M.show(text, state)
  local list = {}
  for i, message in ipairs(M.messages(text, state)) do list[i] = describe(message) end
  return list
end

--- An end of WORLD's that speaks to its handler "rtmp": methods say(bytes) and heard(), an array as of show().
function M.client(world, handler, opts)
  local client = { peer = world:connect(handler or "handlers.rtmp", opts), state = {} }

  function client:say(bytes)
    self.peer:send(bytes)
    return self
  end

  function client:heard() return M.show(self.peer:sent(), self.state) end

  return client
end

return M
