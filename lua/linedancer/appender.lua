--- linedancer.appender: files that grow by whole pieces, of which none is ever torn.
--
-- Each append is one write(2). One that falls short, on a full disk, is taken back, and the file ends there. Writing
-- blocks the worker for as long as the kernel takes to copy into its page cache: gather small pieces before.
local bytes = require "linedancer.bytes"
local bit = require "bit"
local ffi = require "ffi"

local M = {}

ffi.cdef [[
  int open(const char *path, int flags, ...);
  int close(int fd);
  long write(int fd, const void *data, size_t size);
  int ftruncate(int fd, long size);
  char *strerror(int errnum);
]]

local C = ffi.C
local WRONLY, CREAT, EXCL, CLOEXEC = 1, 64, 128, 524288
local MODE = ffi.new("int", 420) -- rw-r--r--
local EEXIST = 17

local Appender = {}
Appender.__index = Appender

local function problem() return ffi.string(C.strerror(ffi.errno())) end

-- The file goes with its number, if nobody closes it.
ffi.cdef "struct ld_file { int fd; };"
local File = ffi.metatype("struct ld_file", { __gc = function(file)
  if file.fd >= 0 then C.close(file.fd) end
end })

--- Create the file PATH, which must not exist. Returns an appender with fields path and size, in bytes; or nil, a
-- message, and whether it exists.
function M.create(path)
  local fd = C.open(path, bit.bor(WRONLY, CREAT, EXCL, CLOEXEC), MODE)
  if fd < 0 then return nil, problem(), ffi.errno() == EEXIST end
  return setmetatable({ file = File(fd), path = path, size = 0 }, Appender)
end

--- Append DATA (a string, slice, buffer or blob), all of it or nothing. True; or nil and a message: then the file is
-- closed.
function Appender:append(data)
  if self.file.fd < 0 then return nil, "the file is closed" end
  if type(data) ~= "string" and not bytes.is(data) then error("bytes expected, got " .. type(data), 2) end
  local text = tostring(data)
  local put = tonumber(C.write(self.file.fd, text, #text))
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
