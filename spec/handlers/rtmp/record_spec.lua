-- Recorders of rtmp/record: what is in their files.
local api = require "linedancer.api"
local flv = require "spec.support.flv"
local ld = require "linedancer"
local logged = require "spec.support.logged"
local record = require "handlers.rtmp.record"
local rtmp = require "spec.support.rtmp"
local scratch = require "spec.support.scratch"
local t = require "linedancer.testing"

local AUDIO, VIDEO, DATA = 8, 9, 18
local METADATA = "\2\0\10onMetaData\8\0\0\0\0\0\0\9"
local VIDEO_HEADER, AUDIO_HEADER = "\23\0\0\0\0config", "\175\0\18\16"
local HEAD = { { DATA, 0, METADATA }, { VIDEO, 0, VIDEO_HEADER }, { AUDIO, 0, AUDIO_HEADER } }

local function key(text) return "\23\1\0\0\0" .. text end
local function frame(text) return "\39\1\0\0\0" .. text end
local function sound(text) return "\175\1" .. text end

-- HEAD at TIME, then MORE.
local function after_head(time, more)
  local list = {}
  for i, one in ipairs(HEAD) do list[i] = { one[1], time, one[3] } end
  for _, one in ipairs(more) do list[#list + 1] = one end
  return list
end

describe("a recording", function()
  local dir, recorder, lines

  before_each(function()
    dir, lines = scratch.new(), {}
  end)
  after_each(function()
    recorder:close()
    dir.remove()
  end)

  local function quietly(fn, ...)
    for _, line in ipairs(logged(fn, ...)) do lines[#lines + 1] = line end
  end

  local function begin(name, opts)
    opts = opts or {}
    opts.path = dir.dir .. "/" .. (opts.path or "%N.flv")
    recorder = record.new(name or "live/x", opts)
  end

  local function say(kind, time, body)
    quietly(recorder.message, recorder, kind, time, ld.blob(body))
  end

  local function say_head(time)
    say(DATA, time, "\2\0\13@setDataFrame" .. METADATA)
    say(VIDEO, time, VIDEO_HEADER)
    say(AUDIO, time, AUDIO_HEADER)
  end

  local function close() quietly(recorder.close, recorder) end

  local function names()
    local list, pipe = {}, io.popen("LC_ALL=C ls -A '" .. dir.dir .. "'")
    for name in pipe:lines() do list[#list + 1] = name end
    pipe:close()
    return list
  end

  -- The tags of the file called NAME, which has nothing else.
  local function tags(name)
    local list, rest = flv.file(dir.dir .. "/" .. (name or "live+x.flv"))
    assert.equal("", rest)
    return list
  end

  local function errors()
    local list = {}
    for _, line in ipairs(lines) do
      if line.level == "error" then list[#list + 1] = line.text .. ": " .. line.fields.error end
    end
    return list
  end

  it("begins with metadata and headers, at time 0, with a key frame", function()
    begin()
    say_head(70000)
    say(AUDIO, 70010, sound "early")
    say(VIDEO, 70020, frame "early")
    assert.same({}, names())
    say(VIDEO, 70040, key "K")
    say(AUDIO, 70030, sound "late")
    say(VIDEO, 70080, frame "b")
    say(DATA, 70090, "\2\0\9onCuePoint")
    close()
    assert.same(after_head(0, {
      { VIDEO, 0, key "K" }, { AUDIO, 0, sound "late" }, { VIDEO, 40, frame "b" }, { DATA, 50, "\2\0\9onCuePoint" },
    }), tags())
  end)

  it("begins with any message of a stream without video", function()
    begin()
    say(AUDIO, 5, AUDIO_HEADER)
    say(AUDIO, 10, sound "a")
    say(AUDIO, 33, "")
    close()
    assert.same({ { AUDIO, 0, AUDIO_HEADER }, { AUDIO, 0, sound "a" }, { AUDIO, 23, "" } }, tags())
  end)

  it("keeps headers that change, each before its frames, and goes on with them in the next file", function()
    begin("live/x", { size = 1 })
    say_head(0)
    say(VIDEO, 0, key "K")
    say(VIDEO, 40, "\23\0\0\0\0other")
    say(VIDEO, 80, frame "b")
    say(VIDEO, 2000, key "L")
    close()
    assert.same(after_head(0, { { VIDEO, 0, key "K" }, { VIDEO, 40, "\23\0\0\0\0other" }, { VIDEO, 80, frame "b" } }),
      tags())
    assert.same({ { DATA, 0, METADATA }, { VIDEO, 0, "\23\0\0\0\0other" }, { AUDIO, 0, AUDIO_HEADER },
      { VIDEO, 0, key "L" } }, tags "live+x.2.flv")
  end)

  it("keeps a header for each track", function()
    begin()
    local all = {
      { VIDEO, 0, "\144hvc1config" }, { VIDEO, 0, "\150\0hvc1\1other" }, { AUDIO, 0, "\149\0Opus\1OpusHead" },
      { VIDEO, 0, "\145hvc1\0\0\0K" },
    }
    for _, one in ipairs(all) do say(unpack(one)) end
    close()
    assert.same(all, tags())
  end)

  it("is rotated at the first key frame after so many seconds", function()
    begin("live/x", { rotate = 60 })
    say_head(0)
    say(VIDEO, 1000, key "K")
    api.core.advance(59)
    say(VIDEO, 60000, key "L")
    api.core.advance(2)
    say(VIDEO, 62000, frame "c")
    say(AUDIO, 62010, sound "d")
    say(VIDEO, 63000, key "M")
    say(AUDIO, 63020, sound "e")
    close()
    assert.same(after_head(0, { { VIDEO, 0, key "K" }, { VIDEO, 59000, key "L" }, { VIDEO, 61000, frame "c" },
      { AUDIO, 61010, sound "d" } }), tags())
    assert.same(after_head(0, { { VIDEO, 0, key "M" }, { AUDIO, 20, sound "e" } }), tags "live+x.2.flv")
  end)

  it("appends to a file, in which times go on, and cuts off what was torn", function()
    begin("live/x", { append = true })
    say_head(500)
    say(VIDEO, 500, key "K")
    say(VIDEO, 1500, frame "b")
    close()
    local file = io.open(dir.dir .. "/live+x.flv", "ab")
    file:write "\9\0\0\200\0\0\0\0\0\0\0torn"
    file:close()
    begin("live/x", { append = true })
    say_head(9000)
    say(VIDEO, 9000, key "L")
    say(VIDEO, 9040, frame "d")
    close()
    local expected = after_head(0, { { VIDEO, 0, key "K" }, { VIDEO, 1000, frame "b" } })
    for _, one in ipairs(after_head(1040, { { VIDEO, 1040, key "L" }, { VIDEO, 1080, frame "d" } })) do
      expected[#expected + 1] = one
    end
    assert.same(expected, tags())
    assert.same({ "live+x.flv" }, names())
  end)

  it("leaves alone what is no FLV, and what somebody else appends to", function()
    begin("live/x", { append = true })
    say(VIDEO, 0, key "K")
    local first = recorder
    begin("live/x", { append = true })
    say(VIDEO, 0, key "L")
    close()
    first:close()
    assert.equal(key "K", tags()[1][3])
    assert.equal(key "L", tags("live+x.2.flv")[1][3])
    dir.write("live+y.flv", "precious")
    begin("live/y", { append = true })
    say(VIDEO, 0, key "M")
    assert.same({ "recording failed: it is not an FLV file" }, errors())
    assert.equal("precious", io.open(dir.dir .. "/live+y.flv"):read "*a")
  end)

  it("gives a number to a name that is taken", function()
    dir.write("live+x.flv", "precious")
    for i = 2, 3 do
      begin()
      say(VIDEO, 0, key "K")
      close()
      assert.equal(1, #tags("live+x." .. i .. ".flv"))
    end
    assert.equal("precious", io.open(dir.dir .. "/live+x.flv"):read "*a")
  end)

  it("goes on when the publisher's clock begins anew, or wraps", function()
    begin()
    say(VIDEO, 2 ^ 32 - 20, key "K")
    say(VIDEO, 20, frame "b")
    say(VIDEO, 100000, frame "c")
    say(VIDEO, 40, key "L")
    say(VIDEO, 80, frame "d")
    close()
    assert.same({ { VIDEO, 0, key "K" }, { VIDEO, 40, frame "b" }, { VIDEO, 100020, frame "c" },
      { VIDEO, 100060, key "L" }, { VIDEO, 100100, frame "d" } }, tags())
  end)

  it("writes batches, and what has waited for a second", function()
    begin("live/x", { batch = 1000 })
    say(VIDEO, 0, key "K")
    assert.equal(0, #io.open(dir.dir .. "/live+x.flv"):read "*a")
    say(VIDEO, 40, frame(("b"):rep(1000)))
    assert.equal(2, #tags())
    say(VIDEO, 80, frame "c")
    recorder:look(ld.now())
    assert.equal(2, #tags())
    api.core.advance(1.5)
    recorder:look(ld.now())
    assert.equal(3, #tags())
    api.core.advance(1.5)
    say(VIDEO, 120, frame "d")
    assert.equal(4, #tags())
  end)

  it("cannot leave its directory, whatever the stream is called", function()
    for name, file in pairs {
      ["live/../../etc/passwd"] = "live+..+..+etc+passwd.flv", ["../x"] = "=2E.+x.flv", ["/etc/x"] = "+etc+x.flv",
      ["live/%Y%N%%x"] = "live+=25Y=25N=25=25x.flv", ["live/a b\0c\n"] = "live+a=20b=00c=0A.flv",
      ["a+b=c~"] = "a=2Bb=3Dc=7E.flv", [".."] = "=2E..flv",
      ["live/\195\164'\"$(id)"] = "live+=C3=A4=27=22=24=28id=29.flv",
    } do
      begin(name)
      say(AUDIO, 0, sound "a")
      close()
      assert.same({ file }, names())
      os.remove(dir.dir .. "/" .. file)
    end
  end)

  it("has a name of its own for each stream, even where names are very long", function()
    local long = "live/" .. ("\255"):rep(195)
    for _, name in ipairs { "a/b", "a_b", "a+b", long .. "1", long .. "2" } do
      begin(name)
      say(AUDIO, 0, sound "a")
      close()
    end
    local list = names()
    assert.equal(5, #list)
    for _, name in ipairs(list) do assert.is_true(#name <= 154 and not name:find "%.2%.flv$", name) end
  end)

  it("puts the time into the names of files", function()
    begin("live/x", { path = "%N-%Y%%N.flv" })
    say(AUDIO, 0, sound "a")
    close()
    assert.same({ "live+x-" .. os.date "%Y" .. "%N.flv" }, names())
  end)

  it("says once that it cannot, and is over", function()
    begin("live/x", { path = "none/%N.flv" })
    for i = 1, 3 do say(AUDIO, i, sound "a") end
    close()
    assert.same({ "recording failed: No such file or directory" }, errors())
  end)
end)

describe("a publisher", function()
  local dir, world

  before_each(function()
    dir, world = scratch.new(), t.world {}
  end)
  after_each(function()
    world:close()
    dir.remove()
  end)

  -- Publish as KIND, and look at the tags in the file when it is over.
  local function publish(kind, more)
    local options = { record = dir.dir .. "/%N.flv" }
    for option, value in pairs(more or {}) do options[option] = value end
    local seen
    logged(function()
      local p = rtmp.client(world, "handlers.rtmp", { options = options })
      p:say(rtmp.publish("live", "x", kind) .. rtmp.head(0) .. rtmp.key(500, "K"))
      world:advance(3)
      local file = io.open(dir.dir .. "/live+x.flv")
      seen = file and #flv.tags(file:read "*a")
      p.peer:finish()
      world:run()
    end)
    return seen
  end

  it("is recorded if it asks for that, within a second or two, and appended to what is there", function()
    assert.equal(4, publish "record")
    assert.equal(8, publish "append")
    local tags = flv.file(dir.dir .. "/live+x.flv")
    assert.same({ 0, 0, 0, 0, 40, 40, 40, 40 }, {
      tags[1][2], tags[2][2], tags[3][2], tags[4][2], tags[5][2], tags[6][2], tags[7][2], tags[8][2],
    })
  end)

  it("that is live is recorded only where that is wanted", function()
    assert.is_nil(publish "live")
    assert.equal(4, publish("live", { record_live = true }))
  end)
end)

describe("a recording in a process of its own", function()
  local dir

  before_each(function() dir = scratch.new() end)
  after_each(function() dir.remove() end)

  local BEGIN = [[
    package.path, package.cpath = %q, %q
    io.stdout:setvbuf "no"
    local ld, record, flv = require "linedancer", require "handlers.rtmp.record", require "spec.support.flv"
    ld.log.info = function() end
    ld.log.error = function(text, fields) print(text .. ": " .. fields.error) end
  ]]

  -- Run TEXT in a shell that has first done BEFORE; the pipe to read its output from, of which the first line was its
  -- process id.
  local function run(text, before)
    local script = dir.write("run.lua", BEGIN:format(package.path, package.cpath) .. text)
    local pipe = io.popen(("exec sh -c '%s echo $$; exec luajit %s %s 2>&1'"):format(before or "", script, dir.dir))
    return pipe, pipe:read "*l"
  end

  it("is whole up to its last batch when the disk is full, which is said once", function()
    local pipe = run([[
      local r = record.new("x", { path = arg[1] .. "/%N.flv", batch = 1500 })
      for i = 0, 100 do r:message(8, i, ld.blob("\175\1" .. ("x"):rep(1000))) end
      r:close()
    ]], "trap \"\" XFSZ; ulimit -f 8;")
    assert.equal("recording stopped: the disk is full\n", pipe:read "*a")
    pipe:close()
    local tags, rest = flv.file(dir.dir .. "/x.flv")
    assert.equal("", rest)
    assert.is_true(#tags >= 2 and #tags % 2 == 0, #tags)
    for i, tag in ipairs(tags) do assert.equal(i - 1, tag[2]) end
  end)

  it("leaves no file behind when there is no room at all", function()
    local pipe = run([[
      local r = record.new("x", { path = arg[1] .. "/%N.flv" })
      r:message(8, 0, ld.blob "\175\1x")
      r:close()
    ]], "trap \"\" XFSZ; ulimit -f 0;")
    assert.equal("recording stopped: File too large\n", pipe:read "*a")
    pipe:close()
    assert.is_nil(io.open(dir.dir .. "/x.flv"))
  end)

  it("goes on with whole tags, and plays, after the process was killed", function()
    local clip = dir.dir .. "/clip.flv"
    if os.execute("command -v ffmpeg >/dev/null && ffmpeg -v error -f lavfi -i testsrc2=s=160x90:r=25 -f lavfi -i sine "
      .. "-t 2 -c:v libx264 -preset ultrafast -g 25 -c:a aac -f flv " .. clip) ~= 0 then
      return pending "no ffmpeg here"
    end
    local pipe, pid = run [[
      local tags = flv.file(arg[1] .. "/clip.flv")
      local r = record.new("x", { path = arg[1] .. "/%N.flv", batch = 4000 })
      for round = 0, 1e6 do
        for _, tag in ipairs(tags) do r:message(tag[1], round * 2000 + tag[2], ld.blob(tag[3])) end
        if round == 20 then print "recording" end
      end
    ]]
    assert.equal("recording", pipe:read "*l")
    assert.equal(0, os.execute("kill -9 " .. pid))
    pipe:close()
    -- The kernel may have been in the midst of the last write. Who goes on with the file cuts it off there.
    local before, rest = flv.file(dir.dir .. "/x.flv")
    assert.is_true(#before > 20 * 25)
    local whole = io.open(dir.dir .. "/x.flv"):read("*a"):sub(1, -#rest - 1)
    logged(function()
      local again = record.new("x", { path = dir.dir .. "/%N.flv", append = true })
      again:message(VIDEO, 0, ld.blob(before[2][3]))
      again:message(VIDEO, 0, ld.blob(before[4][3]))
      again:close()
    end)
    assert.equal(whole, io.open(dir.dir .. "/x.flv"):read("*a"):sub(1, #whole))
    local tags
    tags, rest = flv.file(dir.dir .. "/x.flv")
    assert.equal("", rest)
    local probe = io.popen("ffprobe -v error -count_packets -show_entries stream=codec_name,nb_read_packets "
      .. "-of csv=p=0 " .. dir.dir .. "/x.flv 2>&1")
    local sum, streams = 0, {}
    for line in probe:lines() do
      local codec, count = line:match "^(%w+),(%d+)$"
      assert.is_truthy(codec, line)
      streams[codec], sum = true, sum + count
    end
    probe:close()
    assert.same({ h264 = true, aac = true }, streams)
    local media = 0
    for _, tag in ipairs(tags) do
      if tag[1] ~= DATA and tag[3]:byte(2) == 1 then media = media + 1 end
    end
    assert.equal(media, sum)
  end)
end)
