--- chunks: what reading RTMP's chunks costs, in ns each, beside a reader written by hand in C.
--
--   luajit tests/bench/chunks.lua        from the project's root; BUILD names the build directory
--
-- A connection over memory is fed segments; what the feeding costs is measured with a handler that skips the bytes, and
-- taken off. The reader in C (chunks_by_hand.c) is fed the same segments: it keeps its place the same way, and each
-- body is in memory of its own, too. A stream of pictures and sounds in chunks of 4096 bytes, and one of small messages.
local build = os.getenv "BUILD" or "build"
package.path = "./?.lua;./?/init.lua;./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = build .. "/lib/?.so;" .. package.cpath
require("jit.opt").start("maxtrace=8000", "maxmcode=16384")

local chunk = require "handlers.rtmp.chunk"
local core = require "linedancer.core"
local ffi = require "ffi"
local handler = require "linedancer.handler"
local machine = require "linedancer.machine"

ffi.cdef "struct bench_time { long s, ns; }; int clock_gettime(int clock, struct bench_time *t);"
local PROCESS_CPU, ROUNDS, FEEDS, CHUNK = 2, 25, 20, 4096
local time = ffi.new "struct bench_time"

local function cpu()
  ffi.C.clock_gettime(PROCESS_CPU, time)
  return tonumber(time.s) + tonumber(time.ns) * 1e-9
end

-- Different bytes each time, the same in each run.
local seed = 1
local function draw(n)
  seed = (seed * 1103515245 + 12345) % 2 ^ 31
  return math.floor(seed / 65536) % n
end

local function body(size)
  local bytes = {}
  for i = 1, size do bytes[i] = draw(256) end
  local parts = {}
  for at = 1, size, 4000 do parts[#parts + 1] = string.char(unpack(bytes, at, math.min(size, at + 3999))) end
  return table.concat(parts)
end

local function message(parts, csid, kind, at, size)
  parts[#parts + 1] = tostring(chunk.encode(csid, kind, at, 1, body(size), nil, CHUNK))
  return math.max(1, math.ceil(size / CHUNK))
end

-- The bytes of a stream, and how many chunks they are.
local function pictures()
  local parts, count = {}, 0
  for i = 1, 200 do
    count = count + message(parts, 6, 9, i * 33, 1000 + draw(19000))
    for k = 1, 1 + draw(2) do count = count + message(parts, 4, 8, i * 33 + k, 200 + draw(200)) end
  end
  return table.concat(parts), count
end

local function small()
  local parts, count = {}, 0
  for i = 1, 5000 do count = count + message(parts, 4, 8, i, 20 + draw(80)) end
  return table.concat(parts), count
end

local function cut(text, size)
  local segments = {}
  for at = 1, #text, size do segments[#segments + 1] = text:sub(at, at + size - 1) end
  return segments
end

-- Seconds of CPU to feed SEGMENTS to a handler with STATES, the best of ROUNDS.
local function measure(states, segments)
  local definition = assert(handler.define({ initial = "read", states = states, timeouts = { 60 } }, "bench"))
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

local function reader(seen)
  return {
    read = function(conn)
      local kind, at, id, data = chunk.read(conn)
      if not kind then return end
      return "message", kind, at, id, data
    end,
    message = function(_, _, _, _, data)
      seen.bytes = seen.bytes + #data
      return "read"
    end,
  }
end

local skipper = {
  read = function(conn)
    while conn:peek(1) do conn:skip(conn.unread) end
  end,
}

-- ns a chunk of the same stream, by hand.
local function by_hand(text, size)
  local name = os.tmpname()
  local file = assert(io.open(name, "wb"))
  file:write(text)
  file:close()
  local pipe = assert(io.popen(("%s/bench/chunks_by_hand %s %d %d"):format(build, name, size, CHUNK)))
  local cost = tonumber(pipe:read "*l")
  pipe:close()
  os.remove(name)
  return cost
end

print(("%-24s %10s %10s %8s   (ns a chunk)"):format("segments", "by hand", "Lua", ""))
for _, stream in ipairs { { "pictures and sounds", pictures }, { "small messages", small } } do
  local text, count = stream[2]()
  for _, size in ipairs { 16384, 1448, 100 } do
    local segments, seen = cut(text, size), { bytes = 0 }
    local feeding = measure(skipper, segments)
    local cost = (measure(reader(seen), segments) - feeding) / count * 1e9
    assert(seen.bytes > 0)
    local hand = by_hand(text, size)
    print(("%-24s %10.1f %10.1f %7.1fx%s"):format(("%s, %d B"):format(stream[1]:match "^%w+", size), hand, cost,
      cost / hand, cost / hand <= 6 and "" or "   goal <= 6x: MISSED"))
  end
end
