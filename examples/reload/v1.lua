--- Counts the lines of each client. See docs/reload.md, and watch.sh beside this.
--
--   build/linedancer run --listen 127.0.0.1:7000 --handler examples/reload/v1.lua
local states = {}

function states.line(conn)
  local line = conn:read_line()
  if not line then return end
  conn.count = (conn.count or 0) + 1
  conn:write(conn.count, " ", line, "\n")
  return "line"
end

return { initial = "line", states = states, timeouts = { 60 } }
