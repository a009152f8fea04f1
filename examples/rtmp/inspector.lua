-- build/linedancer run --listen 127.0.0.1:7020 --handler examples/rtmp/inspector.lua
-- echo rtmp://127.0.0.1:1935/live/x | nc 127.0.0.1 7020
--
-- Shows what is in a stream, of any RTMP server: each message decoded, a line each.
--
--   from the client   URL LF
--   to the client     TIME KIND: what it is LF
--
--   url --> show      until the stream or the client ends
local amf0 = require "handlers.rtmp.amf0"
local client = require "handlers.rtmp.client"
local media = require "handlers.rtmp.media"

local states = {}

local KINDS = { [8] = "audio", [9] = "video", [18] = "data", [20] = "command" }

local function show_values(values)
  local parts = {}
  for i = 1, values.n do parts[i] = amf0.show(values[i]) end
  return table.concat(parts, " ")
end

-- A sequence header by what it says, anything else by its class.
local function show_media(kind, body)
  local class, codec, track = media.inspect(kind, body)
  local text = ("%s %s of %d bytes"):format(codec or "?", class, #body)
  if track > 0 then text = text .. ", track " .. track end
  if class == "header" then text = text .. " " .. amf0.show(media.describe(kind, body)) end
  return text
end

local function show(kind, body)
  if kind == 20 then return show_values(body) end
  if kind == 18 then return show_values((amf0.decode(body))) end
  if kind == 8 or kind == 9 then return show_media(kind, body) end
  return #body .. " bytes"
end

function states.url(conn)
  local url = conn:read_line(1000)
  if not url then return end
  local up, problem = client.view(url)
  if not up then
    conn:write("cannot play ", url, ": ", tostring(problem), "\n")
    return
  end
  return "show", up
end

function states.show(conn, up)
  local kind, time, _, body = client.read(up)
  if not kind then return end
  conn:write(("%8d %s: %s\n"):format(time, KINDS[kind] or "kind " .. kind, show(kind, body)))
  return "show", up
end

return { initial = "url", states = states, timeouts = { url = 60, show = { total = 60 } } }
