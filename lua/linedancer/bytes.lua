--- linedancer.bytes: bytes that are not Lua strings.
--
-- A slice is borrowed: a place in a connection's input, valid until its next read or the coroutine's next wait; stale
-- use raises `stale`. A buffer is C memory of its own, and a blob is a buffer that is sealed. All have the readers
-- byte, u32be, eq, sub, keep, # and tostring; positions count from 1, and negative ones from the end, as in string.
-- They hold numbers that the core checks, never pointers.
local api = require "linedancer.api"
local errors = require "linedancer.errors"
local ffi = require "ffi"

local M = {}

local W, A, R = api.vm, api.args, api.result
local leaf = api.struct
local slice_leaf, slice_arg = leaf.slice, leaf.slice_arg
local make_key, slice_key = leaf.key, leaf.slice_key
local buffer_size, buffer_bytes, buffer_arg = leaf.buffer_size, leaf.buffer_bytes, leaf.buffer_arg
local buffer_new, buffer_free, buffer_write = leaf.buffer_new, leaf.buffer_free, leaf.buffer_write
local buffer_put, buffer_put_args = leaf.buffer_put, leaf.buffer_put_args
local buffer_seal, buffer_clear = leaf.buffer_seal, leaf.buffer_clear
local ffi_string, istype = ffi.string, ffi.istype
local status = api.status

ffi.cdef [[
  struct ld_slice { const double conn; const uint32_t view, off, len; };
  struct ld_buffer { const double handle; };
]]
local Slice, Buffer = ffi.typeof "struct ld_slice", ffi.typeof "struct ld_buffer"

--- Bytes in C memory: slices, buffers and blobs. #bytes is their number, and tostring(bytes) a string of them.
---@class linedancer.Bytes
---@operator len: integer

--- Bytes of a connection's input, borrowed: valid until its next read or the coroutine's next wait.
---@class linedancer.Slice: linedancer.Bytes

--- C memory that grows, until it is sealed: by keep(), by being written, published or sent. Then it is a blob.
---@class linedancer.Buffer: linedancer.Bytes

--- A buffer that is sealed.
---@alias linedancer.Blob linedancer.Buffer

--- What is taken wherever bytes are.
---@alias linedancer.Data string|linedancer.Bytes

local formats -- linedancer.format, which requires this module
local guard -- what values go through that are packed, or nil

local MESSAGE = {
  [status.BUSY] = "the buffer is sealed",
  [status.LIMIT] = "the buffer would be over its maximum",
}

local function fail(st)
  error(errors.new(status[st], MESSAGE[st]), 3)
end

--- Where bytes I to J (1-based, inclusive, as in string.sub; either may be nil) lie within LEN: offset and length.
local function range(len, i, j)
  i, j = i or 1, j or -1
  if i ~= i or j ~= j then error("a position expected, got nan", 3) end
  if i < 0 then i = math.max(len + i + 1, 1) elseif i == 0 then i = 1 end
  if j < 0 then j = len + j + 1 elseif j > len then j = len end
  if j < i then return 0, 0 end
  return i - 1, j - i + 1
end

M.range = range

--- Readers that slices and buffers share. `locate(x)` leaves X's bytes in result.frame and returns their number.
local function readers(locate)
  local methods = {}

  --- Byte I (default 1) as a number, or nil when there is none.
  ---@function bytes:byte
  ---@param i? integer position, negative from the end
  ---@return integer? byte 0 to 255
  ---@raise stale
  function methods:byte(i)
    i = i or 1
    local len = locate(self)
    if i < 0 then i = len + i + 1 end
    if not (i >= 1 and i <= len) then return nil end
    return R.frame[i - 1]
  end

  --- The big-endian u32 that starts at I (default 1). Raises `range` when it does not fit.
  ---@function bytes:u32be
  ---@param i? integer position, negative from the end
  ---@return integer number
  ---@raise range, stale
  function methods:u32be(i)
    i = i or 1
    local len = locate(self)
    if i < 0 then i = len + i + 1 end
    if not (i >= 1 and i + 3 <= len) then error(errors.new("range", "no 4 bytes at " .. i), 2) end
    local p = R.frame + (i - 1)
    return ((p[0] * 256 + p[1]) * 256 + p[2]) * 256 + p[3]
  end

  --- Bytes I to J as a Lua string, like string.sub.
  ---@function bytes:sub
  ---@param i? integer the first (1)
  ---@param j? integer the last (-1)
  ---@return string text
  ---@raise stale
  function methods:sub(i, j)
    local off, len = range(locate(self), i, j)
    return ffi_string(R.frame + off, len)
  end

  --- Are the bytes those of OTHER, a string, slice or buffer?
  ---@function bytes:eq
  ---@param other any what they are compared with
  ---@return boolean equal
  ---@raise stale
  function methods:eq(other)
    if type(other) ~= "string" and not M.is(other) then return false end
    return #self == #other and tostring(self) == tostring(other)
  end

  --- Decode FORMAT at POS (default 1): values, then the position after them.
  ---@function bytes:unpack
  ---@param format linedancer.FormatLike the frame
  ---@param pos? integer where it begins
  ---@return any ... its values, and the position behind it
  ---@raise truncated, mismatch, range, varint, limit, stale
  function methods:unpack(format, pos)
    formats = formats or require "linedancer.format"
    return formats.of(format):unpack(tostring(self), pos)
  end

  return methods
end

local function locate_slice(s)
  local st = slice_leaf(W, s.conn, s.view, s.off, s.len)
  if st ~= 0 then fail(st) end
  return s.len
end

local function locate_buffer(b)
  local st = buffer_bytes(W, b.handle)
  if st ~= 0 then fail(st) end
  return R.size
end

-- result.frame is right only after locate() has run, so the order of evaluation is spelled out.
local function text_of(locate)
  return function(x)
    local len = locate(x)
    return ffi_string(R.frame, len)
  end
end

local function new_buffer(max)
  max = max or 2 ^ 31
  if type(max) ~= "number" or max ~= max or max < 0 then
    error("a number of bytes expected, got " .. tostring(max), 3)
  end
  local handle = buffer_new(W, max)
  if handle == 0 then error(errors.new "nomem", 3) end
  return Buffer(handle)
end

-- By arg, the last number given as bytes: the core borrows its text until the call that uses it.
local spelled = {} -- luacheck: ignore 241

--- Make args[i] the bytes X: a string, number, slice, buffer or blob. A buffer is sealed by it. Raises `stale`, or a
-- plain error for anything else; LEVEL is the stack level to blame.
function M.set_arg(i, x, level)
  local st = 0
  if type(x) == "number" then
    x = tostring(x)
    spelled[i] = x
  end
  if type(x) == "string" then
    A[i].kind = api.BYTES
    A[i].p = x
    A[i].len = #x
  elseif istype(Slice, x) then
    st = slice_arg(W, i, x.conn, x.view, x.off, x.len)
  elseif istype(Buffer, x) then
    st = buffer_arg(W, i, x.handle)
  else
    error("bytes expected (a string, slice, buffer or blob), got " .. type(x), (level or 1) + 1)
  end
  if st ~= 0 then error(errors.new(status[st]), (level or 1) + 1) end
end

local slice_methods = readers(locate_slice)

--- A blob with a copy of the bytes, valid for as long as it is referenced.
---@function slice:keep
---@return linedancer.Blob blob
---@raise stale
function slice_methods:keep()
  local st = slice_arg(W, 0, self.conn, self.view, self.off, self.len)
  if st ~= 0 then fail(st) end
  local b = new_buffer()
  st = buffer_put_args(W, b.handle, 1)
  if st ~= 0 then fail(st) end
  buffer_seal(W, b.handle)
  return b
end

ffi.metatype(Slice, {
  __index = slice_methods,
  __len = function(s) return s.len end,
  __tostring = text_of(locate_slice),
})

local buffer_methods = readers(locate_buffer)

--- The blob itself; a buffer is sealed by it.
---@function buffer:keep
---@return linedancer.Blob blob
function buffer_methods:keep()
  buffer_seal(W, self.handle)
  return self
end

--- Empty the buffer for new bytes, also one that is sealed. What was written, published or put elsewhere stays as it
-- was; whoever was sent the buffer itself as a message finds it changed. To use one buffer again and again costs less
-- than many. Returns the buffer.
---@function buffer:clear
---@return linedancer.Buffer buffer
function buffer_methods:clear()
  buffer_clear(W, self.handle)
  return self
end

--- Append bytes I to J (default all) of X: a string, slice, buffer or blob. Larger pieces are shared, not copied.
-- Raises `limit` above the buffer's maximum, `busy` once it is sealed. Returns the buffer.
---@function buffer:put
---@param x linedancer.Data|number what is appended; a number in decimal
---@param i? integer the first byte (1)
---@param j? integer the last byte (-1)
---@return linedancer.Buffer buffer
---@raise limit, busy, stale
function buffer_methods:put(x, i, j)
  local st
  if type(x) == "number" then x = tostring(x) end
  if istype(Buffer, x) then
    if x.handle == self.handle then error("a buffer cannot be put into itself", 2) end
    local off, len = range(tonumber(buffer_size(W, x.handle)), i, j)
    st = buffer_put(W, self.handle, x.handle, off, len)
  elseif type(x) == "string" and not i then
    st = buffer_write(W, self.handle, x, #x)
  elseif istype(Slice, x) then
    local off, len = range(x.len, i, j)
    st = slice_arg(W, 0, x.conn, x.view, x.off + off, len)
    if st == 0 then st = buffer_put_args(W, self.handle, 1) end
  elseif type(x) == "string" then
    local text = x:sub(i, j or -1)
    st = buffer_write(W, self.handle, text, #text)
  else
    error("bytes expected (a string, slice, buffer or blob), got " .. type(x), 2)
  end
  if st ~= 0 then fail(st) end
  return self
end

--- Append values encoded by FORMAT. Raises as put() does, and for values that do not fit. Returns the buffer.
---@function buffer:pack
---@param format linedancer.FormatLike the frame
---@param ... any its values
---@return linedancer.Buffer buffer
---@raise range, limit, mismatch, busy, stale
function buffer_methods:pack(format, ...)
  formats = formats or require "linedancer.format"
  if guard then formats.of(format):pack_into(self, guard(...)) else formats.of(format):pack_into(self, ...) end
  return self
end

ffi.metatype(Buffer, {
  __index = buffer_methods,
  __len = function(b) return tonumber(buffer_size(W, b.handle)) end,
  __tostring = text_of(locate_buffer),
  __gc = function(b) buffer_free(W, b.handle) end,
})

--- From now on values that are packed into buffers go through FN(...), which returns as many: see linedancer.sandbox.
function M.guard(fn) guard = fn end

--- An empty buffer that grows to at most MAX bytes (default 2 GB).
function M.buffer(max)
  return new_buffer(max)
end

--- A blob with the bytes of X, a string, slice, buffer or blob.
function M.blob(x)
  local b = new_buffer()
  buffer_methods.put(b, x)
  return buffer_methods.keep(b)
end

--- The bytes of X (a string, slice, buffer or blob) as a string for the key of a table: four bytes of a hash, then the
-- bytes. Use it for keys that peers choose: LuaJIT hashes only some bytes of a string, so that a million keys like
-- "user:0001234" would share a few chains. key:sub(5) is what X was. Good for the life of the process only.
function M.key(x)
  local st
  if type(x) == "string" then
    st = make_key(W, x, #x)
  elseif istype(Slice, x) then
    st = slice_key(W, x.conn, x.view, x.off, x.len)
  else
    return M.key(tostring(x))
  end
  if st ~= 0 then fail(st) end
  return ffi_string(R.frame, R.size)
end

--- Is X a slice, buffer or blob?
function M.is(x)
  return istype(Slice, x) or istype(Buffer, x)
end

function M.is_buffer(x)
  return istype(Buffer, x)
end

M.Slice, M.Buffer = Slice, Buffer

-- What has no table that lists it: for tests.
M.methods = { slice = slice_methods, buffer = buffer_methods }

return M
