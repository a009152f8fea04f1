--- What the fuzzers of handlers share: BYTES are played whole and cut, and both must come to the same.
--
-- The first byte of an input says how it is cut; the others are what the peer sends.
local log = require "linedancer.log"
local t = require "linedancer.testing"

local M = {}

local faults = {}

-- An `error` of code, not of the peer, is what is looked for.
for _, level in ipairs { "debug", "info", "warn", "error" } do
  log[level] = function(text, fields)
    if fields and fields.code == "error" then
      faults[#faults + 1] = ("%s: %s\n%s"):format(text, tostring(fields.error), tostring(fields.traceback))
    end
  end
end

--- Raise the faults that were logged, and ERR, if that is one.
function M.check(err)
  if err and err.code == "error" then faults[#faults + 1] = tostring(err) .. "\n" .. tostring(err.traceback) end
  local text = table.concat(faults, "\n")
  faults = {}
  if text ~= "" then error(text, 0) end
end

--- INPUT as its bytes, and these in pieces.
function M.cut(input)
  local x, bytes, pieces, from = input:byte() or 0, input:sub(2), {}, 1
  local most = x % 2 == 0 and 3 or 40
  while from <= #bytes do
    x = (x * 1103515245 + 12345) % 2 ^ 31
    local to = from + math.floor(x / 65536) % most
    pieces[#pieces + 1] = bytes:sub(from, to)
    from = to + 1
  end
  return bytes, pieces
end

local function show(value)
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

--- A and B, what came of the bytes whole and in pieces, are the same at each of KEYS, an array.
function M.same(a, b, keys)
  for _, key in ipairs(keys) do
    if a[key] ~= b[key] then error(("%s: %s whole, %s in pieces"):format(key, show(a[key]), show(b[key])), 0) end
  end
end

--- Play HANDLER with INPUT, both ways. BEFORE(), when given, has everything as in the beginning. OPTS as for t.play.
function M.alike(handler, input, opts, before)
  local bytes, pieces = M.cut(input)
  pieces[#pieces + 1] = t.eof
  local runs = {}
  for i, script in ipairs { { bytes, t.eof }, pieces } do
    if before then before() end
    runs[i] = t.play(handler, script, opts)
    M.check(runs[i].error)
  end
  M.same(runs[1], runs[2], { "sent", "reason", "state" })
end

return M
