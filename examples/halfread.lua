-- build/linedancer run --listen 127.0.0.1:7014 --handler examples/halfread.lua
-- (printf '\0\0\0\5hel'; sleep 1.5; printf 'lo') | nc -N 127.0.0.1 7014 | od -An -c
--
-- A frame that is half read holds up nothing: what others say and the clock are answered while its rest is awaited.
--
--   from the client    size:u32 body                big-endian; told to all clients
--   to the client      's' size:u32 body            what one of them said
--                      't' 4:u32 unread:u32         every second; so much of the next frame is here
--
--   open --> frame --> frame ...     until the client ends its side between frames
local ld = require "linedancer"

local TOPIC, TICK = "halfread", 1

local states = {}

function states.open(conn)
  conn:subscribe(TOPIC)
  conn:timer("tick", TICK)
  return "frame"
end

function states.frame(conn)
  local body = conn:unpack ">s4{65536}"
  if not body then return end
  ld.publish(TOPIC, body)
  return "frame"
end

local function on_message(conn, _, body)
  conn:pack(">c1 s4", "s", body)
end

local function on_timer(conn)
  conn:pack(">c1 I4 I4", "t", 4, conn.unread)
  conn:timer("tick", TICK)
end

return {
  initial = "open",
  states = states,
  timeouts = { { idle = 60 } },
  on_message = on_message,
  on_timer = on_timer,
}
