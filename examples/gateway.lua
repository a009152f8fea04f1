-- ./dev run            then: redis-cli -p 6380, nc 127.0.0.1 7000, 7001 or 7002
return {
  listen = {
    { "127.0.0.1:7000", handler = "echo" },
  },
}
