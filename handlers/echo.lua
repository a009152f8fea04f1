--- echo: sends back whatever comes; RFC 862.
--
--   bytes --> the same bytes
--
--   echo --> echo ...     until the peer ends its side
local states = {}

function states.echo(conn)
  local bytes = conn:read_some()
  if not bytes then return end
  conn:write(bytes)
  return "echo"
end

return { initial = "echo", states = states, timeouts = { { idle = 3600 } } }
