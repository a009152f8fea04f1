-- build/linedancer run --listen 127.0.0.1:7021 --handler examples/rtmp/recorder.lua
-- echo rtmp://127.0.0.1:1935/live/x | nc 127.0.0.1 7021      leave with ^C
-- ffplay live+x-*.flv
--
-- Records a stream of any RTMP server, while the client stays: FLV files in the directory in which it was started, a
-- new one each minute. (The handler rtmp can do the same with what is published to it: see `record` in its options.)
--
--   from the client   URL LF
--   to the client     recording NAME LF, and at the end: N messages LF
--
--   url --> record    until the stream or the client ends
local client = require "handlers.rtmp.client"
local record = require "handlers.rtmp.record"

local states = {}

function states.url(conn)
  local url = conn:read_line(1000)
  if not url then return end
  local up, problem = client.view(url)
  if not up then
    conn:write("cannot play ", url, ": ", tostring(problem), "\n")
    return
  end
  conn.recorder = record.new(up.app .. "/" .. up.name:gsub("%?.*", ""), {
    path = "%N-%Y%m%d-%H%M%S.flv", rotate = conn.options.rotate,
  })
  conn:write("recording ", up.app, "/", up.name, "\n")
  conn:spawn(function()
    while conn:read_some() do end -- luacheck: ignore 542
    conn:close "the client has left"
  end)
  return "record", up, 0
end

function states.record(conn, up, count)
  local kind, time, _, body = client.read(up)
  if not kind then
    conn:write(count, " messages\n")
    return
  end
  if kind == 8 or kind == 9 or kind == 18 then
    conn.recorder:message(kind, time, body)
    count = count + 1
  end
  return "record", up, count
end

return {
  initial = "url",
  states = states,
  options = { rotate = 60 }, -- seconds
  timeouts = { url = 60, record = { total = 60 } },
  on_close = function(conn)
    if conn.recorder then conn.recorder:close() end
  end,
}
