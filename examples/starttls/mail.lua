-- openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -keyout /tmp/ld.key -out /tmp/ld.pem
-- echo "return { listen = { { '127.0.0.1:7027', handler = '$PWD/examples/starttls/mail.lua', tls = {
--   certificate = 'ld.pem', key = 'ld.key', on_demand = true } } } }" >/tmp/ld.lua
-- build/linedancer run /tmp/ld.lua
-- printf 'HELP\r\nQUIT\r\n' | openssl s_client -quiet -starttls smtp -connect 127.0.0.1:7027
--
-- A connection that begins plain and goes on over TLS when the client asks for it: the first lines of SMTP (RFC 3207).
--
--   greet --> command --> command ...     until QUIT; STARTTLS comes back to command, over TLS, as if nothing had been
--                                         said before
local states = {}

function states.greet(conn)
  conn:write "220 localhost ready\r\n"
  return "command"
end

local commands = {}

function commands.EHLO(conn)
  conn:write("250-localhost\r\n", conn.tls and "250 HELP\r\n" or "250 STARTTLS\r\n")
end

function commands.STARTTLS(conn)
  if conn.tls then return conn:write "503 over TLS already\r\n" end
  conn:write "220 go ahead\r\n"
  conn:starttls { timeout = 10 } -- raises, and so ends the connection, if anything but a handshake comes
end

function commands.HELP(conn)
  conn:write("214 ", conn.tls and conn.tls.version or "plain", "\r\n")
end

function states.command(conn)
  local line = conn:read_line(512)
  if not line then return end
  local name = line:upper():match "^%a+"
  if name == "QUIT" then
    conn:write "221 bye\r\n"
    return
  end
  local command = commands[name]
  if command then command(conn) else conn:write "500 unknown\r\n" end
  return "command"
end

return { initial = "greet", states = states, timeouts = { 60 } }
