--- echo: what has arrived goes back, as a string.
--
--   echo --> echo ...
local states = {}

function states.echo(conn)
  local data = conn:read_some()
  if not data then return end
  conn:write(data)
  return "echo"
end

return { initial = "echo", states = states, timeouts = { 60 } }
