-- (cd examples/rtmp/player && npm ci) && ./dev run examples/rtmp/player/gateway.lua
--
-- Then publish something, and open http://127.0.0.1:8080/ in a browser:
--
--   ffmpeg -re -f lavfi -i testsrc2=s=1280x720:r=30 -f lavfi -i sine -c:v libx264 -preset veryfast -tune zerolatency
--     -g 60 -pix_fmt yuv420p -c:a aac -f flv rtmp://127.0.0.1:1935/live/x
--
-- The page plays http://127.0.0.1:8080/live/x.flv, by mpegts.js, which is all that npm is for.
local here = debug.getinfo(1, "S").source:match "^@(.*/)" or "./"

return {
  workers = 1,
  listen = {
    { "127.0.0.1:1935", handler = "rtmp" },
    { "127.0.0.1:8080", handler = "rtmp.http", options = {
      stats = true, -- the page lists what is live
      files = {
        ["/"] = here .. "index.html",
        ["/mpegts.js"] = here .. "node_modules/mpegts.js/dist/mpegts.js",
      },
    } },
  },
}
