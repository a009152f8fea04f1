--- rtmp/flv_file: files that hold whole FLV tags, whatever happens.
--
-- A write is one write(2), and is taken back if it falls short. What a crash of the system, or one in the midst of a
-- write, leaves behind the last whole tag is found and cut off when the file is opened again.
local bit = require "bit"
local ffi = require "ffi"
local flv = require "handlers.rtmp.flv"

local M = {}

ffi.cdef [[
  int open(const char *path, int flags, ...);
  int close(int fd);
  int flock(int fd, int operation);
  int ftruncate(int fd, long size);
  long lseek(int fd, long offset, int whence);
  long pread(int fd, void *data, size_t size, long offset);
  long write(int fd, const void *data, size_t size);
  char *strerror(int errnum);
]]

local C = ffi.C
local O_RDWR, O_CREAT, O_EXCL, O_CLOEXEC = 2, tonumber("100", 8), tonumber("200", 8), tonumber("2000000", 8)
local MODE = tonumber("644", 8)
local LOCK_NOW = 2 + 4 -- LOCK_EX, LOCK_NB
local SEEK_SET, SEEK_END = 0, 2
local EINTR, EAGAIN, EEXIST = 4, 11, 17
local NAMES = 1000 -- that are tried for one file

local HEADER = #flv.header()
local BLOCK = 2 ^ 16
local WINDOW = 2 ^ 25 -- bytes from the end in which a whole tag must be: more than is written at once
local TAG_MAX = 11 + 2 ^ 24 - 1
local CHAIN = 3       -- tags that follow each other are no chance
local KINDS = { [8] = true, [9] = true, [18] = true }

local File = {}
File.__index = File

local function why() return ffi.string(C.strerror(ffi.errno())) end

local function number(text, at, n)
  local value = 0
  for i = at, at + n - 1 do value = value * 256 + (text:byte(i) or 0) end
  return value
end

-- A function that returns the number in the four bytes before an offset, by READ(offset, size), in blocks.
local function sizes(read)
  local block, from = "", 0
  return function(at)
    if at - 4 < from or at > from + #block then
      from = math.max(0, at - BLOCK)
      block = read(from, BLOCK)
    end
    return number(block, at - 4 - from + 1, 4)
  end
end

-- Where the tag begins that ends at AT, its size, of SIZE_BEFORE(at), included, and its time; nil when there is none.
local function tag_before(size_before, read, at)
  local size = size_before(at)
  local from = at - 4 - size
  if size < 11 or size > TAG_MAX or from < HEADER then return nil end
  local head = read(from, 11)
  if not KINDS[head:byte(1)] or number(head, 2, 3) + 11 ~= size or number(head, 9, 3) ~= 0 then return nil end
  return from, number(head, 8, 1) * 2 ^ 24 + number(head, 5, 3)
end

-- The time of the tags that end at AT, the latest of a few; nil unless all of them are tags.
local function time_before(size_before, read, at)
  local latest
  for _ = 1, CHAIN do
    if at == HEADER then break end
    local from, time = tag_before(size_before, read, at)
    if not from then return nil end
    latest = math.max(latest or 0, time)
    at = from
  end
  return latest
end

--- Where the last whole tag ends in a file of SIZE bytes that READ(offset, size) reads, and the time of that tag, nil
-- without one. Nil and a reason when that is no FLV file.
function M.find_end(read, size)
  local begin, whole = read(0, HEADER), flv.header()
  if size < HEADER then
    if begin:sub(1, 4) == whole:sub(1, size):sub(1, 4) then return 0 end
    return nil, "it is not an FLV file"
  end
  if begin:sub(1, 4) ~= whole:sub(1, 4) or begin:sub(6) ~= whole:sub(6) then return nil, "it is not an FLV file" end
  local size_before = sizes(read)
  for at = size, math.max(HEADER + 1, size - WINDOW), -1 do
    local time = time_before(size_before, read, at)
    if time then return at, time end
  end
  if size > HEADER + WINDOW then return nil, "no whole tag is near its end" end
  return HEADER
end

local function reader(fd)
  local block = ffi.new("char[?]", BLOCK)
  return function(offset, size)
    local got = tonumber(C.pread(fd, block, size, offset))
    return got > 0 and ffi.string(block, got) or ""
  end
end

local function open(path, flags)
  local fd = C.open(path, bit.bor(O_RDWR, O_CREAT, O_CLOEXEC, flags), ffi.cast("int", MODE))
  if fd < 0 then return nil, why(), ffi.errno() end
  if C.flock(fd, LOCK_NOW) ~= 0 and ffi.errno() == EAGAIN then
    C.close(fd)
    return nil, "it is locked", EAGAIN
  end
  return setmetatable({ fd = fd, path = path, size = 0 }, File)
end

-- OPEN(path), with ".2", ".3" ... before PATH's ending while the name is taken.
local function first_free(path, flags)
  for i = 1, NAMES do
    local candidate = i == 1 and path or path:gsub("(%.?[^%./]*)$", "." .. i .. "%1", 1)
    local file, reason, errno = open(candidate, flags)
    if file or errno ~= EEXIST and errno ~= EAGAIN then return file, reason end
  end
  return nil, "all names are taken"
end

--- Make a file called PATH, or, when that is taken, a name with a number in it. Nil and a reason when that fails.
function M.create(path) return first_free(path, O_EXCL) end

--- Open the file called PATH for more tags, cut off behind its last whole one; it is made if it is not there. One that
-- somebody else writes is left alone: the name gets a number. Returns it and the time of its last tag, nil when it has
-- none. Nil and a reason when that fails.
function M.append(path)
  local file, reason = first_free(path, 0)
  if not file then return nil, reason end
  file.size = tonumber(C.lseek(file.fd, 0, SEEK_END))
  local size, time = M.find_end(reader(file.fd), file.size)
  if not size then
    file:close()
    return nil, time
  end
  if C.ftruncate(file.fd, size) ~= 0 or C.lseek(file.fd, size, SEEK_SET) ~= size then
    reason = why()
    file:close()
    return nil, reason
  end
  file.size = size
  return file, time
end

--- Write TEXT, whole tags, at the end, all of it or nothing: true, or nil and a reason.
function File:write(text)
  local put
  repeat put = tonumber(C.write(self.fd, text, #text)) until put >= 0 or ffi.errno() ~= EINTR
  if put == #text then
    self.size = self.size + put
    return true
  end
  local reason = put < 0 and why() or "there is no more room"
  C.ftruncate(self.fd, self.size)
  C.lseek(self.fd, self.size, SEEK_SET)
  return nil, reason
end

--- The file is done; one in which there is nothing is removed. It may be called again.
function File:close()
  if not self.fd then return end
  if self.size == 0 then os.remove(self.path) end
  C.close(self.fd)
  self.fd = nil
end

return M
