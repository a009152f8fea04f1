--- luv: echo on libuv's Lua binding. luajit luv.lua echo|framed
--
-- Writes are tried at once and queued only for what is left; a chunk's frames leave as one write.
local uv = require "luv"

local BACKLOG = 4096

local function send(client, data)
  local n = client:try_write(data) or 0
  if n < #data then client:write(data:sub(n + 1)) end
end

local modes = {}

function modes.echo(client)
  return function(err, chunk)
    if err or not chunk then return client:close() end
    send(client, chunk)
  end
end

--- u32 big-endian length, body: each body becomes a string and is framed again.
function modes.framed(client)
  local rest = ""
  return function(err, chunk)
    if err or not chunk then return client:close() end
    if rest ~= "" then chunk = rest .. chunk end
    local out, n, at = {}, 0, 1
    while #chunk - at >= 3 do
      local a, b, c, d = chunk:byte(at, at + 3)
      local size = ((a * 256 + b) * 256 + c) * 256 + d
      if #chunk - at < 3 + size then break end
      local body = chunk:sub(at + 4, at + 3 + size)
      out[n + 1], out[n + 2] = string.char(a, b, c, d), body
      n, at = n + 2, at + 4 + size
    end
    rest = chunk:sub(at)
    if n > 0 then send(client, table.concat(out)) end
  end
end

local mode = modes[arg[1] or "echo"] or error("no such mode: " .. arg[1])
local server = uv.new_tcp()
assert(server:bind("127.0.0.1", 0))
assert(server:listen(BACKLOG, function(err)
  assert(not err, err)
  local client = uv.new_tcp()
  server:accept(client)
  client:nodelay(true)
  client:read_start(mode(client))
end))
print("port " .. server:getsockname().port)
io.flush()
uv.run()
