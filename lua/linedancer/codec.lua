--- linedancer.codec: which values can be sent, and what they are as bytes for another process.
--
-- A message is a plain Lua value: nil, a boolean, number, string, 64-bit integer, slice, buffer or blob, or a table of
-- these with string, number and boolean keys, nested at most 32 deep. In one worker it is not copied: do not change a
-- table that you have sent. Bytes arrive as blobs: a slice is copied once, a buffer is sealed.
local buffer = require "string.buffer"
local bytes = require "linedancer.bytes"
local errors = require "linedancer.errors"
local ffi = require "ffi"
local jit = require "jit"

local M = {}

--- Bytes of an encoded message, and values in any message, at most.
M.MAX = 2 ^ 24

local MAX, MAX_DEPTH, KEEP_SPACE = M.MAX, 32, 2 ^ 20
local PLAIN = { ["nil"] = true, boolean = true, number = true, string = true }
local KEY = { boolean = true, number = true, string = true }
local NOUN = { ["function"] = "a function", thread = "a coroutine", userdata = "userdata", cdata = "an FFI object" }
local Slice, Buffer = bytes.Slice, bytes.Buffer
local Int64, Uint64 = ffi.typeof "int64_t", ffi.typeof "uint64_t"
local istype = ffi.istype

-- The metatable of what stands for a blob between processes: { its bytes }.
local Blob = {}

local left = 0 -- what the message at hand may still hold: values, and bytes that are no strings
local marked = false -- it holds a Blob

-- What goes to a coroutine of this worker for X, a cdata; nil when it cannot be sent.
local function keep(x)
  if istype(Buffer, x) or istype(Slice, x) then return x:keep() end
  if istype(Int64, x) or istype(Uint64, x) then return x end
  return nil
end

-- What goes into string.buffer for X, a cdata; nil when it cannot be sent.
local function mark(x)
  if istype(Buffer, x) or istype(Slice, x) then
    left = left - #x
    if left < 0 then return nil end
    marked = true
    return setmetatable({ tostring(x) }, Blob)
  end
  if istype(Int64, x) or istype(Uint64, x) then return x end
  return nil
end

-- T with every cdata in it as CONVERT has it: T itself when they stay, a copy as far as it has to be one otherwise;
-- nil when something in it cannot be sent.
local function convert_table(t, depth, convert)
  if depth > MAX_DEPTH or getmetatable(t) ~= nil then return nil end
  local copy
  for key, value in next, t do
    left = left - 1
    if left < 0 or not KEY[type(key)] then return nil end
    local kind = type(value)
    if not PLAIN[kind] then
      local new
      if kind == "table" then
        new = convert_table(value, depth + 1, convert)
      elseif kind == "cdata" then
        new = convert(value)
      end
      if new == nil then return nil end
      if not rawequal(new, value) then
        if not copy then
          copy = {}
          for k, v in next, t do copy[k] = v end
        end
        copy[key] = new
      end
    end
  end
  return copy or t
end

local function step(key)
  if type(key) ~= "string" then return "[" .. tostring(key) .. "]" end
  if #key <= 40 and key:find "^[%a_][%w_]*$" then return "." .. key end
  return ("[%q]"):format(key:sub(1, 40))
end

local function class_problem(class, path)
  local name = type(class) == "table" and rawget(class, "__name")
  if name == "linedancer.conn" or name == "linedancer.task" then
    return ("%s is a %s: send its id instead"):format(path, name:match "%a+$")
  end
  if name == "linedancer.error" then return path .. " is an error object: send tostring() of it, or its code" end
  return path .. " is a table with a metatable"
end

-- Why X, called PATH, cannot be sent; nil when it can. ABOVE has the tables that it is in.
local function problem_of(x, path, depth, above)
  local kind = type(x)
  if PLAIN[kind] or istype(Buffer, x) or istype(Slice, x) or istype(Int64, x) or istype(Uint64, x) then return nil end
  if kind ~= "table" then return path .. " is " .. NOUN[kind] end
  if above[x] then return path .. " is a table that holds it: a cycle" end
  if depth > MAX_DEPTH then return path .. " is nested more than " .. MAX_DEPTH .. " tables deep" end
  local class = getmetatable(x)
  if class ~= nil then return class_problem(class, path) end
  above[x] = true
  for key, value in next, x do
    if not KEY[type(key)] then return ("%s has a %s as a key"):format(path, type(key)) end
    local problem = problem_of(value, path .. step(key), depth + 1, above)
    if problem then return problem end
  end
  above[x] = nil
end

local function too_large(what)
  return errors.new("limit", ("a message holds at most %d %s"):format(MAX, what))
end

-- X, which is not plain, converted; or nil and why not.
local function convert_value(x, convert)
  local new
  local kind = type(x)
  if kind == "table" then
    new = convert_table(x, 1, convert)
  elseif kind == "cdata" then
    new = convert(x)
  end
  if new ~= nil then return new end
  if left < 0 then return nil, too_large(convert == mark and "bytes" or "values") end
  return nil, problem_of(x, "message", 1, {})
end

--- X as it is handed to a coroutine of this worker; or nil and why it cannot be sent: a text or, when it is too large,
-- an error object. Raises `stale` for a slice that has had its time.
function M.prepare(x)
  if PLAIN[type(x)] then return x end
  left = MAX
  return convert_value(x, keep)
end

local encoder = buffer.new { metatable = { Blob } }
local decoder = buffer.new { metatable = { Blob } }

-- A buffer's own length must not be asked for between calls that move its ends: LuaJIT 2.1 of 2022, in compiled code,
-- may take it for what it was before.
local function finish()
  local text = encoder:tostring()
  if #text > KEEP_SPACE then encoder:free() end -- what one large message took is not kept
  if #text > MAX then return nil, too_large "bytes" end
  return text
end

--- Values as a string for decode(); or nil and why they cannot be sent, as of prepare().
function M.encode(...)
  local count = select("#", ...)
  encoder:reset()
  encoder:encode(count)
  left, marked = MAX, false
  for i = 1, count do
    local value, problem = (select(i, ...)), nil
    if not PLAIN[type(value)] then value, problem = convert_value(value, mark) end
    if problem then return nil, problem end
    encoder:encode(value)
  end
  encoder:put(marked and "\1" or "\0")
  return finish()
end

-- T with every Blob in it as a blob.
local function restore(t)
  if getmetatable(t) == Blob then return bytes.blob(t[1]) end
  for key, value in next, t do
    if type(value) == "table" then t[key] = restore(value) end
  end
  return t
end

-- What walks tables within tables is left to the interpreter: compiled by LuaJIT 2.1 of 2022, a loop over a table that
-- calls itself now and then ends early.
jit.off(convert_table)
jit.off(problem_of)
jit.off(restore)

--- The values that TEXT, of encode(), stands for: an array, in which some may be nil, and their number. Raises an error
-- for anything else.
function M.decode_list(text)
  decoder:set(text)
  local list, count, has_blobs = {}, decoder:decode(), text:byte(-1) == 1
  for i = 1, count do
    local value = decoder:decode()
    if has_blobs and type(value) == "table" then value = restore(value) end
    list[i] = value
  end
  decoder:free()
  return list, count
end

--- The same, as that many results.
function M.decode(text)
  local list, count = M.decode_list(text)
  return unpack(list, 1, count)
end

return M
