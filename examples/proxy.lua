-- build/linedancer run examples/proxy.lua
-- printf 'hello\n' | nc -N 127.0.0.1 7017
--
-- A TCP proxy: clients come in by one address, and what serves them, here an echo, is at another. Once both are
-- connected the bytes pass in C, either way; who does not read makes the other wait.
local UPSTREAM = "unix:/tmp/linedancer-echo.sock" -- "host:port" will do as well

return {
  listen = {
    { "127.0.0.1:7017", handler = "proxy", options = { upstream = UPSTREAM, connect_timeout = 5, idle = 600 } },
    { UPSTREAM, handler = "echo" },
  },
}
