-- ./dev run examples/rtmp/gateway.lua
-- ffmpeg -re -f lavfi -i testsrc2 -f lavfi -i sine -c:v libx264 -g 50 -c:a aac -f flv rtmp://127.0.0.1:1935/live/x
-- ffplay rtmp://127.0.0.1:1935/live/x     or ffplay http://127.0.0.1:8080/live/x.flv
-- npm --prefix examples/rtmp/player ci    then http://127.0.0.1:8080/ in a browser
-- curl http://127.0.0.1:8080/streams
--
-- Publish, play, and play over HTTP. Streams cross from one worker to another.
local player = debug.getinfo(1, "S").source:match "^@(.*/)" .. "player/"
local library = "node_modules/mpegts.js/dist/mpegts.js"

return {
  listen = {
    { "[::]:1935", handler = "rtmp" },
    { "127.0.0.1:8080", handler = "rtmp.http", options = {
      stats = true, -- the page lists what is live
      files = { ["/"] = player .. "index.html", ["/" .. library] = player .. library },
    } },
  },
}
