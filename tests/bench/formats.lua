--- formats: what conn:unpack costs from Lua, in ns per frame, beside the same decoding written by hand in C.
--
--   luajit tests/bench/formats.lua        from the project's root; BUILD names the build directory
--
-- A connection over memory is fed some 60 KB of frames at a time, all different; what the feeding costs is measured
-- with a handler that skips the bytes, and taken off. So many different ones that strings of them are collected before
-- they come again.
local bench = dofile "tests/bench/setup.lua"
local core = require "linedancer.core"
local handler = require "linedancer.handler"
local machine = require "linedancer.machine"

local cpu, draw = bench.cpu, bench.draw
local ROUNDS, FEEDS, BLOCKS = 7, 300, 100

local function random_byte() return draw(256) end

local function random_text(size, map)
  local bytes = {}
  for i = 1, size do bytes[i] = map and map(random_byte()) or random_byte() end
  return string.char(unpack(bytes))
end

-- An array of blocks of frames, and how many frames there are in a block.
local function blocks_of(make)
  local blocks, count = {}, math.floor(60000 / #make())
  for i = 1, BLOCKS do
    local parts = {}
    for k = 1, count do parts[k] = make() end
    blocks[i] = table.concat(parts)
  end
  return blocks, count
end

-- Seconds of CPU to feed FEEDS of BLOCKS to a handler of one state, the best of ROUNDS.
local function measure(state, blocks)
  local definition = assert(handler.define({ states = { frame = state }, timeouts = { 60 } }, "bench"))
  local made = machine.new(definition, {}, { frame = 2 ^ 20, output = 2 ^ 20, linger = 1 }, "bench")
  local peer = core.open(made.handle)
  peer:begin()
  local best = math.huge
  for _ = 1, ROUNDS do
    local before = cpu()
    for i = 1, FEEDS do peer:feed(blocks[i % BLOCKS + 1]) end
    best = math.min(best, cpu() - before)
  end
  assert(peer:status() == "open", "the handler failed")
  peer:finish "eof"
  return best
end

-- Each state is compiled from its own text: a function that many formats share would not be as fast as one handler's.
-- It uses what it reads, or the compiler would leave a string unmade.
local function reader(format)
  return assert(loadstring(([[
    return function(conn)
      local total = 0
      while true do
        local value = conn:unpack(%q)
        if not value then return end
        total = total + %s
      end
    end]]):format(format, format:find "[sy]" and "#value" or "value")))()
end

local function by_hand()
  local costs = {}
  local pipe = assert(io.popen(bench.build .. "/bench/format_bench"))
  for line in pipe:lines() do
    local name, cost = line:match "^(.-)%s%s+([%d.]+)%s"
    if name then costs[name] = tonumber(cost) end
  end
  pipe:close()
  return costs
end

local function printable(byte) return 32 + byte % 95 end

local cases = {
  { "RTMP header", ">I3 I3 B <I4", function() return random_text(11) end },
  { "RTMP basic header", ">u2 u6", function() return random_text(1) end },
  { "u32 and slice", ">&s4", function() return "\0\0\0\64" .. random_text(64) end },
  { "u32 and string", ">s4", function() return "\0\0\0\64" .. random_text(64) end, "u32 and slice" },
  { "line of 35 bytes, slice", "&y", function() return random_text(33, printable) .. "\r\n" end, "line of 35 bytes" },
  { "line of 35 bytes, string", "y", function() return random_text(33, printable) .. "\r\n" end, "line of 35 bytes" },
}

local hand = by_hand()
print(("%-26s %8s %8s   (ns a frame)"):format("conn:unpack", "by hand", "Lua"))
for _, case in ipairs(cases) do
  local name, format, make, base = case[1], case[2], case[3], case[4] or case[1]
  local blocks, count = blocks_of(make)
  local feeding = measure(function(conn)
    while conn:peek(1) do conn:skip(conn.unread) end
  end, blocks)
  local cost = (measure(reader(format), blocks) - feeding) / FEEDS / count * 1e9
  local c = hand[base]
  print(("%-26s %8s %8.2f %s"):format(name, c and ("%.2f"):format(c) or "-", cost,
    c and ("%6.1fx"):format(cost / c) or ""))
end
