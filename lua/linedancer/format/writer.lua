--- linedancer.format.writer: generates the functions that write a frame to a connection.
--
-- attach(format) adds write(conn, ...), which encodes straight into the output, and set_args(...), which only fills
-- the args for some other call and returns their number. Formats without groups only.
local api = require "linedancer.api"
local bytes = require "linedancer.bytes"
local errors = require "linedancer.errors"

local M = {}

local status = api.status
local A = api.args
local Int64, Uint64 = require("ffi").typeof "int64_t", require("ffi").typeof "uint64_t"

--- args[i] is the value X of FIELD; any kind, checked.
function M.set_arg(i, x, field)
  local kind = type(x)
  if field.kind == "string" or field.kind == "slice" then
    return bytes.set_arg(i, x, 3)
  elseif kind == "number" then
    A[i].kind, A[i].n = api.NUMBER, x
  elseif kind == "cdata" and require("ffi").istype(Int64, x) then
    A[i].kind, A[i].i = api.INT64, x
  elseif kind == "cdata" and require("ffi").istype(Uint64, x) then
    A[i].kind, A[i].u = api.UINT64, x
  else
    local name = field.name and ("field '%s'"):format(field.name) or "value " .. i + 1
    error(("%s: number expected, got %s"):format(name, x == nil and "nothing" or kind), 3)
  end
end

local WHY = {
  range = "does not fit its field", limit = "is too long for its field",
  mismatch = "is missing, of the wrong kind or length, or holds its own delimiter",
}

--- Raise what the core said of the args of FORMAT.
function M.fail(format, st)
  if st == status.STALE then error(errors.new "stale", 3) end
  local i = api.result.field
  local n, culprit = 0, nil
  for _, field in ipairs(format.fields) do
    if not field.hidden and field.kind ~= "end" then
      if n == i then culprit = field end
      n = n + 1
    end
  end
  local name = culprit and culprit.name or i + 1
  local code = status[st]
  error(errors.new(code, ("value %s of %s %s"):format(name, tostring(format), WHY[code] or code), nil,
    { field = name }), 3)
end

local TEMPLATE = [[
local pack, core_pack, set_arg, fail, A, REFS, W, ID, FORMAT, FIELDS, NUMBER, BYTES, SLICE, Slice, istype = ...
local type = type
local M = {}

local function set($params)
$set
end

function M.write(conn$more)
  set($args)
  local st = pack(W, conn[1], ID, $count)
  if st ~= 0 then fail(FORMAT, st) end
end

function M.set_args($params)
  set($args)
  return $count
end

return M
]]

local DIRECT = [[
local plain = M.write
function M.write(conn$more)
  local st = core_pack(conn[1], ID$more)
  if st == nil then return plain(conn$more) end
  if st ~= 0 then fail(FORMAT, st) end
end

return M
]]

local SET_NUMBER = [[
  if type(a%d) == "number" then A[%d].kind = NUMBER A[%d].n = a%d else set_arg(%d, a%d, FIELDS[%d]) end]]
local SET_BYTES = [[
  if type(a%d) == "string" then A[%d].kind = BYTES A[%d].p = a%d A[%d].len = #a%d
  elseif istype(Slice, a%d) then
    A[%d].kind = SLICE A[%d].len = a%d.len REFS[%d].conn = a%d.conn REFS[%d].view = a%d.view REFS[%d].off = a%d.off
  else set_arg(%d, a%d, FIELDS[%d]) end]]

-- A named field that says how long another one is need not be given.
local function fill_in(format, lines)
  for i, field in ipairs(format.fields) do
    local of = field.ref and format.fields[field.ref]
    if of and (field.kind == "string" or field.kind == "slice") then
      lines[#lines + 1] = ("  if a%d == nil and a%d ~= nil then a%d = #a%d - (%d) end"):format(
        of.arg, format.fields[i].arg, of.arg, field.arg, field.adjust)
    end
  end
end

-- With names, the one argument is a table: take it apart first.
local function take_apart(format, lines, visible)
  local position = 0
  for _, field in ipairs(visible) do
    position = position + (field.name and 0 or 1)
    lines[#lines + 1] = ("  local a%d = t[%s]"):format(field.arg,
      field.name and ("%q"):format(field.name) or position)
  end
  fill_in(format, lines)
end

function M.attach(format)
  local visible, names, lines = {}, {}, {}
  for _, field in ipairs(format.fields) do
    if not field.hidden then
      field.arg = #visible
      visible[#visible + 1] = field
      names[#names + 1] = "a" .. field.arg
    end
  end
  local named = format.shape.named
  if named then take_apart(format, lines, visible) end
  for i, field in ipairs(visible) do
    local text = (field.kind == "string" or field.kind == "slice") and SET_BYTES or SET_NUMBER
    lines[#lines + 1] = text:gsub("FIELDS%[%%d%]", "FIELDS[" .. i .. "]"):gsub("%%d", tostring(field.arg))
  end
  local params = named and "t" or table.concat(names, ", ")
  local code = TEMPLATE
  if not api.jit and not named then code = code:gsub("return M%s*$", "") .. DIRECT end
  code = code:gsub("%$(%a+)", {
    params = params, args = params, more = params == "" and "" or ", " .. params,
    set = table.concat(lines, "\n"), count = tostring(#visible),
  })
  local chunk = assert(loadstring(code, "=format " .. format.source))
  local made = chunk(api.struct.pack, api.core.pack, M.set_arg, M.fail, A, api.refs, api.vm, format.id, format,
    visible, api.NUMBER, api.BYTES, api.SLICE, bytes.Slice, require("ffi").istype)
  format.write, format.set_args = made.write, made.set_args
end

return M
