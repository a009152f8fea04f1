--- linedancer.conn: what a handler can do with its connection.
--
-- A conn is a table: [1] is a handle that the core checks, named fields are the handler's own. Reads wait; nil means
-- a clean end and comes only from reads that may open a frame: unpack peek packet read read_some read_line
-- read_until lines. Inside a frame use expect, slice, skip, body, read_into: an end there raises `truncated`.
-- Writes never wait. Errors are objects of linedancer.errors.
local api = require "linedancer.api"
local await, missed = require("linedancer.await").await, require("linedancer.await").missed
local bytes = require "linedancer.bytes"
local errors = require "linedancer.errors"
local formats = require "linedancer.format"
local raise = require("linedancer.await").raise
local ffi = require "ffi"

local W, R, V, core = api.vm, api.result, api.values, api.core
local leaf, status = api.struct, api.status
local leaf_read, leaf_some, leaf_piece, leaf_skip, leaf_fill =
  leaf.read, leaf.some, leaf.piece, leaf.skip, leaf.fill
local leaf_write, leaf_write_args, leaf_write_buffer = leaf.write, leaf.write_args, leaf.write_buffer
local OPENS, KEEP, EOF, AGAIN = api.OPENS, api.KEEP, status.EOF, status.AGAIN
local yield, WAIT = coroutine.yield, api.WAIT
local format_of, set_arg, is_buffer, Slice = formats.of, bytes.set_arg, bytes.is_buffer, bytes.Slice
local str = ffi.string

local MAX_READ, STALE = 2 ^ 31 - 1, status.STALE

--- A connection. Other fields are the handler's own; those that are here cannot be set.
---@class linedancer.Conn
---@field peer string? address of the other end, "1.2.3.4:5", "[::1]:5" or a path; what a proxy has said of it, if one
--   has
---@field local_address string? address of our end
---@field unsent integer bytes that are queued and that the kernel has not taken
---@field unread integer bytes that are here and not read
---@field state string? name of the state that it is in
---@field listener string? name of its listener, or its address

local M = { methods = {}, facts = {} }
local conn = M.methods

local function check_size(n, max)
  if type(n) ~= "number" or n < 0 or n % 1 ~= 0 then
    error("a number of bytes expected, got " .. tostring(n), 3)
  end
  if n > (max or MAX_READ) then error(errors.new("limit", "no frame has " .. n .. " bytes"), 3) end
end

local function string_result()
  return str(R.frame, V[0].s.len)
end

local function slice_result(self)
  return Slice(self[1], R.view, R.base, V[0].s.len)
end

--- Wait for one frame of FORMAT (text or ld.format) and return its values; nil when the peer has ended. A format
-- without values returns true.
---@function conn:unpack
---@async
---@param format linedancer.FormatLike the frame
---@return any ... its values, or one table when fields have names; true when it has none; nil at the end
---@raise truncated, mismatch, range, varint, limit (limits.frame)
function conn:unpack(format)
  return format_of(format).read(self)
end

--- The same inside a frame: an end raises `truncated`. A number means that many bytes, as a string.
---@function conn:expect
---@async
---@param format linedancer.FormatLike|integer the frame, or a number of bytes
---@return any ... its values, or the bytes
---@raise truncated, mismatch, range, varint, limit (limits.frame)
function conn:expect(format)
  if type(format) ~= "number" then return format_of(format).expect(self) end
  check_size(format)
  local st = leaf_read(W, self[1], format, 0)
  if st ~= 0 then await(self, st) end
  return string_result()
end

--- As unpack, without consuming: the next read sees the same bytes. A number means that many bytes, as a string.
---@function conn:peek
---@async
---@param format linedancer.FormatLike|integer the frame, or a number of bytes
---@return any ... as of unpack; nil at the end
---@raise truncated, mismatch, range, varint, limit (limits.frame)
function conn:peek(format)
  if type(format) ~= "number" then return format_of(format).peek(self) end
  check_size(format)
  local st = leaf_read(W, self[1], format, OPENS + KEEP)
  if st ~= 0 and await(self, st) == EOF then return nil end
  return string_result()
end

--- As unpack, without waiting: nil and how many further bytes are needed; nil and 0 at the end.
---@function conn:try
---@param format linedancer.FormatLike the frame
---@return any ... its values; or nil and the number of bytes that are missing, 0 at the end
---@raise truncated, mismatch, range, varint, limit (limits.frame), hook (in a hook)
function conn:try(format)
  return format_of(format).try(self)
end

--- Exactly N bytes as a string, or nil at the end.
---@function conn:read
---@async
---@param n integer bytes
---@return string? bytes nil at the end
---@raise truncated, limit (limits.frame)
function conn:read(n)
  check_size(n)
  local st = leaf_read(W, self[1], n, OPENS)
  if st ~= 0 and await(self, st) == EOF then return nil end
  return string_result()
end

--- At least one byte, at most MAX (default 65536), as a string; nil at the end.
---@function conn:read_some
---@async
---@param max? integer bytes
---@return string? bytes nil at the end
function conn:read_some(max)
  max = max or 65536
  if max ~= max or max < 1 then error("at least one byte must be read", 2) end
  local st = leaf_some(W, self[1], max, OPENS)
  if st == AGAIN then
    yield(WAIT)
    st = R.status
  end
  if st ~= 0 then return missed(self, st) end
  return string_result()
end

--- A line without its end (LF, or CR LF), of at most MAX bytes (default limits.frame); nil at the end.
---@function conn:read_line
---@async
---@param max? integer bytes, without the end of the line
---@return string? line nil at the end
---@raise truncated, limit
function conn:read_line(max)
  return format_of(max and "y{" .. max .. "}" or "y").read(self)
end

-- The format that reads to DELIM.
local function to_delimiter(delim, max)
  if type(delim) ~= "string" or #delim < 1 or #delim > 8 then error("a delimiter has 1 to 8 bytes", 3) end
  local quote = delim:find('"', 1, true) and "'" or '"'
  if delim:find(quote, 1, true) then error("a delimiter cannot hold both kinds of quotes", 3) end
  return format_of("t" .. quote .. delim .. quote .. (max and "{" .. max .. "}" or ""))
end

--- Bytes up to DELIM (1 to 8 bytes), which is consumed and left out; at most MAX (default limits.frame); nil at the
-- end.
---@function conn:read_until
---@async
---@param delim string what ends it
---@param max? integer bytes, without DELIM
---@return string? bytes nil at the end
---@raise truncated, limit
function conn:read_until(delim, max)
  return to_delimiter(delim, max).read(self)
end

--- Iterate over lines until the end: for line in conn:lines() do.
---@function conn:lines
---@async
---@param max? integer bytes of a line
---@return fun(): string? next each call is a read_line()
---@raise truncated, limit
function conn:lines(max)
  return function() return self:read_line(max) end
end

--- Drop N bytes of the frame, any N.
---@function conn:skip
---@async
---@param n integer bytes, up to 2^53
---@raise truncated
function conn:skip(n)
  check_size(n, 2 ^ 53)
  local st = leaf_skip(W, self[1], n)
  if st ~= 0 then await(self, st) end
end

--- Drop bytes up to DELIM and DELIM itself, however many.
---@function conn:skip_until
---@async
---@param delim string 1 to 8 bytes
---@raise truncated
function conn:skip_until(delim)
  for _ in self:body(delim) do end -- luacheck: ignore 542
end

--- N bytes of the frame as a borrowed slice, N within limits.frame.
---@function conn:slice
---@async
---@param n integer bytes
---@return linedancer.Slice slice valid until the next read or wait
---@raise truncated, limit (limits.frame)
function conn:slice(n)
  check_size(n)
  local st = leaf_read(W, self[1], n, 0)
  if st ~= 0 then await(self, st) end
  return slice_result(self)
end

local function pieces_of(self, left)
  return function()
    if left == 0 then return nil end
    local st = leaf_some(W, self[1], math.min(left, 65536), 0)
    if st ~= 0 then await(self, st) end
    left = left - V[0].s.len
    return slice_result(self)
  end
end

local function pieces_until(self, delim)
  local ended = false
  return function()
    while not ended do
      local st = leaf_piece(W, self[1], delim, #delim, 0)
      if st ~= 0 then await(self, st) end
      ended = V[1].n == 1
      if V[0].s.len > 0 then return slice_result(self) end
    end
  end
end

--- Iterate over a body as it arrives, in borrowed slices: N bytes, or up to the delimiter N (consumed, left out). Any
-- size: nothing is collected.
---@function conn:body
---@async
---@param n integer|string bytes, up to 2^53, or a delimiter of 1 to 8 bytes
---@return fun(): linedancer.Slice? next each slice is valid until the next one is asked for
---@raise truncated
function conn:body(n)
  if type(n) ~= "string" then
    check_size(n, 2 ^ 53)
    return pieces_of(self, n)
  end
  if #n < 1 or #n > 8 then error("a delimiter has 1 to 8 bytes", 2) end
  return pieces_until(self, n)
end

--- Move N bytes of the frame to the end of BUFFER, in C, as they come. Raises `limit` above the buffer's maximum.
---@function conn:read_into
---@async
---@param buffer linedancer.Buffer what they are appended to
---@param n integer bytes
---@return linedancer.Buffer buffer the same
---@raise truncated, limit (of the buffer), busy (the buffer is sealed)
function conn:read_into(buffer, n)
  check_size(n)
  if not is_buffer(buffer) then error("buffer expected", 2) end
  local st = leaf_fill(W, self[1], buffer.handle, n)
  if st == STALE then error(errors.new("busy", "the buffer is sealed", self), 2) end
  if st ~= 0 then await(self, st) end
  return buffer
end

local function write_one(self, x)
  local kind = type(x)
  if kind == "number" then x, kind = tostring(x), "string" end
  if kind == "string" then
    leaf_write(W, self[1], x, #x)
  elseif is_buffer(x) then
    local st = leaf_write_buffer(W, self[1], x.handle)
    if st ~= 0 then raise(self, st) end
  else
    set_arg(0, x, 3)
    leaf_write_args(W, self[1], 1)
  end
end

if not api.jit then
  local plain = write_one
  write_one = function(self, x)
    if type(x) == "string" then core.write(self[1], x) else return plain(self, x) end
  end
end

--- Queue strings, slices, buffers and numbers. They leave whole and in order, when the handler next waits. A buffer is
-- sealed by it. To a connection that has ended this does nothing.
---@function conn:write
---@param x linedancer.Data|number what is sent first; a number in decimal
---@param ... linedancer.Data|number what is sent behind it
---@raise stale
function conn:write(x, ...)
  write_one(self, x)
  for i = 1, select("#", ...) do write_one(self, (select(i, ...))) end
end

--- Queue bytes I to J (default all) of the string X, positions as in string.sub, without making a string of them.
---@function conn:put
---@param x string what it is taken from
---@param i? integer the first byte (1)
---@param j? integer the last byte (-1)
function conn:put(x, i, j)
  if type(x) ~= "string" then error("string expected, got " .. type(x), 2) end
  local off, len = bytes.range(#x, i, j)
  if len > 0 then leaf_write(W, self[1], ffi.cast("const char *", x) + off, len) end
end

--- Encode values by FORMAT straight into the output. With named fields the one value is a table.
---@function conn:pack
---@param format linedancer.FormatLike the frame
---@param ... any its values
---@raise range, limit, mismatch, stale
function conn:pack(format, ...)
  return format_of(format).write(self, ...)
end

--- The longest time in STATE, in seconds, or { idle =, total = }; nil for none. For this connection only.
---@function conn:timeout
---@param state string its name
---@param seconds? number|linedancer.Timeout in the state, or since the last byte and in the state
function conn:timeout(state, seconds)
  local known = self.machine.states[state]
  if not known then error("no state is called " .. tostring(state), 2) end
  local t = type(seconds) == "table" and seconds or { total = seconds }
  for key, value in pairs(t) do
    if key ~= "idle" and key ~= "total" or type(value) ~= "number" or value ~= value or value < 0 then
      error("seconds, { idle =, total = } or nil expected", 2)
    end
  end
  leaf.timeout(W, self[1], known.index, t.idle or math.huge, t.total or math.huge)
end

--- Have the kernel acknowledge what comes at once (ON), or up to 40 ms later, as it likes (false). For the setup of
-- peers that send their messages in small pieces, each held back until the one before is acknowledged (Nagle's
-- algorithm). Costs a system call a turn. Does nothing for what is no TCP.
---@function conn:quick_ack
---@param on boolean whether to
function conn:quick_ack(on)
  leaf.quick_ack(W, self[1], on and 1 or 0)
end

--- Have the kernel take at most COUNT bytes (above 0; nil for the system's default) that it has not sent yet: what a
-- slow peer does not take is then here, in conn.unsent or in a channel's log, where it can be skipped. Does nothing for
-- what is no TCP.
---@function conn:notsent_lowat
---@param count? integer bytes
function conn:notsent_lowat(count)
  if count ~= nil then check_size(count) end
  leaf.notsent_lowat(W, self[1], count or 0)
end

--- Half-close: what is queued still goes out, then the peer sees our end. Reading goes on.
---@function conn:shutdown
function conn:shutdown()
  leaf.shutdown(W, self[1])
end

--- End the connection after its output is flushed, with REASON (default "closed") for on_close. Its coroutine goes
-- no further than its next read or transition.
---@function conn:close
---@param reason? any a text, or what tostring makes one of
function conn:close(reason)
  if leaf.alive(W, self[1]) == 1 then self[2] = tostring(reason or "closed") end
  leaf.close(W, self[1], 0)
end

--- End the connection at once, by a reset, dropping what is queued.
---@function conn:reset
function conn:reset()
  if leaf.alive(W, self[1]) == 1 then self[2] = "reset" end
  leaf.close(W, self[1], 1)
end

--- Raise a `fail` error that ends the connection with REASON, unless the handler catches it.
---@function conn:fail
---@param reason any a text, or what tostring makes one of
---@raise fail
function conn:fail(reason)
  error(errors.new("fail", tostring(reason), self), 2)
end

--- One frame in an Erlang packet mode, or nil at the end; see linedancer.PacketMode.
---@function conn:packet
---@async
---@param mode linedancer.PacketMode how frames are cut
---@return string|linedancer.HttpHead|nil frame nil at the end
---@raise truncated, limit, fail (for what is none, with a reason)
function conn:packet(mode)
  return require("linedancer.packet").read(self, mode)
end

--- Facts are looked up when asked for: an idle connection should hold nothing.
local facts = M.facts

function facts.peer(self) return core.peer(self[1]) end
function facts.local_address(self) return core.local_address(self[1]) end
function facts.unsent(self) return tonumber(leaf.unsent(W, self[1])) end
function facts.unread(self) return tonumber(leaf.unread(W, self[1])) end

function facts.state(self)
  local index = core.state_of(self[1])
  return index and self.machine.names[index]
end

function facts.listener(self)
  return self.machine.listener
end

return M
