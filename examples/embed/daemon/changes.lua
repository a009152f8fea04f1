--- changes: tells what happens in the directory that dirwatchd watches, as lines of JSON.
--
--   from the client   watch EVENT LF      created, changed, deleted or lost; + is any
--                     list LF             all the files that there are
--   to the client     {"event":"changed","name":"x","size":5} LF
--                     {"event":"present","name":"x","size":5} LF... {"event":"listed","files":1} LF
--
--   open --> command --> command ...     until the client ends its side
--
-- The daemon publishes on changes/EVENT. Whoever publishes a topic on command/list gets the list below that topic.
local ld = require "linedancer"
local json = require "linedancer.json"

local EVENTS = { created = true, changed = true, deleted = true, lost = true, ["+"] = true }

local states = {}

function states.open(conn)
  conn.listing = "list/" .. conn.id
  conn:subscribe(conn.listing .. "/+")
  return "command"
end

function states.command(conn)
  local line = conn:read_line(100)
  if not line then return end
  local event = line:match "^watch (%S+)$"
  if EVENTS[event] then conn:subscribe("changes/" .. event)
  elseif line == "list" then ld.publish("command/list", conn.listing)
  else conn:fail "watch EVENT or list expected" end
  return "command"
end

-- A message is a size and a name.
local function hear(conn, _, message, topic)
  local event = topic:match "[^/]+$"
  local size, name = message:match "^(%d+) (.*)$"
  local told = { event = event, name = name, size = tonumber(size) }
  if event == "listed" then told = { event = event, files = tonumber(size) } end
  conn:write(json.encode(told), "\n")
end

return {
  initial = "open",
  states = states,
  on_message = hear,
  timeouts = { open = 5, command = { idle = 3600 } },
  limits = { output = 2 ^ 20 }, -- one who does not read is out
}
