-- ./dev run examples/rtmp/relay.lua       beside ./dev run examples/rtmp/gateway.lua
-- ffmpeg -re -f lavfi -i testsrc2 -c:v libx264 -g 50 -f flv rtmp://127.0.0.1:1935/live/x
-- ffplay rtmp://127.0.0.1:1936/live/x
-- ffmpeg -re -f lavfi -i testsrc2 -c:v libx264 -g 50 -f flv rtmp://127.0.0.1:1936/up/y
-- ffplay rtmp://127.0.0.1:1935/live/y
--
-- A relay: what is asked for in live/ is got from another server, once, and let go when nobody watches it any more;
-- what is published in up/ is sent there.
return {
  listen = {
    {
      "127.0.0.1:1936",
      handler = "rtmp",
      options = {
        pull = { ["live/*"] = "rtmp://127.0.0.1:1935/live/*" },
        pull_idle = 10, -- seconds; 0 gets a stream all the time, which has to be named then
        push = { ["up/*"] = { "rtmp://127.0.0.1:1935/live/*" } },
      },
    },
  },
}
