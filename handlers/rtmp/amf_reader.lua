--- rtmp/amf_reader: what the decoders of AMF0 and AMF3 read by: the same reader, as one is within the other.
--
-- A reader: text, at = the next byte, size; depth and nodes that are left, of budget; objects = AMF0's, for references;
-- amf3 = the lists of AMF3, once there is any. What is wrong with the input is raised as { amf = text }.
local ld = require "linedancer"

local M = {}

local F64 = ld.format ">d"
local sub = string.sub

--- The input is wrong: TEXT, formatted.
function M.fail(text, ...) error({ amf = text:format(...) }, 0) end

--- N bytes must be there.
function M.need(r, n)
  if r.at + n - 1 > r.size then M.fail("%d bytes are missing", r.at + n - 1 - r.size) end
end

--- The next N bytes, as a string.
function M.take(r, n)
  M.need(r, n)
  r.at = r.at + n
  return sub(r.text, r.at - n, r.at - 1)
end

--- The next eight bytes, as a double; any NaN is one NaN.
function M.f64(r) return (F64:unpack(M.take(r, 8))) end

--- One more value, on the same level.
function M.count(r)
  r.nodes = r.nodes - 1
  if r.nodes < 0 then M.fail("more than %d values", r.budget.nodes) end
end

--- One more value, which FN(r) reads, a level deeper: within the budget, or it fails.
function M.within(r, fn)
  M.count(r)
  r.depth = r.depth - 1
  if r.depth < 0 then M.fail("nested more than %d deep", r.budget.depth) end
  local value = fn(r)
  r.depth = r.depth + 1
  return value
end

return M
