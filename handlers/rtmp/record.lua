--- rtmp/record: writes a stream to FLV files, in which no tag is ever torn.
--
-- Whole tags are gathered, and each batch is appended at once (linedancer.appender). Files are rotated at key frames;
-- each begins with the metadata and the sequence headers, at time 0.
--
-- Writing to a file blocks the worker for as long as the kernel takes: batches are small.
local appender = require "linedancer.appender"
local ld = require "linedancer"
local flv = require "handlers.rtmp.flv"
local media = require "handlers.rtmp.media"

local M = {}

local VIDEO, DATA = 9, 18
local BATCH, PATIENCE = 2 ^ 16, 1 -- bytes gathered, and seconds from one write to the next, at most
local TRIES = 1000 -- names that are tried

local Recorder = {}
Recorder.__index = Recorder

-- TEXT as a part of a file's name that cannot leave its directory.
local function safe(text) return (text:gsub("[^%w%-_%.]", "_"):gsub("^%.", "_")) end

-- The path for PATTERN: %N is the stream's name, and what os.date knows, the time.
local function path_of(pattern, name)
  local stream = safe(name):gsub("%%", "%%%%")
  return os.date((pattern:gsub("%%N", (stream:gsub("%%", "%%%%")))))
end

-- A new file for PATH, with ".2", ".3" ... before its ending when there is one already; or nil and a message.
local function create(path)
  for i = 1, TRIES do
    local file, message, exists = appender.create(i == 1 and path or path:gsub("(%.?[^%./]*)$", "." .. i .. "%1", 1))
    if not exists then return file, message end
  end
  return nil, "all names are taken"
end

local function fail(self, what, reason)
  self.failed = true
  ld.log.error("recording " .. what, { stream = self.name, file = self.path, error = reason })
end

-- Write what has been gathered.
local function flush(self)
  self.flushed = ld.now()
  if #self.batch == 0 or not self.file then return end
  local ok, message = self.file:append(self.batch)
  self.batch:clear()
  if ok then return end
  fail(self, "stopped", message)
  self.file = nil
end

local function add(self, kind, time, body)
  self.batch:put(flv.tag(kind, time, body, self.tag))
end

local function end_file(self)
  flush(self)
  if self.file then self.file:close() end
  self.file = nil
end

-- Begin a file, whose time 0 is TIME.
local function begin_file(self, time)
  local path = path_of(self.pattern, self.name)
  local file, message = create(path)
  if not file then
    self.path = path
    return fail(self, "failed", message)
  end
  self.file, self.path = file, file.path
  self.base, self.began = time, ld.now()
  self.batch:put(flv.header())
  if self.metadata then add(self, DATA, 0, self.metadata) end
  for _, header in ipairs(self.headers) do add(self, header.kind, 0, header.body) end
  ld.log.info("recording", { stream = self.name, file = self.path })
end

local function keep_header(self, kind, track, body)
  local place = #self.headers + 1
  for i, known in ipairs(self.headers) do
    if known.kind == kind and known.track == track then place = i end
  end
  self.headers[place] = { kind = kind, track = track, body = ld.blob(body) }
end

local function is_due(self)
  return self.rotate > 0 and ld.now() - self.began >= self.rotate
end

-- KIND and CLASS say that a file may begin with this message.
local function may_begin(self, kind, class)
  if kind == VIDEO then self.has_video = true end
  return kind == VIDEO and class == "key" or kind ~= VIDEO and not self.has_video
end

local function take_data(self, time, body)
  local text = tostring(body)
  if text:sub(1, 16) == "\2\0\13@setDataFrame" then text = text:sub(17) end
  if text:sub(1, 13) == "\2\0\10onMetaData" then self.metadata = text end
  if self.file then add(self, DATA, (time - self.base) % 2 ^ 32, text) end
end

--- A message of KIND 8, 9 or 18 at TIME, with BODY, a buffer.
function Recorder:message(kind, time, body)
  if self.failed then return end
  if kind == DATA then return take_data(self, time, body) end
  local class, _, track = media.inspect(kind, body)
  if class == "header" then
    keep_header(self, kind, track, body)
  elseif may_begin(self, kind, class) and (not self.file or is_due(self)) then
    end_file(self)
    begin_file(self, time)
  end
  if not self.file then return end
  -- What was sent a little late, before the file's first frame, is put at its beginning.
  local at = (time - self.base) % 2 ^ 32
  add(self, kind, at < 2 ^ 31 and at or 0, body)
  if #self.batch >= BATCH or ld.now() - self.flushed >= PATIENCE then flush(self) end
end

--- All is in the file.
function Recorder:close()
  if not self.failed then end_file(self) end
  self.failed = true
end

--- A recorder of the stream called NAME. OPTS: path = pattern of the files' names, in which %N is the stream's name and
-- the rest as of os.date, "/var/rec/%N-%Y%m%d-%H%M%S.flv"; the directory must exist. rotate = seconds after which, at a
-- key frame, a new file begins (0: never). A name that is taken gets a number. What fails is logged, once.
function M.new(name, opts)
  return setmetatable({
    name = name, pattern = opts.path, rotate = opts.rotate or 0, headers = {}, batch = ld.buffer(),
    tag = ld.buffer(), flushed = ld.now(),
  }, Recorder)
end

return M
