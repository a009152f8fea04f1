local flv = require "handlers.rtmp.flv"
local ld = require "linedancer"
local logged = require "spec.support.logged"
local record = require "handlers.rtmp.record"
local rtmp = require "spec.support.rtmp"
local scratch = require "spec.support.scratch"
local t = require "linedancer.testing"

local METADATA = "\2\0\13@setDataFrame\2\0\10onMetaData\8\0\0\0\0\0\0\9"

-- The tags in FILE as { kind, time, body }.
local function tags_in(path)
  local file = assert(io.open(path, "rb"), path)
  local text = file:read "*a"
  file:close()
  local tags = {}
  t.play({ initial = "header", timeouts = { 60 }, states = {
    header = function(conn) return flv.read_header(conn) and "tag" or nil end,
    tag = function(conn)
      local kind, time, body = flv.read(conn)
      if not kind then return end
      tags[#tags + 1] = { kind, time, tostring(body) }
      return "tag"
    end,
  } }, { text, t.eof })
  return tags, text
end

describe("a recorder", function()
  local files

  before_each(function() files = scratch.new {} end)
  after_each(function() files.remove() end)

  local function new(opts)
    opts = opts or {}
    opts.path = opts.path or files.dir .. "/%N.flv"
    return record.new("live/x", opts)
  end

  local function feed(recorder, ...)
    for _, m in ipairs { ... } do recorder:message(m[1], m[2], ld.blob(m[3])) end
    return recorder
  end

  local HEADERS = { { 18, 1000, METADATA }, { 9, 1000, rtmp.VIDEO_HEADER }, { 8, 1000, rtmp.AUDIO_HEADER } }
  local KEY, FRAME, SOUND = "\23\1\0\0\0K", "\39\1\0\0\0f", "\175\1s"

  it("writes what comes from the first key frame on, from time 0", function()
    local recorder = feed(new(), unpack(HEADERS))
    feed(recorder, { 9, 1040, FRAME }, { 8, 1050, SOUND }, { 9, 2000, KEY }, { 8, 1990, SOUND }, { 9, 2040, FRAME },
      { 18, 2050, METADATA })
    recorder:close()
    assert.same({
      { 18, 0, METADATA:sub(17) }, { 9, 0, rtmp.VIDEO_HEADER }, { 8, 0, rtmp.AUDIO_HEADER }, { 9, 0, KEY },
      { 8, 0, SOUND }, { 9, 40, FRAME }, { 18, 50, METADATA:sub(17) },
    }, (tags_in(files.dir .. "/live_x.flv")))
  end)

  it("begins a new file at a key frame when it is time, with headers of its own", function()
    local world = t.world {}
    local path = files.dir .. "/%N.flv"
    world:connect { states = { go = function()
      local recorder = feed(new { path = path, rotate = 10 }, unpack(HEADERS))
      feed(recorder, { 9, 0, KEY }, { 9, 40, FRAME })
      ld.sleep(9)
      feed(recorder, { 9, 9000, KEY })
      ld.sleep(2)
      feed(recorder, { 9, 11000, FRAME }, { 9, 11040, KEY }, { 9, 11080, FRAME })
      recorder:close()
    end } }
    world:advance(20)
    world:close()
    local function times(tags)
      local list = {}
      for i, tag in ipairs(tags) do list[i] = tag[2] end
      return list
    end
    assert.same({ 0, 0, 0, 0, 40, 9000, 11000 }, times((tags_in(files.dir .. "/live_x.flv"))))
    assert.same({ 0, 0, 0, 0, 40 }, times((tags_in(files.dir .. "/live_x.2.flv"))))
  end)

  it("lets no name leave its directory", function()
    for name, file in pairs {
      ["../../etc/x"] = "_._.._etc_x.flv", ["live/a b"] = "live_a_b.flv", ["a/%d"] = "a__d.flv", [".x"] = "_x.flv",
    } do
      feed(record.new(name, { path = files.dir .. "/%N.flv" }), { 9, 0, KEY }):close()
      assert.equal(1, #tags_in(files.dir .. "/" .. file), file)
    end
  end)

  it("knows the time in its pattern", function()
    feed(new { path = files.dir .. "/%Y-%N.flv" }, { 9, 0, KEY }):close()
    assert.equal(1, #tags_in(files.dir .. os.date "/%Y-live_x.flv"))
  end)

  it("says once that it cannot write", function()
    local lines = logged(function()
      feed(new { path = files.dir .. "/none/%N.flv" }, { 9, 0, KEY }, { 9, 40, KEY }, { 9, 80, KEY }):close()
    end)
    assert.equal(1, #lines)
    assert.equal("recording failed", lines[1].text)
    assert.equal("No such file or directory", lines[1].fields.error)
  end)

  it("is what a publisher of type record or append gets, and others if that is wanted", function()
    for _, case in ipairs { { "record", false, true }, { "append", false, true }, { "live", false, false },
      { "live", true, true } } do
      local world, path = t.world {}, files.dir .. "/" .. case[1] .. tostring(case[2]) .. ".flv"
      local p = rtmp.client(world, nil, { options = { record = path, record_live = case[2] } })
      p:say(rtmp.publish("live", "x", case[1]) .. rtmp.head(0) .. rtmp.key(0, "K"))
      p.peer:finish()
      world:close()
      local file = io.open(path, "rb")
      assert.equal(case[3], file ~= nil)
      if file then
        file:close()
        assert.same({ 9, 0, "\23\1\0\0\0K" }, (tags_in(path))[4])
      end
    end
  end)
end)
