--- linedancer.appender: files that grow by whole pieces, of which no full disk tears one.
--
-- Each append is one write(2). One that falls short, on a full disk, is taken back, and the file ends there. Writing
-- blocks the worker for as long as the kernel takes to copy into its page cache, some 30 us for 64 KB, or longer when
-- the disk does not keep up: gather small pieces before. A file is locked, by flock, while it is open.
--
-- A process that is killed in the midst of a write, or a system that crashes, may leave a part of a piece: extend()
-- cuts it off.
local bytes = require "linedancer.bytes"
local bit = require "bit"
local ffi = require "ffi"

local M = {}

ffi.cdef [[
  int open(const char *path, int flags, ...);
  int close(int fd);
  long write(int fd, const void *data, size_t size);
  int flock(int fd, int operation);
  int ftruncate(int fd, long size);
  long lseek(int fd, long offset, int whence);
  long pread(int fd, void *data, size_t size, long offset);
  char *strerror(int errnum);
]]

local C = ffi.C
local RDWR, CREAT, EXCL, CLOEXEC = 2, 64, 128, 524288
local MODE = ffi.new("int", 420) -- rw-r--r--
local EINTR, EAGAIN, EEXIST = 4, 11, 17
local LOCK_NOW = 2 + 4 -- LOCK_EX, LOCK_NB
local SEEK_SET, SEEK_END = 0, 2

local Appender = {}
Appender.__index = Appender

local function problem() return ffi.string(C.strerror(ffi.errno())) end

-- The file goes with its number, if nobody closes it.
ffi.cdef "struct ld_file { int fd; };"
local File = ffi.metatype("struct ld_file", { __gc = function(file)
  if file.fd >= 0 then C.close(file.fd) end
end })

-- An appender of PATH; or nil, a message and whether somebody else has it.
local function open(path, flags)
  local fd = C.open(path, bit.bor(RDWR, CREAT, CLOEXEC, flags), MODE)
  if fd < 0 then return nil, problem(), ffi.errno() == EEXIST end
  local file = File(fd)
  -- Where a file system knows no locks, there are none.
  if C.flock(fd, LOCK_NOW) ~= 0 and ffi.errno() == EAGAIN then return nil, "File is locked", true end
  return setmetatable({ file = file, path = path, size = 0 }, Appender)
end

--- Create the file PATH, which must not exist. Returns an appender with fields path and size, in bytes; or nil, a
-- message, and whether it exists.
function M.create(path) return open(path, EXCL) end

local function reader(fd)
  return function(offset, size)
    local block = ffi.new("char[?]", size)
    local got = tonumber(C.pread(fd, block, size, offset))
    return got > 0 and ffi.string(block, got) or ""
  end
end

local function cut(appender, size)
  local fd = appender.file.fd
  if C.ftruncate(fd, size) ~= 0 or C.lseek(fd, size, SEEK_SET) ~= size then return nil, problem() end
  appender.size = size
  return true
end

--- Open the file PATH, or create it, to go on behind its last whole piece. FIND_END(read, size) is told its size in
-- bytes and a function(offset, size) that returns a part of it, and returns where that piece ends, and a value to pass
-- on; or nil and a message. What is behind, a crash has left there: it is cut off. Returns an appender and the value;
-- or nil, a message, and whether it is another appender that has the file.
function M.extend(path, find_end)
  local appender, message, is_locked = open(path, 0)
  if not appender then return nil, message, is_locked end
  local whole, value = find_end(reader(appender.file.fd), tonumber(C.lseek(appender.file.fd, 0, SEEK_END)))
  local ok = whole
  if whole then ok, message = cut(appender, whole) else message = value end
  if ok then return appender, value end
  appender:close()
  return nil, message, false
end

--- Append DATA (a string, slice, buffer or blob), all of it or nothing. True; or nil and a message: then the file is
-- closed.
function Appender:append(data)
  if self.file.fd < 0 then return nil, "the file is closed" end
  if type(data) ~= "string" and not bytes.is(data) then error("bytes expected, got " .. type(data), 2) end
  local text = tostring(data)
  local put
  repeat put = tonumber(C.write(self.file.fd, text, #text)) until put >= 0 or ffi.errno() ~= EINTR
  if put == #text then
    self.size = self.size + put
    return true
  end
  local why = put < 0 and problem() or "the disk is full"
  C.ftruncate(self.file.fd, self.size)
  self:close()
  return nil, why
end

--- The file is done.
function Appender:close()
  if self.file.fd >= 0 then C.close(self.file.fd) end
  self.file.fd = -1
end

return M
