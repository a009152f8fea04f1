--- chunks: what reading RTMP's chunks costs, in ns each, beside a reader written by hand in C.
--
--   luajit tests/bench/chunks.lua        from the project's root; BUILD names the build directory
--
-- A connection over memory is fed segments to its read(), in a loop. What feeding costs is measured with a handler that
-- skips without end, as C does that alone, and is taken off; the last column leaves it on both sides. The reader in C
-- (chunks_by_hand.c) takes the same segments, and each body into memory of its own. There is a stream of pictures and
-- sounds in chunks of 4096 bytes, and one of small messages; headers are as encoders send them: all but the first are
-- fmt 1, and fmt 3 inside a message.
local bench = dofile "tests/bench/setup.lua"
local chunk = require "handlers.rtmp.chunk"
local core = require "linedancer.core"
local handler = require "linedancer.handler"
local ld = require "linedancer"
local machine = require "linedancer.machine"

local cpu, draw = bench.cpu, bench.draw
local ROUNDS, FEEDS, CHUNK = 25, 20, 4096

local function body(size)
  local bytes = {}
  for i = 1, size do bytes[i] = draw(256) end
  local parts = {}
  for at = 1, size, 4000 do parts[#parts + 1] = string.char(unpack(bytes, at, math.min(size, at + 3999))) end
  return table.concat(parts)
end

local U24 = ld.format ">I3"

-- Add a message to PARTS, as fmt 1 if it is not the first on CSID; LAST keeps their times. Returns its chunks.
local function message(parts, last, csid, kind, at, size)
  local whole = tostring(chunk.encode(csid, kind, at, 1, body(size), nil, CHUNK))
  if last[csid] then
    whole = string.char(64 + csid) .. U24:pack(at - last[csid]) .. whole:sub(5, 8) .. whole:sub(13)
  end
  last[csid] = at
  parts[#parts + 1] = whole
  return math.max(1, math.ceil(size / CHUNK))
end

-- The bytes of a stream, and how many chunks they are.
local function pictures()
  local parts, last, count = {}, {}, 0
  for i = 1, 200 do
    count = count + message(parts, last, 6, 9, i * 33, 1000 + draw(19000))
    for k = 1, 1 + draw(2) do count = count + message(parts, last, 4, 8, i * 33 + k, 200 + draw(200)) end
  end
  return table.concat(parts), count
end

local function small()
  local parts, last, count = {}, {}, 0
  for i = 1, 5000 do count = count + message(parts, last, 4, 8, i, 20 + draw(80)) end
  return table.concat(parts), count
end

local function cut(text, size)
  local segments = {}
  for at = 1, #text, size do segments[#segments + 1] = text:sub(at, at + size - 1) end
  return segments
end

-- Seconds of CPU to feed SEGMENTS to a handler of one state, READ, the best of ROUNDS.
local function measure(read, segments)
  local definition = assert(handler.define({ initial = "read", states = { read = read }, timeouts = { 60 } }, "bench"))
  local made = machine.new(definition, {}, { frame = 2 ^ 20, output = 2 ^ 20, linger = 1 }, "bench")
  local peer = core.open(made.handle)
  local conn = core.conn_of(peer:handle())
  chunk.init(conn)
  chunk.resize(conn, CHUNK)
  peer:begin()
  local best = math.huge
  for _ = 1, ROUNDS do
    local before = cpu()
    for _ = 1, FEEDS do
      for i = 1, #segments do peer:feed(segments[i]) end
    end
    best = math.min(best, cpu() - before)
  end
  assert(peer:status() == "open", "the handler failed")
  peer:finish "eof"
  return best / FEEDS
end

-- Compiled from its own text each time, as the traces of one handler are not those of another.
local function reader(seen)
  return loadstring [[
    local chunk, seen = ...
    return function(conn)
      while true do
        local kind, _, _, body = chunk.read(conn)
        if not kind then return end
        seen.messages, seen.bytes = seen.messages + 1, seen.bytes + #body
      end
    end]](chunk, seen)
end

local function skipper(conn) conn:skip(2 ^ 50) end

-- Seconds of the same stream by hand, its messages, and the bytes of their bodies.
local function by_hand(text, size)
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  file:write(text)
  file:close()
  local pipe = assert(io.popen(("%s/bench/chunks_by_hand %s %d %d"):format(bench.build, name, size, CHUNK)))
  local cost, messages, bytes = pipe:read("*n", "*n", "*n")
  pipe:close()
  os.remove(name)
  assert(bytes, "chunks_by_hand failed")
  return cost * messages * 1e-9, messages, bytes
end

local function compare(name, text, count, size)
  local segments, seen = cut(text, size), { messages = 0, bytes = 0 }
  local feeding, whole = measure(skipper, segments), measure(reader(seen), segments)
  local hand, messages, bytes = by_hand(text, size)
  local walks = ROUNDS * FEEDS
  assert(seen.messages == walks * messages and seen.bytes == walks * bytes, "messages are missing")
  local ratio = (whole - feeding) / hand
  print(("%-24s %8.1f %8.1f %8.1f %7.1fx %9.2fx   goal <= 6x: %s"):format(("%s, %d B"):format(name, size),
    feeding / count * 1e9, hand / count * 1e9, (whole - feeding) / count * 1e9, ratio, whole / (feeding + hand),
    ratio <= 6 and "met" or "MISSED"))
end

print(("%-24s %8s %8s %8s %8s %10s   (ns a chunk)"):format("segments", "feeding", "by hand", "Lua", "", "with it"))
for _, stream in ipairs { { "pictures, sounds", pictures }, { "small messages", small } } do
  local text, count = stream[2]()
  for _, size in ipairs { 16384, 1448, 100 } do compare(stream[1], text, count, size) end
end
