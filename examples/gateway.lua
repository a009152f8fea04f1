-- ./dev run        then: nc 127.0.0.1 7000 (echo), 7001 (greeter) or 7002 (line); redis-cli -p 6380
-- ffmpeg -re -i FILE -c copy -f flv rtmp://127.0.0.1/live/x and ffplay rtmp://127.0.0.1/live/x
--
-- One listener for each handler that comes with Linedancer.
return {
  -- One, and not one for each processor: resp keeps its data in its worker, and all clients should find the same.
  workers = 1,
  listen = {
    { "127.0.0.1:7000", handler = "echo" },
    { "127.0.0.1:7001", handler = "greeter", options = { greeting = "G`day" } },
    { "127.0.0.1:7002", handler = "line" },
    { "127.0.0.1:6380", handler = "resp" },
    { "127.0.0.1:1935", handler = "rtmp" }, -- more about it in examples/rtmp
  },
}
