-- luajit shout.lua
-- echo hello | nc -N 127.0.0.1 7033
local ld = require "linedancer"

local function shout(conn)
  local line = conn:read_line(100)
  if not line then return end
  conn:write(line:upper(), "\n")
  return "main"
end

ld.serve {
  drain = 5,
  listen = { { "127.0.0.1:7033", handler = { states = { main = shout }, timeouts = { 60 } } } },
}
print "stopped"
