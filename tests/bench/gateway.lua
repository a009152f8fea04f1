--- The gateway under measurement: BENCH_WORKERS workers, by default 1, and the one handler that BENCH_HANDLER names;
-- proxy forwards to BENCH_BACKEND, and rtmp merges over BENCH_MERGE milliseconds. BENCH_TURN=0 is for no watchdog.
-- BENCH_TLS names a file with a certificate and its key: then TLS is spoken. BENCH_PROXY=1: the PROXY protocol is.
--
--   BENCH_HANDLER=tests/bench/handlers/echo.lua build/linedancer run tests/bench/gateway.lua
local backend, merge, pem = os.getenv "BENCH_BACKEND", os.getenv "BENCH_MERGE", os.getenv "BENCH_TLS"

return {
  workers = tonumber(os.getenv "BENCH_WORKERS") or 1,
  limits = { connections = 20000, turn = tonumber(os.getenv "BENCH_TURN") },
  listen = {
    {
      "127.0.0.1:0",
      handler = os.getenv "BENCH_HANDLER" or "tests/bench/handlers/echo.lua",
      options = backend and { upstream = backend } or merge and { merge = merge / 1000 } or nil,
      proxy_protocol = os.getenv "BENCH_PROXY" and { "127.0.0.0/8" } or nil,
      tls = pem and { certificate = pem, key = pem } or nil,
    },
  },
}
