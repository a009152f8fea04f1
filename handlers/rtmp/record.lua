--- rtmp/record: writes a stream to FLV files.
--
-- Whole tags are gathered, and each batch is appended at once (linedancer.appender), so that a full disk leaves whole
-- tags, and so does a process that is killed, but for the 30 us in which it writes; who appends cuts off what it finds
-- torn. Files are rotated at key frames; each begins with the metadata and the sequence headers, at time 0.
--
-- Writing to a file blocks the worker for as long as the kernel takes: batches are small.
local appender = require "linedancer.appender"
local ld = require "linedancer"
local flv = require "handlers.rtmp.flv"
local flv_tail = require "handlers.rtmp.flv_tail"
local media = require "handlers.rtmp.media"

local M = {}

local VIDEO, DATA = 9, 18
local SET_DATA_FRAME, ON_METADATA = "\2\0\13@setDataFrame", "\2\0\10onMetaData"
local BATCH, PATIENCE = 2 ^ 16, 1 -- bytes gathered, and seconds from one write to the next, at most
local GAP = 40      -- milliseconds between what was in a file and what is appended
local BACK = 5000   -- a clock that goes back further has begun anew
local NAME_MAX = 150 -- bytes of a stream's name in that of a file
local TRIES = 1000   -- names that are tried
local HEADERS_MAX = 64

local Recorder = {}
Recorder.__index = Recorder

local function escape(c) return ("=%02X"):format(c:byte()) end

-- NAME as a part of a file's name that cannot leave its directory; no two are the same.
local function safe(name)
  local text = name:gsub("[^%w%-_%./]", escape):gsub("^%.", escape):gsub("/", "+")
  if #text <= NAME_MAX then return text end
  return text:sub(1, NAME_MAX - 17) .. "~" .. ld.crypto.hex(ld.crypto.digest("sha256", name):sub(1, 8))
end

-- The path for PATTERN: %N is the stream's name, and what os.date knows, the time.
local function path_of(pattern, name)
  local stream = safe(name)
  return os.date((pattern:gsub("%%(.)", function(c) return c == "N" and stream or nil end)))
end

-- A - B on the circle of 2^32 milliseconds.
local function distance(a, b)
  local d = (a - b) % 2 ^ 32
  return d < 2 ^ 31 and d or d - 2 ^ 32
end

local function fail(self, what, reason)
  self.over = true
  ld.log.error("recording " .. what, { stream = self.name, file = self.path, error = reason })
end

--- Write what has been gathered, or nothing of it.
function Recorder:flush()
  self.flushed = ld.now()
  if #self.batch == 0 or not self.file then return end
  local ok, reason = self.file:append(self.batch)
  self.batch:clear()
  if ok then return end
  if self.file.size == 0 then os.remove(self.file.path) end
  self.file = nil
  fail(self, "stopped", reason)
end

--- The time is NOW: write what has waited long enough.
function Recorder:look(now)
  if now - self.flushed >= self.patience then self:flush() end
end

local function add(self, kind, at, body)
  self.batch:put(flv.tag(kind, at, body, self.tag))
end

-- Where in the file a message of TIME is: not before what begins it, and further on than that if the clock begins anew.
local function place(self, time)
  local d = distance(time, self.origin)
  if d < self.reached - BACK then
    self.origin, self.start, self.reached, d = time, self.start + self.reached + GAP, 0, 0
  end
  self.reached = math.max(self.reached, d)
  return (self.start + math.max(d, 0)) % 2 ^ 32
end

local function end_file(self)
  self:flush()
  if self.file then self.file:close() end
  self.file = nil
end

-- A file for PATH, with ".2", ".3" ... before its ending when somebody else has it, or when there is one already and
-- nothing is to be appended, and the time of its last tag; or nil and a message.
local function open_free(path, append)
  for i = 1, TRIES do
    local candidate = i == 1 and path or path:gsub("(%.?[^%./]*)$", "." .. i .. "%1", 1)
    local file, value, is_taken
    if append then
      file, value, is_taken = appender.extend(candidate, flv_tail.find_end)
    else
      file, value, is_taken = appender.create(candidate)
    end
    if file or not is_taken then return file, value end
  end
  return nil, "all names are taken"
end

-- The file for now; nil after a failure. Also where its times begin.
local function open_file(self)
  self.path = path_of(self.pattern, self.name)
  local file, time = open_free(self.path, self.append)
  if not file then return fail(self, "failed", time) end
  self.path = file.path
  return file, time and time + GAP or 0
end

-- Begin a file with what has TIME.
local function begin_file(self, time)
  local file, start = open_file(self)
  if not file then return end
  self.file, self.origin, self.start, self.reached, self.began = file, time, start, 0, ld.now()
  if file.size == 0 then self.batch:put(flv.header()) end
  if self.metadata then add(self, DATA, start, self.metadata) end
  for _, header in ipairs(self.headers) do add(self, header.kind, start, header.body) end
  ld.log.info("recording", { stream = self.name, file = file.path })
end

local function keep_header(self, kind, track, body)
  local at = #self.headers + 1
  for i, known in ipairs(self.headers) do
    if known.kind == kind and known.track == track then at = i end
  end
  if at <= HEADERS_MAX then self.headers[at] = { kind = kind, track = track, body = ld.blob(body) } end
end

local function is_due(self)
  return self.rotate > 0 and ld.now() - self.began >= self.rotate
    or self.most > 0 and self.file.size + #self.batch >= self.most
end

-- KIND and CLASS say that a file may begin with this message.
local function may_begin(self, kind, class)
  return kind == VIDEO and class == "key" or kind ~= VIDEO and not self.has_video
end

local function take_data(self, time, body)
  local text = tostring(body)
  if text:sub(1, #SET_DATA_FRAME) == SET_DATA_FRAME then text = text:sub(#SET_DATA_FRAME + 1) end
  if text:sub(1, #ON_METADATA) == ON_METADATA then self.metadata = text end
  if self.file then add(self, DATA, place(self, time), text) end
end

local function take_media(self, kind, time, body)
  local class, _, track = media.inspect(kind, body)
  if kind == VIDEO then self.has_video = true end
  if class == "header" then
    keep_header(self, kind, track, body)
  elseif may_begin(self, kind, class) and (not self.file or is_due(self)) then
    end_file(self)
    if not self.over then begin_file(self, time) end
  end
  if self.file then add(self, kind, place(self, time), body) end
end

--- A message of KIND 8, 9 or 18 at TIME, with BODY, a buffer.
function Recorder:message(kind, time, body)
  if self.over then return end
  if kind == DATA then take_data(self, time, body) else take_media(self, kind, time, body) end
  if #self.batch >= self.enough then return self:flush() end
  self:look(ld.now())
end

--- All is in the file.
function Recorder:close()
  if not self.over then end_file(self) end
  self.over = true
end

--- A recorder of the stream called NAME. OPTS: path = pattern of the files' names, in which %N is the stream's name,
-- "live+x" of live/x, and the rest as of os.date, "/var/rec/%N-%Y%m%d-%H%M%S.flv"; the directory must exist. Optional:
--
--   rotate   seconds, and
--   size     bytes, after which a new file begins with the next key frame (0: never)
--   append   go on in a file that is there, with its times; else a name that is taken gets a number
--   batch    bytes (65536), and
--   patience seconds (1) that tags wait to be written together; for the latter, look() is to be called now and then
--
-- A file that is written is locked (flock). What fails is logged, once, and is the end of the recording.
function M.new(name, opts)
  return setmetatable({
    name = name, pattern = opts.path, rotate = opts.rotate or 0, most = opts.size or 0, append = opts.append,
    enough = opts.batch or BATCH, patience = opts.patience or PATIENCE, headers = {}, batch = ld.buffer(),
    tag = ld.buffer(), flushed = ld.now(),
  }, Recorder)
end

return M
