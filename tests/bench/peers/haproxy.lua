--- haproxy: echo as TCP applets. A size or a line is the only read an applet has, so echo expects SIZE bytes.
local core = _G.core

local SIZE = 64

core.register_service("echo", "tcp", function(applet)
  while true do
    local data = applet:receive(SIZE)
    if not data or #data == 0 then return end
    applet:send(data)
  end
end)

core.register_service("lines", "tcp", function(applet)
  while true do
    local line = applet:getline()
    if not line or #line == 0 then return end
    applet:send(line)
  end
end)
