--- fanout: connections follow a channel, and one has blobs published on it.
--
--   follow NAME MERGE_MS LF --> ok LF, then every blob
--   publish NAME RATE SIZE MERGE_MS LF --> ok LF; later stop LF --> stopped BLOBS LF
--
--   order --> following, until the client leaves
--         --> publishing --> order
--
-- A blob is size:u32 sequence:u32 published:f64 filler, as in fanout_blob.h.
local ld = require "linedancer"

local LINE_MAX = 100
local HEADER, HEADER_SIZE = ld.format ">I4 I4 d", 16

local states, orders = {}, {}

local function channel(name, merge_ms)
  return ld.channel(name, { merge = tonumber(merge_ms) / 1000 })
end

local function publish(conn, to, rate, size)
  local filler = ("x"):rep(size - HEADER_SIZE)
  local start = ld.now()
  while not conn.stopping do
    local wait = start + conn.blobs / rate - ld.now()
    if wait > 0 then
      ld.sleep(wait)
    else
      local blob = ld.buffer()
      blob:pack(HEADER, size, conn.blobs, ld.now())
      blob:put(filler)
      to:publish(blob)
      conn.blobs = conn.blobs + 1
    end
  end
end

function orders.follow(conn, rest)
  local name, merge = rest:match "^(%S+) (%d+)$"
  conn:write "ok\n"
  conn:follow(channel(name, merge))
  return "following"
end

function orders.publish(conn, rest)
  local name, rate, size, merge = rest:match "^(%S+) (%S+) (%d+) (%d+)$"
  conn.blobs, conn.stopping = 0, false
  conn:write "ok\n"
  conn:spawn(publish, conn, channel(name, merge), tonumber(rate), tonumber(size))
  return "publishing"
end

function states.order(conn)
  local line = conn:read_line(LINE_MAX)
  if not line then return end
  local order, rest = line:match "^(%a+) (.*)$"
  if not orders[order] then conn:fail "follow or publish" end
  return orders[order](conn, rest)
end

function states.following(conn)
  conn:read_line(LINE_MAX)
end

function states.publishing(conn)
  if not conn:read_line(LINE_MAX) then return end
  conn.stopping = true
  conn:join()
  conn:write("stopped ", tostring(conn.blobs), "\n")
  return "order"
end

return { initial = "order", states = states, timeouts = { 600 } }
