--- linedancer.format.reader: generates the functions that read a frame from a connection.
--
-- attach(format) adds read (may open a frame: nil at a clean end), expect, peek and try, each taking a conn, and
-- text_values, which takes the last frame's values as strings and numbers. Formats without groups only. The functions
-- yield themselves, not in a helper: each frame below a wait costs every idle connection memory.
local api = require "linedancer.api"
local awaiting = require "linedancer.await"
local bytes = require "linedancer.bytes"
local ffi = require "ffi"

local M = {}

local HEAD = [[
local leaf, core_unpack, core_values, await, missed, yield, WAIT, R, V, W, ID, str, Slice, FORMAT = ...
local READ, PEEK, TRY, AGAIN = $flags
local M = {}
]]

local TAIL = [[

function M.values(conn)
  return $conn
end

function M.text_values()
  return $text
end

return M
]]

-- A function that waits; each flag has one of its own, so that a trace knows it.
local function waiting(name, flags)
  return ([[

function M.NAME(conn)
  local st = leaf(W, conn[1], ID, FLAGS)
  if st == AGAIN then
    yield(WAIT)
    st = R.status
  end
  if st ~= 0 then return missed(conn, st, FORMAT) end
  return $conn
end
]]):gsub("NAME", name):gsub("FLAGS", flags)
end

local TEMPLATE = HEAD .. waiting("read", "READ") .. waiting("expect", "0") .. waiting("peek", "PEEK") .. [[

function M.try(conn)
  local st = leaf(W, conn[1], ID, TRY)
  if st == AGAIN and R.need > 0 then return nil, R.need end
  if st ~= 0 and await(conn, st, FORMAT) ~= 0 then return nil, 0 end
  return $conn
end
]] .. TAIL

-- With the JIT off, one C call that pushes the values is faster than an FFI call and a load for each of them.
local DIRECT = HEAD .. [[

local function finish(conn, st, ...)
  if st == 0 then return ... end
  if await(conn, st, FORMAT) ~= 0 then return nil end
  return core_values(ID)
end

local function finish_try(conn, st, ...)
  if st == AGAIN and R.need > 0 then return nil, R.need end
  if st ~= 0 and await(conn, st, FORMAT) ~= 0 then return nil, 0 end
  return ...
end

function M.read(conn) return finish(conn, core_unpack(conn[1], ID, READ)) end
function M.expect(conn) return finish(conn, core_unpack(conn[1], ID, 0)) end
function M.peek(conn) return finish(conn, core_unpack(conn[1], ID, PEEK)) end
function M.try(conn) return finish_try(conn, core_unpack(conn[1], ID, TRY)) end
]] .. TAIL

-- Constants in the text become constants of the trace.
local FLAGS = ("%d, %d, %d, %d"):format(api.OPENS, api.OPENS + api.KEEP, api.OPENS + api.NOWAIT, api.status.AGAIN)

local VALUE = {
  number = "V[%d].n", int64 = "V[%d].i", uint64 = "V[%d].u",
  string = "str(R.frame + V[%d].s.off, V[%d].s.len)",
  slice = "Slice(conn[1], R.view, R.base + V[%d].s.off, V[%d].s.len)",
}

-- The results as a Lua expression list, or one table when a field has a name.
local function expression(format, slices)
  local parts, n = {}, 0
  for _, field in ipairs(format.fields) do
    if not field.hidden then
      local kind = field.kind == "slice" and not slices and "string" or field.kind
      local value = VALUE[kind]:gsub("%%d", tostring(n))
      parts[#parts + 1] = field.name and ("[%q] = %s"):format(field.name, value) or value
      n = n + 1
    end
  end
  if n == 0 then return "true" end
  local list = table.concat(parts, ", ")
  return format.shape.named and "{ " .. list .. " }" or list
end

function M.attach(format)
  local shape = format.shape
  local direct = not api.jit and not (shape.slices or shape.named or shape.wide)
  local code = (direct and DIRECT or TEMPLATE):gsub("%$(%a+)", {
    conn = expression(format, true), text = expression(format, false), flags = FLAGS,
  })
  local chunk = assert(loadstring(code, "=format " .. format.source))
  local made = chunk(api.struct.unpack, api.core.unpack, api.core.values, awaiting.await, awaiting.missed,
    coroutine.yield, api.WAIT, api.result, api.values, api.vm, format.id, ffi.string, bytes.Slice, format)
  for name, fn in pairs(made) do format[name] = fn end
end

return M
