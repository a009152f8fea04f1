--- Counts lines by their first word. It can take the place of v1.lua while clients are connected.
--
--   examples/reload/watch.sh
local states = {}

local function total(conn)
  local sum = 0
  for _, count in pairs(conn.counts) do sum = sum + count end
  return sum
end

function states.command(conn)
  conn.counts = conn.counts or {}
  local line = conn:read_line()
  if not line then return end
  local word = line:match "^%S+" or ""
  conn.counts[word] = (conn.counts[word] or 0) + 1
  conn:write(word, " ", conn.counts[word], " of ", total(conn), "\n")
  return "command"
end

-- A connection of v1.lua is in a state that is called otherwise now, and has one count of all its lines.
local function upgrade(conn)
  conn.counts = { earlier = conn.count or 0 }
  conn.count = nil
  return "command"
end

return { initial = "command", states = states, upgrade = upgrade, timeouts = { 60 } }
