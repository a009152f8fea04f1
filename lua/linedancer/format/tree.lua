--- linedancer.format.tree: formats with repeats and conditionals.
--
-- The core gives values in field order: a repeat's count, then its items; a conditional's 0 or 1, then its fields.
-- Here they become nested Lua values and back. A group of one unnamed field is that value, any other group a table;
-- a repeat is an array; positional fields of an absent conditional are nil.
local api = require "linedancer.api"
local await = require("linedancer.await").await
local bytes = require "linedancer.bytes"
local errors = require "linedancer.errors"
local writer = require "linedancer.format.writer"
local ffi = require "ffi"

local M = {}

local A, R, V, W = api.args, api.result, api.values, api.vm

-- The fields as a tree: { kind, name, hidden, ref, adjust, [1..n] = children }, and `single` when it is one value.
local function grow(fields)
  local root = { kind = "frame" }
  local stack = { root }
  for _, field in ipairs(fields) do
    local top = stack[#stack]
    if field.kind == "end" then
      stack[#stack] = nil
    else
      top[#top + 1] = field
      if field.name and not field.hidden then top.named = true end
      if field.kind == "repeat" or field.kind == "if" then stack[#stack + 1] = field end
    end
  end
  return root
end

local function is_single(group)
  return #group == 1 and not group.named and not group[1].hidden
end

local read_group

-- Append field's value, or for a conditional its fields' values, to OUT; N counts the positional ones.
local function read_field(field, out, n, at, conn)
  local kind = field.kind
  local v = V[at]
  if field.hidden then return n, at end
  if kind == "if" then
    if v.n == 0 then return n + (field.named and 0 or #field), at + 1 end
    return read_group(field, out, n, at + 1, conn)
  end
  local value
  at = at + 1
  if kind == "repeat" then
    value = {}
    for i = 1, v.n do
      local item = {}
      local _, next_at = read_group(field, item, 0, at, conn)
      value[i] = is_single(field) and item[1] or item
      at = next_at
    end
  elseif kind == "string" or (kind == "slice" and not conn) then
    value = ffi.string(R.frame + v.s.off, v.s.len)
  elseif kind == "slice" then
    value = bytes.Slice(conn[1], R.view, R.base + v.s.off, v.s.len)
  else
    value = kind == "int64" and v.i or kind == "uint64" and v.u or v.n
  end
  if field.name then
    out[field.name] = value
    return n, at
  end
  out[n + 1] = value
  return n + 1, at
end

function read_group(group, out, n, at, conn)
  for _, field in ipairs(group) do n, at = read_field(field, out, n, at, conn) end
  return n, at
end

local function has_names(group)
  if group.named then return true end
  for _, field in ipairs(group) do
    if field.kind == "if" and has_names(field) then return true end
  end
  return false
end

local function take(root, named, conn)
  local out = {}
  local n = read_group(root, out, 0, 0, conn)
  if named then return out end
  if n == 0 then return true end
  return unpack(out, 1, n)
end

local write_group

-- A length, count or condition that was left out is what its user says it is.
local function fill_in(group, values, root_fields)
  for _, field in ipairs(group) do
    local of = field.ref and root_fields[field.ref]
    if of and of.name and values[of.name] == nil then
      local user = field.name and values[field.name]
      if user ~= nil and field.kind ~= "if" then values[of.name] = #user - field.adjust end
    end
  end
end

local function write_field(field, values, n, at, fields)
  if field.hidden then return n, at end
  if field.kind == "if" then
    local mark = at
    n, at = write_group(field, values, n, at + 1, fields)
    A[mark].kind, A[mark].len = api.GROUP, at - mark - 1
    return n, at
  end
  local value
  if field.name then value = values[field.name] else n = n + 1; value = values[n] end
  if at >= 4096 then error(errors.new("limit", "more than 4096 values in one frame"), 3) end
  if field.kind ~= "repeat" then
    if value == nil then A[at].kind = api.NIL else writer.set_arg(at, value, field) end
    return n, at + 1
  end
  value = value or {}
  A[at].kind, A[at].n = api.COUNT, #value
  at = at + 1
  for _, item in ipairs(value) do
    local record = is_single(field) and { item } or item
    local _, next_at = write_group(field, record, 0, at, fields)
    at = next_at
  end
  return n, at
end

function write_group(group, values, n, at, fields)
  fill_in(group, values, fields)
  for _, field in ipairs(group) do n, at = write_field(field, values, n, at, fields) end
  return n, at
end

function M.attach(format)
  local root = grow(format.fields)
  local named = has_names(root)
  local leaf, id = api.struct.unpack, format.id
  local OPENS, KEEP, NOWAIT, AGAIN = api.OPENS, api.KEEP, api.NOWAIT, api.status.AGAIN

  local function read(flags)
    return function(conn)
      local st = leaf(W, conn[1], id, flags)
      if st ~= 0 and await(conn, st, format) ~= 0 then return nil end
      return take(root, named, conn)
    end
  end

  format.read, format.expect, format.peek = read(OPENS), read(0), read(OPENS + KEEP)

  function format.try(conn)
    local st = leaf(W, conn[1], id, OPENS + NOWAIT)
    if st == AGAIN and R.need > 0 then return nil, R.need end
    if st ~= 0 and await(conn, st, format) ~= 0 then return nil, 0 end
    return take(root, named, conn)
  end

  function format.text_values()
    return take(root, named, nil)
  end

  function format.set_args(...)
    local values = { ... }
    if named then
      values = {}
      for key, value in pairs((...)) do values[key] = value end
    end
    local _, at = write_group(root, values, 0, 0, format.fields)
    return at
  end

  function format.write(conn, ...)
    local count = format.set_args(...)
    local st = api.struct.pack(W, conn[1], id, count)
    if st ~= 0 then writer.fail(format, st) end
  end
end

return M
