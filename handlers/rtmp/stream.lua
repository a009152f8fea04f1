--- rtmp/stream: a published stream, in the worker of its publisher, and how one follows it, in any.
--
-- A stream is called "app/name". Its publication belongs to the connection or task that opened it, which holds the name
-- "rtmp/app/name" in the gateway, so that there is one at a time. Each message is chunked once, into a blob of a
-- channel, whatever the number of viewers. The channel's preamble has the metadata and the sequence headers, its marks
-- are key frames: who comes late begins with those, then the last key frame, and who is slow goes on at one.
--
-- The same messages in another form, on another message stream id or as FLV tags, are a channel of their own, a
-- *variant*, that is made from when somebody wants it, beginning with the frames since the last key frame.
--
-- Times are passed on as they are, but where a publisher follows another: its own are moved, so that what viewers get
-- never goes back.
local ld = require "linedancer"
local desk = require "handlers.rtmp.desk"
local media = require "handlers.rtmp.media"
local meter = require "handlers.rtmp.meter"
local outputs = require "handlers.rtmp.output"

local M = {}

local VIDEO, DATA = 9, 18
local MARGIN = 100   -- milliseconds between two publishers' times
local CLOSE = 5000   -- a publisher whose clock goes on as its predecessor's is this near
local YIELD = 1      -- seconds for the answer of a publisher that is taken over
local SETTLE = 0.05  -- seconds for what another worker says of a publisher that has just ended
local HEADERS_MAX = 32
local TRIES, PAUSE = 20, 0.05 -- to find the beginning of a stream in the log; seconds between them
local CLEAR_DATA_FRAME = "\2\0\15@clearDataFrame"

local publications = ld.keep "rtmp/publications" -- of this worker, by name

local Publication = {}
Publication.__index = Publication

--- The name that the publisher of stream NAME holds.
function M.key(name) return "rtmp/" .. name end

local function greet_all(self)
  for _, output in pairs(self.outputs) do output:greet(self.metadata, self.headers) end
end

local function emit_variants(self, kind, time, body, mark)
  for variant, output in pairs(self.outputs) do
    if variant ~= "" then output:emit(kind, time, body, mark) end
  end
end

-- Nearly always there is one output: a loop here would be a trace of its own, at which all others end.
local function emit(self, kind, time, body, mark)
  self.outputs[""]:emit(kind, time, body, mark)
  if self.varied then emit_variants(self, kind, time, body, mark) end
end

local function create(self, variant)
  local output = outputs.new(self.name, variant, self.opts)
  self.outputs[variant] = output
  if variant == "" then return end
  self.varied = true
  output:greet(self.metadata, self.headers)
  output:catch_up(self.outputs[""])
end

-- A stream that has just begun may not be in the log yet: its channel is still finding its home.
local function create_late(self, variant)
  for _ = 1, TRIES do
    ld.sleep(PAUSE)
    if self.over then return end
    if self.outputs[""].channel:recent()[1] then break end
  end
  self.late[variant] = nil
  create(self, variant)
end

--- Have VARIANT too, from the last mark on.
function Publication:want(variant)
  if self.outputs[variant] or self.late[variant] then return end
  if variant == "" or not self.marked or self.outputs[""].channel:recent()[1] then return create(self, variant) end
  self.late[variant] = true
  ld.spawn(create_late, self, variant)
end

--- Have VARIANT no more.
function Publication:drop(variant)
  self.outputs[variant].channel:close()
  self.outputs[variant] = nil
  self.varied = next(self.outputs, next(self.outputs)) ~= nil
end

-- A - B on the circle of 2^32 milliseconds.
local function distance(a, b)
  local d = (a - b) % 2 ^ 32
  return d < 2 ^ 31 and d or d - 2 ^ 32
end

-- The time of the first message tells how far all are to be moved.
local function choose_offset(self, time)
  local last = self.previous
  if not last then return 0 end
  local base = last.time + math.max(0, (ld.now() - last.at) * 1000) + MARGIN
  local ahead = distance(time, last.time)
  if ahead > 0 and ahead < CLOSE + base - last.time then return 0 end
  return math.floor(base) - time
end

local function moved(self, time)
  if not self.offset then self.offset = choose_offset(self, time) end
  time = (time + self.offset) % 2 ^ 32
  if not self.last or distance(time, self.last) > 0 then self.last = time end
  return time
end

local function same_header(a, b) return a.kind == b.kind and a.track == b.track end
local function video_first(a, b) return a.kind > b.kind end

-- A sequence header: what comes next needs it. One that is repeated changes nothing.
local function take_header(self, kind, time, body, codec, track)
  local header = { kind = kind, time = time, body = ld.blob(body), track = track }
  local place = #self.headers + 1
  for i, known in ipairs(self.headers) do
    if same_header(known, header) then place = i end
  end
  local known = self.headers[place]
  if known and known.body:eq(body) then return emit(self, kind, time, body, false) end
  if place > HEADERS_MAX then return end
  self.headers[place] = header
  table.sort(self.headers, video_first)
  self.meter:header(kind, codec, body)
  emit(self, kind, time, body, false)
  greet_all(self)
  if not known then return end
  for _, output in pairs(self.outputs) do output.channel:publish("", true) end -- nobody begins before it any more
end

-- Is a message of KIND and CLASS one of those at which a viewer can begin? Without video, any is.
local function is_mark(self, kind, class)
  if kind == VIDEO then return class == "key" end
  return not self.has_video
end

local function take_metadata(self, time, body)
  local n = #outputs.SET_DATA_FRAME
  if body:sub(1, #CLEAR_DATA_FRAME) == CLEAR_DATA_FRAME then
    self.metadata = nil
    return greet_all(self)
  end
  body = ld.buffer():put(body, body:sub(1, n) == outputs.SET_DATA_FRAME and n + 1 or 1):keep()
  if outputs.is_metadata(body) then
    self.metadata = { time = time, body = body }
    self.meter:metadata(body)
    greet_all(self)
  end
  emit(self, DATA, time, body, false)
end

--- A message came from the publisher: KIND 8, 9 or 18, TIME in milliseconds, BODY a buffer, which is not kept.
function Publication:message(kind, time, body)
  if self.over then return end
  time = moved(self, time)
  if kind == DATA then return take_metadata(self, time, body) end
  local class, codec, track = media.inspect(kind, body)
  self.meter:count(kind, time, #body, class)
  self.has_video = self.has_video or kind == VIDEO
  if class == "header" then return take_header(self, kind, time, body, codec, track) end
  self.meter:seen(kind, codec, body)
  local mark = is_mark(self, kind, class)
  self.marked = self.marked or mark
  emit(self, kind, time, body, mark)
end

-- Where the stream's time stands, for who comes after this publisher.
local function position(self)
  if not self.last then return self.previous end
  return { time = self.last, at = ld.now() }
end

-- The publisher is over. It says nothing more.
local function retire(self)
  self.over = true
  if publications[self.name] == self then publications[self.name] = nil end
  self.meter:stop()
end

-- Have viewers hear that it is over.
local function close_all(self)
  for _, output in pairs(self.outputs) do output.channel:close() end
end

--- The publisher has ended. Viewers are told; LOST: only when no other has come within opts.grace seconds.
function Publication:close(lost)
  if self.over then return end
  retire(self)
  desk.ended(self.name, position(self))
  ld.unregister(M.key(self.name))
  if not lost or self.opts.grace == 0 then return close_all(self) end
  ld.spawn(function()
    ld.sleep(self.opts.grace)
    if not M.is_live(self.name) then close_all(self) end
  end)
end

--- Another publisher takes over. Returns where the stream's time stands.
function Publication:yield()
  retire(self)
  return position(self)
end

-- The position at which the publisher that is there yields, or that is known from one that ended.
local function previous_of(name)
  local holder = ld.whereis(M.key(name))
  local known, why
  if holder then known, why = ld.call(holder, { rtmp = "yield", name = name }, YIELD) end
  if why then ld.sleep(SETTLE) end -- it is just ending
  return known or desk.position(name)
end

--- Publish stream NAME as the running connection or task, which gets messages { rtmp = "yield" } to answer by what
-- yield() returns, and { rtmp = "want", variant = }: see M.hear. OPTS: takeover, gop_bytes, gop_frames, merge, grace.
-- INFO, { peer =, app =, ... }, is for the numbers. Nil and "busy" when another one does so already. Waits.
function M.open(name, opts, info)
  local key = M.key(name)
  if ld.whereis(key) and (not opts.takeover or ld.whereis(key) == ld.self() and publications[name]) then
    return nil, "busy"
  end
  local previous = previous_of(name)
  local ok = ld.register(key, { take = opts.takeover })
  if not ok then return nil, "busy" end
  -- Another may have taken it since, and the word of that come before there was anybody to hear it.
  if ld.whereis(key) ~= ld.self() then return nil, "taken over" end
  local self = setmetatable({
    name = name, opts = opts, headers = {}, outputs = {}, varied = false, late = {}, has_video = false,
    previous = previous, meter = meter.new(name, info),
  }, Publication)
  publications[name] = self
  self:want ""
  for variant in pairs(desk.wanted(name)) do self:want(variant) end
  return self
end

--- MESSAGE from FROM is for the publisher of PUBLICATION: true if this has dealt with it, and "taken" when it is over.
function M.hear(publication, from, message)
  if message.rtmp == "yield" then
    ld.reply(from, publication:yield())
    return true, "taken"
  elseif message.rtmp == "want" then
    if not publication.over then publication:want(message.variant) end
    return true
  elseif message.taken then
    publication:yield()
    return true, "taken"
  end
  return false
end

--- The publication of stream NAME in this worker, or nil.
function M.find(name) return publications[name] end

--- Does stream NAME have a publisher, in any worker?
function M.is_live(name) return ld.whereis(M.key(name)) ~= nil end

--- Have CONN follow stream NAME. HOW: format = "rtmp" (default), "publish", as a publisher sends it, or "flv"; id =
-- message stream id (1); lag = bytes that it may be behind (OPTS.lag); add = true: besides what it follows. When its
-- publisher ends, CONN gets a message { closed = the channel's name }. OPTS: lag. Returns the channel.
function M.follow(conn, name, opts, how)
  local variant = outputs.variant(how)
  local channel = outputs.channel(name, variant)
  conn:follow(channel, { lag = how.lag or opts.lag, policy = "skip", add = how.add })
  if variant == "" then return channel end
  desk.want(name, variant, channel)
  local here = publications[name]
  if here then
    here:want(variant)
  else
    local holder = ld.whereis(M.key(name))
    if holder then ld.send(holder, { rtmp = "want", name = name, variant = variant }) end
  end
  return channel
end

return M
