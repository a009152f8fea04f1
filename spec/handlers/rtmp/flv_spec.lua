local flv = require "handlers.rtmp.flv"
local flv_tail = require "handlers.rtmp.flv_tail"
local ld = require "linedancer"
local t = require "linedancer.testing"
local tags_of = require("spec.support.flv").tags

local function tag(...) return tostring(flv.tag(...)) end

local BODY = ("b"):rep(300)
local FILE = flv.header() .. tag(18, 0, "\2\0\10onMetaData") .. tag(9, 0, "\23\0\0\0\0config") .. tag(8, 0xFFFFFF, "")
  .. tag(9, 0x1000002, BODY)
local TAGS = {
  { 18, 0, "\2\0\10onMetaData" }, { 9, 0, "\23\0\0\0\0config" }, { 8, 0xFFFFFF, "" }, { 9, 0x1000002, BODY },
}

describe("rtmp.flv", function()
  it("writes tags as they are in files", function()
    assert.equal("\9\0\0\3\0\0\40\0\0\0\0abc\0\0\0\14", tag(9, 40, "abc"))
    assert.equal("\8\0\0\1\2\3\4\1\0\0\0a\0\0\0\12", tag(8, 0x1020304, ld.buffer():put "a"))
    assert.equal("\8\0\0\0\255\255\255\255\0\0\0\0\0\0\11", tag(8, 2 ^ 32 - 1, ""))
    assert.same({ TAGS, "" }, { tags_of(FILE) })
  end)

  it("says in the header what there is", function()
    assert.equal("FLV\1\5\0\0\0\9\0\0\0\0", flv.header())
    assert.equal("FLV\1\1\0\0\0\9\0\0\0\0", flv.header(false, true))
    assert.equal("FLV\1\4\0\0\0\9\0\0\0\0", flv.header(true, false))
  end)

  it("leaves a tag in a buffer as it was when the buffer is used again", function()
    local out, all = ld.buffer(), ld.buffer()
    for i = 1, 3 do all:put(flv.tag(9, i, BODY .. i, out)) end
    assert.equal(tag(9, 1, BODY .. 1) .. tag(9, 2, BODY .. 2) .. tag(9, 3, BODY .. 3), tostring(all))
  end)

  describe("reader", function()
    local states = {}
    function states.begin(conn) return flv.read_header(conn) and "tag" or nil end
    function states.tag(conn)
      local kind, time, body = flv.read(conn)
      if kind then return "took", kind, time, tostring(body) end
    end
    function states.took() return "tag" end
    local handler = { initial = "begin", states = states }

    it("reads what was written, however it is cut", function()
      local run, path = t.play(handler, { FILE, t.eof })
      local got = {}
      for _, step in ipairs(path) do
        if step[1] == "took" then got[#got + 1] = { unpack(step, 2) } end
      end
      assert.same(TAGS, got)
      assert.equal("done", run.reason)
      t.every_split(handler, { FILE, t.eof }, { sent = "", reason = "done", path = path })
      t.every_truncation(handler, FILE)
    end)

    it("refuses what is none", function()
      assert.equal("this is no FLV", t.play(handler, { "HTTP/1.1 200 OK\r\n" }).reason)
      assert.equal("this is no FLV", t.play(handler, { "FLV\1\5\0\0\0\1\0\0\0\0" }).reason)
    end)
  end)
end)

describe("rtmp.flv_tail", function()
  local function find(text)
    return flv_tail.find_end(function(offset, size) return text:sub(offset + 1, offset + size) end, #text)
  end

  it("is the end of a whole file, and the latest time near it", function()
    assert.same({ #FILE, 0x1000002 }, { find(FILE) })
    local more = FILE .. tag(8, 0x1000001, "late")
    assert.same({ #more, 0x1000002 }, { find(more) })
    assert.same({ 13 }, { find(flv.header()) })
    assert.same({ 0 }, { find "" })
  end)

  it("is that of the last whole tag, wherever the file was torn", function()
    local ends, at = { [13] = true }, 13
    for _, one in ipairs(TAGS) do
      at = at + 15 + #one[3]
      ends[at] = true
    end
    local last
    for size = 13, #FILE do
      last = ends[size] and size or last
      assert.equal(last, (find(FILE:sub(1, size))))
    end
    for size = 0, 12 do assert.equal(0, (find(FILE:sub(1, size)))) end
  end)

  it("passes over zeros, rubbish and large pieces", function()
    assert.equal(#FILE, (find(FILE .. ("\0"):rep(100000))))
    assert.equal(#FILE, (find(FILE .. ("\0\0\0\20"):rep(50000))))
    assert.equal(#FILE, (find(FILE .. tag(9, 50, ("x"):rep(300000)):sub(1, -2))))
    assert.equal(13, (find(flv.header() .. ("x"):rep(70000))))
  end)

  it("is no place for bodies that look like tags", function()
    local fake = tag(9, 50, "look")
    assert.same({ #FILE, 0x1000002 }, { find(FILE .. tag(9, 60, fake .. "more"):sub(1, -6)) })
  end)

  it("refuses what is no FLV file", function()
    for _, text in ipairs { "G", "GET / HTTP/1.1\r\n\r\n", "FLV\2\5\0\0\0\9\0\0\0\0", ("\0"):rep(100) } do
      assert.same({ nil, "it is not an FLV file" }, { find(text) })
    end
  end)
end)
