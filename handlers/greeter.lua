--- greeter: a handshake of one line each way, then an echo.
--
--   to the client     G`day CR LF           as soon as it is there
--   from the client   any greeting LF       at most 256 bytes; CR LF will do; an empty line is no greeting
--   from then on      bytes --> the same bytes
--
--   hello --> echo --> echo ...     until the client ends its side
local GREETING_MAX = 256

local states = {}

function states.hello(conn)
  conn:write(conn.options.greeting, "\r\n")
  local greeting = conn:read_line(GREETING_MAX)
  if not greeting then return end
  if greeting == "" then conn:fail "no greeting" end
  return "echo"
end

function states.echo(conn)
  local bytes = conn:read_some()
  if not bytes then return end
  conn:write(bytes)
  return "echo"
end

return {
  initial = "hello",
  states = states,
  options = { greeting = "G`day" },
  timeouts = { hello = 10, echo = { idle = 3600 } },
}
