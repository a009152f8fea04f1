-- build/linedancer run --listen 127.0.0.1:7016 --handler examples/channel.lua
-- (printf 'speak news\n= Yesterday\nSnow.\n= Today\nRain.\n'; sleep 2; echo Sun.) | nc -N 127.0.0.1 7016 & sleep 1
-- printf 'hear news\n' | nc 127.0.0.1 7016
--
-- A radio: what is said on a channel is stored once, however many hear it. Who comes late begins at the last headline.
--
--   from the client     speak CHANNEL LF     then lines; one that begins with = is a headline
--                       hear CHANNEL LF      then nothing
--   to who hears        the channel's name in brackets LF, the lines since the last headline, and all that come
--
--   choice --> speak --> speak ...     until the client ends its side
--   choice --> hear                    until the speaker does
local ld = require "linedancer"

local PREFIX, LINE_MAX, LOG_MAX = "examples/channel/", 1000, 2 ^ 18

local states = {}

function states.choice(conn)
  local line = conn:read_line(LINE_MAX)
  if not line then return end
  local verb, name = line:match "^(%l+) (%w+)$"
  if verb == "speak" then return "open", name end
  if verb == "hear" then return "hear", name end
  conn:fail "speak or hear, and a channel"
end

function states.open(conn, name)
  if not ld.register(PREFIX .. name) then conn:fail "somebody speaks there" end
  conn.channel = ld.channel(PREFIX .. name, { bytes = LOG_MAX })
  conn.channel:preamble("[", name, "]\n")
  return "speak"
end

function states.speak(conn)
  local line = conn:read_line(LINE_MAX)
  if not line then return end
  conn.channel:publish(line .. "\n", line:sub(1, 1) == "=")
  return "speak"
end

function states.hear(conn, name)
  conn:follow(PREFIX .. name, { lag = LOG_MAX, policy = "skip" })
  if conn:read_some() then return "hear", name end
end

return {
  initial = "choice",
  states = states,
  timeouts = { 10, speak = { idle = 3600 }, hear = false },
  on_message = function(conn, _, message)
    if message.closed then conn:close "off the air" end
  end,
  on_close = function(conn)
    if conn.channel then conn.channel:close() end
  end,
}
