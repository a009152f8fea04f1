-- Streams whose publisher and viewers are in different workers.
local rtmp = require "spec.support.rtmp"
local t = require "linedancer.testing"

local GREETING = {
  "event 0 1", "onStatus NetStream.Play.Reset", "onStatus NetStream.Play.Start", "data |RtmpSampleAccess",
}

-- What was heard after the answer to play.
local function media(client)
  local list, result = client:heard(), {}
  for _, text in ipairs(list) do
    if text:find "^video" or text:find "^audio" or text:find "Unpublish" or text == "data onMetaData" then
      result[#result + 1] = text
    end
  end
  return result
end

describe("rtmp between workers", function()
  local world

  before_each(function() world = t.world { workers = 2 } end)
  after_each(function() world:close() end)

  local function publisher(worker, name) return rtmp.client(world, nil, { worker = worker }):say(rtmp.publish("live", name)) end
  local function viewer(worker, name) return rtmp.client(world, nil, { worker = worker }):say(rtmp.play("live", name)) end

  local ALL = { "data onMetaData", "video 0 header", "audio 0 header" }

  it("gives who waits all from the first key frame on", function()
    for _, at in ipairs { { 1, 1 }, { 1, 2 }, { 2, 1 }, { 2, 2 } } do
      local name = "w" .. at[1] .. at[2]
      local v = viewer(at[2], name)
      media(v)
      local p = publisher(at[1], name)
      for _, m in ipairs { rtmp.head(0), rtmp.key(0, "K"), rtmp.sound(10, "a"), rtmp.frame(40, "b") } do p:say(m) world:advance(0.01) end
      local list = media(v)
      print(name, table.concat(list, "; "))
      assert.same({ "video 0 K", "audio 10 a", "video 40 b" }, { unpack(list, #list - 2) }, name)
    end
  end)
end)
