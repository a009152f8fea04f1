-- build/linedancer run examples/sandbox.lua
-- printf 'shout hello\n' | nc -N 127.0.0.1 7029
--
-- What a stranger might write.
--
--   line --> line ...     until the peer ends its side
local states, commands = {}, {}

function commands.shout(text) return text:upper() end

function commands.read(name)
  local ok, why = pcall(function() return io.open(name):read "*a" end)
  return ok and why or "no: " .. tostring(why):match "attempt.*"
end

function commands.loop() while true do end end

function states.line(conn)
  local line = conn:read_line(1000)
  if not line then return end
  local name, rest = line:match "^(%a+) ?(.*)$"
  local command = commands[name]
  conn:write(command and command(rest) or "?", "\n")
  return "line"
end

return { initial = "line", states = states, timeouts = { 60 } }
