-- build/linedancer run --listen 127.0.0.1:7012 --handler examples/pubsub.lua
-- printf 'sub news/+\npub news/today hello\npub weather rain\nunsub news/+\n' | nc -N 127.0.0.1 7012
--
-- Publish and subscribe: who subscribes to a pattern gets what anybody publishes on the topics it matches.
--
--   sub PATTERN LF       levels are parted by /; + is any one level, # at the end any number of them
--   unsub PATTERN LF
--   pub TOPIC TEXT LF
--   to the client        TOPIC TEXT LF for each message; ! WHY LF for a pattern or topic that is none
--
--   command --> command ...     until the peer ends its side
local ld = require "linedancer"

local LINE_MAX = 1000

local states, commands = {}, {}

function commands.sub(conn, pattern) conn:subscribe(pattern) end

function commands.unsub(conn, pattern) conn:unsubscribe(pattern) end

function commands.pub(_, topic, text) ld.publish(topic, text) end

function states.command(conn)
  local line = conn:read_line(LINE_MAX)
  if not line then return end
  local verb, what, text = line:match "^(%l+) (%S+) ?(.*)$"
  if not commands[verb] then conn:fail "sub, unsub or pub, and a topic" end
  local ok, why = pcall(commands[verb], conn, what, text)
  if not ok then conn:write("! ", (tostring(why):gsub("^%S+:%d+: ", "")), "\n") end
  return "command"
end

local function on_message(conn, _, text, topic)
  conn:write(topic, " ", text, "\n")
end

return {
  initial = "command",
  states = states,
  timeouts = { { idle = 3600 } },
  limits = { output = 2 ^ 18 }, -- for one who subscribes and does not read
  on_message = on_message,
}
