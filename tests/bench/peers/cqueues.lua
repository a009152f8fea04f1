--- cqueues: echo with one coroutine per connection. luajit cqueues.lua echo|framed|lines
--
-- Output is buffered and flushed when no whole message waits in the input, so that a burst leaves as one write.
local cqueues = require "cqueues"
local socket = require "cqueues.socket"

local modes = {}

--- recv with a negative size returns what is there.
function modes.echo(conn)
  conn:setmode("b", "bn")
  while true do
    local chunk = conn:read(-65536)
    if not chunk then return end
    conn:write(chunk)
  end
end

function modes.framed(conn)
  conn:setmode("b", "bf")
  while true do
    local head = conn:read(4)
    if not head then return end
    local a, b, c, d = head:byte(1, 4)
    local size = ((a * 256 + b) * 256 + c) * 256 + d
    local body = conn:read(size)
    if not body then return end
    conn:write(string.char(a, b, c, d), body)
    if conn:pending() < 4 then conn:flush() end
  end
end

function modes.lines(conn)
  conn:setmode("b", "bf")
  while true do
    local line = conn:read("*L")
    if not line then return end
    conn:write(line)
    if conn:pending() == 0 then conn:flush() end
  end
end

local mode = modes[arg[1] or "echo"] or error("no such mode: " .. arg[1])
local server = assert(socket.listen { host = "127.0.0.1", port = 0, nodelay = true })
assert(server:listen())
print("port " .. select(3, server:localname()))
io.flush()

local loop = cqueues.new()
loop:wrap(function()
  for conn in server:clients() do
    conn:onerror(function(_, _, code) return code end)
    loop:wrap(function()
      mode(conn)
      conn:close()
    end)
  end
end)
assert(loop:loop())
