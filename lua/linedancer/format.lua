--- linedancer.format: compiled frame formats, and the functions that each one gets.
--
-- The core compiles a format to a program (core/format.h). Here, a few lines of Lua are generated for it, so that the
-- values of a frame become Lua values without a loop: a fixed list of results, or one table when fields have names.
-- Formats with repeats and conditionals go through linedancer.format.tree instead.
local api = require "linedancer.api"
local errors = require "linedancer.errors"
local reader = require "linedancer.format.reader"
local tree = require "linedancer.format.tree"
local writer = require "linedancer.format.writer"
local ffi = require "ffi"

local M = {}

local core, W, R = api.core, api.vm, api.result
local leaf, status = api.struct, api.status
local unpack_bytes, pack_bytes, buffer_pack = leaf.unpack_bytes, leaf.pack_bytes, leaf.buffer_pack
local format_free = leaf.format_free
local ffi_string = ffi.string

--- A compiled format.
---@class linedancer.Format
---@field source string its text

--- A format, or its text, which is compiled once and cached.
---@alias linedancer.FormatLike string|linedancer.Format

local CACHE_MAX = 512 -- formats known by their text, twice: the recent ones and those before

local Format = { __name = "linedancer.format" }
Format.__index = Format

function Format:__tostring()
  return ("format %q"):format(self.source)
end

-- The core's program goes when nothing refers to the format any more.
ffi.cdef "struct ld_format_ref { const double id; };"
local Ref = ffi.metatype("struct ld_format_ref", { __gc = function(ref) format_free(W, ref.id) end })

-- Which fields there are, and whether the results are fixed in number and named.
local function survey(fields)
  local shape = { dynamic = false, named = false, slices = false, wide = false, empty = true }
  for _, field in ipairs(fields) do
    if not field.hidden then shape.empty = false end
    if field.kind == "repeat" or field.kind == "if" then shape.dynamic = true end
    if field.kind == "slice" then shape.slices = true end
    if field.kind == "int64" or field.kind == "uint64" then shape.wide = true end
    if field.name and not field.hidden then shape.named = true end
  end
  return shape
end

local function compile(source)
  local id, fields, message = core.format(source)
  if not id then
    error(("bad format %q: column %d: %s"):format(source, fields, message), 0)
  end
  local format = setmetatable({
    source = source, id = id, fields = fields, shape = survey(fields), ref = Ref(id),
  }, Format)
  if format.shape.dynamic then
    tree.attach(format)
  else
    reader.attach(format)
    writer.attach(format)
  end
  return format
end

local recent, before, count = {}, {}, 0

local aliases = setmetatable({}, { __mode = "k" }) -- formats by what stands for them

--- From now on X, a table, may be given wherever FORMAT may.
function M.alias(x, format) aliases[x] = format end

-- By text, and by object so that either may be given wherever a format is expected.
local function lookup(source)
  if getmetatable(source) == Format then return source end
  if source ~= nil and aliases[source] then return aliases[source] end
  if type(source) ~= "string" then error("format expected, got " .. type(source), 0) end
  local format = before[source] or compile(source)
  if count >= CACHE_MAX then recent, before, count = {}, recent, 0 end
  recent[source] = format
  count = count + 1
  return format
end

--- The format with this text, compiled once and cached. SOURCE may also be a format. Raises a message with the
-- column of a syntax error.
function M.of(source)
  return recent[source] or lookup(source)
end

local function fail(st, format)
  local name = status[st]
  if st == status.AGAIN then
    error(errors.new("truncated", ("%d more bytes are needed"):format(R.need)), 3)
  end
  local field = format.fields[R.field + 1]
  error(errors.new(name, nil, nil, { offset = R.size, field = field and field.name or R.field + 1 }), 3)
end

local function after(pos, ...)
  local n = select("#", ...)
  local results = { ... }
  results[n + 1] = pos
  return unpack(results, 1, n + 1)
end

--- Decode TEXT (a string, or bytes) from POS (default 1): the values, then the position after them, as string.unpack
-- does. Slice fields become strings. Raises an error object: truncated, mismatch, range, varint or limit.
---@function format:unpack
---@param text linedancer.Data what it is in
---@param pos? integer where it begins, negative from the end
---@return any ... its values, and the position behind it
---@raise truncated, mismatch, range, varint, limit
function Format:unpack(text, pos)
  if type(text) ~= "string" then text = tostring(text) end
  pos = pos or 1
  if pos < 0 then pos = #text + pos + 1 end
  if pos < 1 or pos > #text + 1 then error("initial position out of string", 2) end
  local rest = pos == 1 and text or text:sub(pos)
  local st = unpack_bytes(W, self.id, rest, #rest)
  if st ~= 0 then fail(st, self) end
  if self.shape.empty then return pos + R.size end
  return after(pos + R.size, self.text_values())
end

--- Encode values; the reverse of unpack. Lengths of named fields are filled in from their bytes when left out. Raises
-- an error object (range, limit, mismatch) for a value that does not fit.
---@function format:pack
---@param ... any its values
---@return string bytes
---@raise range, limit, mismatch
function Format:pack(...)
  local n = self.set_args(...)
  local st = pack_bytes(W, self.id, n)
  if st ~= 0 then writer.fail(self, st) end
  return ffi_string(R.frame, R.size)
end

--- Encode values to the end of BUFFER.
function Format:pack_into(buffer, ...)
  local n = self.set_args(...)
  local st = buffer_pack(W, buffer.handle, self.id, n)
  if st == status.BUSY then error(errors.new("busy", "the buffer is sealed"), 3) end
  if st ~= 0 then writer.fail(self, st) end
end

return M
