--- echo_slices: messages of 64 bytes go back, and never become strings.
--
--   echo --> echo ...
local states = {}

function states.echo(conn)
  local body = conn:unpack("&c64")
  if not body then return end
  conn:write(body)
  return "echo"
end

return { initial = "echo", states = states, timeouts = { 60 } }
