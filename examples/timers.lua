-- build/linedancer run --listen 127.0.0.1:7011 --handler examples/timers.lua
-- nc -d 127.0.0.1 7011
--
-- Named timers: a client that is silent is asked whether it is there, and thrown out if it does not answer.
--
--   to the client     ping LF              after options.silence seconds without a line
--                     gone LF              after options.patience more; then the connection ends
--   from the client   any line LF          sent back; pong is not
--
--   line --> line ...     until the client ends its side
local states = {}

local function listen(conn)
  conn:timer("ask", conn.options.silence) -- anew
  conn:timer("leave", nil)                -- no more
end

function states.line(conn)
  local line = conn:read_line(1000)
  if not line then return end
  if line ~= "pong" then conn:write(line, "\n") end
  return "line"
end

local function on_timer(conn, name)
  if name == "ask" then
    conn:write "ping\n"
    conn:timer("leave", conn.options.patience)
  else
    conn:write "gone\n"
    conn:close "silent"
  end
end

return {
  initial = "line",
  states = states,
  options = { silence = 1, patience = 1 },
  timeouts = { line = false }, -- the timers do it
  enter = { line = listen },
  on_timer = on_timer,
}
