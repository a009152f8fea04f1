-- build/linedancer run examples/workers.lua
-- for i in 1 2 3 4 5 6 7 8; do nc -N 127.0.0.1 7018 </dev/null; done | sort
--
-- Two worker processes behind one port. They share nothing: each counts its own connections, from 1 again after
-- kill -9, which the other does not notice.
return {
  workers = 2,
  listen = { { "127.0.0.1:7018", handler = "workers/which.lua" } },
}
