-- What real programs said, as tests/e2e/support/capture.py recorded it: read alike however it is cut.
local amf0 = require "handlers.rtmp.amf0"
local chunk = require "handlers.rtmp.chunk"
local handler = require "handlers.rtmp"
local link = require "handlers.rtmp.link"
local media = require "handlers.rtmp.media"
local quietly = require "spec.support.quietly"
local rtmp = require "spec.support.rtmp"
local t = require "linedancer.testing"

local HANDSHAKE = 3073 -- bytes of each side, C0 to C2 or S0 to S2
local PART = 2000 -- bytes after it, of which every split is tried

local function load(name)
  local file = assert(io.open("spec/fixtures/rtmp/" .. name .. ".bin", "rb"))
  local bytes = file:read "*a"
  file:close()
  return bytes
end

-- What a message is: a command's name and transaction, a data message's name, a picture's class.
local function describe_message(kind, time, id, body)
  local what = #body .. " bytes"
  if kind == 20 then
    local values = assert(amf0.decode(body))
    what = ("%s %g"):format(values[1], values[2])
  elseif kind == 18 then
    local values = assert(amf0.decode(body))
    what = values[1] == "@setDataFrame" and values[1] .. " " .. values[2] or values[1]
  elseif kind >= 8 then
    local class, codec = media.inspect(kind, body)
    what = ("%s %s, %s"):format(codec, class, what)
  end
  return ("%d @%d #%d: %s"):format(kind, time, id, what)
end

-- A handler that reads messages and does nothing else: its path tells what they are.
local states = {}

function states.read(conn)
  local kind, time, id, body = chunk.read(conn)
  if not kind then return end
  link.handle(conn, kind, body)
  return "message", describe_message(kind, time, id, body)
end

function states.message() return "read" end

local reader = { initial = "read", states = states, timeouts = { 60 } }

local function messages_of(path)
  local list = {}
  for _, step in ipairs(path) do
    if step[1] == "message" then list[#list + 1] = step[2] end
  end
  return list
end

local function read_all(bytes)
  local run, path = t.play(reader, { bytes, t.eof }, { setup = link.init })
  assert.equal("done", run.reason)
  return messages_of(path)
end

-- Its begin: the lines up to the first of media, without the sizes of control messages.
local function begin_of(list)
  local names = {}
  for _, text in ipairs(list) do
    local kind, what = text:match "^(%d+) @%d+ #%d: (.*)$"
    if kind == "8" or kind == "9" then break end
    names[#names + 1] = tonumber(kind) < 8 and kind or what
  end
  return names
end

local BEGINS = {
  ["ffmpeg-publish"] = { "connect 1", "1", "releaseStream 2", "FCPublish 3", "createStream 4", "publish 5",
    "@setDataFrame onMetaData" },
  ["ffmpeg-publish-extended"] = { "connect 1", "1", "releaseStream 2", "FCPublish 3", "createStream 4", "publish 5",
    "@setDataFrame onMetaData" },
  ["ffmpeg-publish-alaw"] = { "connect 1", "1", "releaseStream 2", "FCPublish 3", "createStream 4", "publish 5",
    "@setDataFrame onMetaData" },
  ["ffmpeg-play"] = { "connect 1", "5", "createStream 2", "getStreamLength 3", "play 4", "4", "deleteStream 5" },
  ["rtmpdump-play"] = { "connect 1", "5", "4", "createStream 2", "FCSubscribe 3", "play 4", "4", "deleteStream 5" },
  ["gstreamer-publish"] = { "connect 1", "5", "releaseStream 0", "FCPublish 0", "createStream 2", "publish 0", "1",
    "@setDataFrame onMetaData" },
  ["gstreamer-play"] = { "connect 1", "5", "5", "4", "createStream 2", "play 0", "4" },
  ["nginx-push"] = { "1", "5", "connect 1", "createStream 2", "publish 0", "4", "onStatus 0", "onMetaData" },
  ["nginx-pull"] = { "1", "5", "connect 1", "createStream 2", "play 0", "4" },
  ["server-of-publisher"] = { "5", "6", "1", "_result 1", "_result 4", "onStatus 0", "onStatus 0" },
  ["server-of-player"] = { "5", "6", "1", "_result 1", "_result 2", "onStatus 0", "|RtmpSampleAccess", "4",
    "onStatus 0", "onMetaData" },
}

describe("rtmp captures", function()
  teardown(function() t.world():close() end) -- the tasks that plays have left end with it

  for name, begin in pairs(BEGINS) do
    local bytes = load(name):sub(HANDSHAKE + 1)

    it("of " .. name .. " are what they are", function()
      local list = read_all(bytes)
      assert.same(begin, begin_of(list))
    end)

    it("of " .. name .. " read alike at every split", function()
      local part = bytes:sub(1, PART)
      local run, path = t.play(reader, { part, t.eof }, { setup = link.init })
      t.every_split(reader, { part, t.eof }, { sent = run.sent, reason = run.reason, path = path },
        { setup = link.init })
    end)
  end

  it("cross 0xFFFFFF milliseconds", function()
    local list = read_all(load("ffmpeg-publish-extended"):sub(HANDSHAKE + 1))
    local last, crossed = 0, false
    for _, text in ipairs(list) do
      local kind, time = text:match "^(%d+) @(%d+)"
      if kind == "9" then
        time = tonumber(time)
        assert.is_true(time >= last)
        crossed = crossed or last > 0 and last < 0xFFFFFF and time > 0xFFFFFF
        last = time
      end
    end
    assert.is_true(crossed)
  end)

  local function heard(name)
    local run = quietly(handler, { load(name), t.eof })
    assert.equal("done", run.reason)
    return table.concat(rtmp.show(run.sent), "\n")
  end

  for _, name in ipairs { "ffmpeg-publish", "ffmpeg-publish-extended", "ffmpeg-publish-alaw", "gstreamer-publish",
    "nginx-push" } do
    it("of " .. name .. " get what a publisher waits for", function()
      assert.truthy(heard(name):find("NetStream.Publish.Start", 1, true))
    end)
  end

  for _, name in ipairs { "ffmpeg-play", "rtmpdump-play", "gstreamer-play", "nginx-pull" } do
    it("of " .. name .. " get what a player waits for", function()
      local text = heard(name)
      assert.truthy(text:find("NetStream.Play.Reset.*NetStream.Play.Start"))
    end)
  end
end)
