-- build/linedancer run examples/sandbox.lua
-- printf 'shout hello\nread /etc/passwd\nloop\nshout again\n' | nc -N 127.0.0.1 7029
--
-- A handler that somebody else wrote, on a port that anybody can reach. It sees no file, and when it computes for too
-- long, or holds too much, it loses its connection: the log says which limit was met, and so does `linedancer status`.
-- As root, `user = "nobody"` besides, and `seccomp = true`.
return {
  workers = 1,
  limits = {
    turn = 0.05, -- seconds that it may compute without waiting
    memory = 2 ^ 28, -- bytes of the whole worker
    lifetime = 3600, -- seconds of a connection
    stall = 30, -- seconds in which a client takes nothing of what waits for it
    per_source = { connections = 100, rate = 50, bytes = 2 ^ 20 }, -- of an address; new ones and bytes a second
  },
  listen = { { "127.0.0.1:7029", handler = "sandbox/tenant.lua", sandbox = true, max_connections = 1000 } },
}
