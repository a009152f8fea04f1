--- linedancer.testing.splits: the same bytes, cut in all the ways that TCP might.
local shape = require "linedancer.shape"

local M = {}

local RANDOM_RUNS = 20
local eof -- t.eof, looked up when needed: linedancer.testing requires this module

-- The script's consecutive strings joined, so that cuts go across them: an array of { text } and { step }.
local function joined(script)
  local parts = {}
  for _, item in ipairs(script) do
    local last = parts[#parts]
    if type(item) == "string" and last and last.text then
      last.text = last.text .. item
    elseif type(item) == "string" then
      parts[#parts + 1] = { text = item }
    else
      parts[#parts + 1] = { step = item }
    end
  end
  return parts
end

-- A script in which part AT is cut by CUT(text), an array of strings.
local function with_cut(parts, at, cut)
  local script = {}
  for i, part in ipairs(parts) do
    if not part.text then
      script[#script + 1] = part.step
    elseif i == at or at == nil then
      for _, piece in ipairs(cut(part.text)) do script[#script + 1] = piece end
    else
      script[#script + 1] = part.text
    end
  end
  return script
end

local function singles(text)
  local pieces = {}
  for i = 1, #text do pieces[i] = text:sub(i, i) end
  return pieces
end

-- Random, but the same every time.
local function random_cutter(seed)
  local x = seed
  return function(text)
    local pieces, from = {}, 1
    while from <= #text do
      x = (x * 1103515245 + 12345) % 2 ^ 31
      local to = math.min(#text, from + math.floor(x / 65536) % 7)
      pieces[#pieces + 1] = text:sub(from, to)
      from = to + 1
    end
    return pieces
  end
end

local function show(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts, names = {}, {}
  for key in pairs(value) do names[#names + 1] = key end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(names) do
    parts[i] = (type(key) == "number" and "" or key .. " = ") .. show(value[key])
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function pieces_of(script)
  local parts = {}
  for i, item in ipairs(script) do parts[i] = type(item) == "string" and ("%q"):format(item) or "step" end
  return table.concat(parts, " ")
end

local function check(play, value, script, expected, opts)
  local run, path = play(value, script, opts)
  for _, key in ipairs { "sent", "reason", "state" } do
    if not shape.same(expected[key], run[key]) then
      error(("split as %s: %s is %s, not %s"):format(pieces_of(script), key, show(run[key]), show(expected[key])), 0)
    end
  end
  if expected.path and not shape.same(expected.path, path) then
    error(("split as %s: the path is %s, not %s"):format(pieces_of(script), show(path), show(expected.path)), 0)
  end
end

--- See linedancer.testing.every_split. PLAY is its play.
function M.every_split(play, value, script, expected, opts)
  local parts, runs = joined(script), 0
  local function try(at, cut)
    runs = runs + 1
    check(play, value, with_cut(parts, at, cut), expected, opts)
  end
  try(nil, function(text) return { text } end)
  try(nil, singles)
  for i, part in ipairs(parts) do
    for at = 1, part.text and #part.text - 1 or 0 do
      try(i, function(text) return { text:sub(1, at), text:sub(at + 1) } end)
    end
  end
  for seed = 1, RANDOM_RUNS do try(nil, random_cutter(seed)) end
  return runs
end

--- See linedancer.testing.every_truncation.
function M.every_truncation(play, value, text, opts)
  eof = eof or require("linedancer.testing").eof
  for size = 0, #text do
    local run = play(value, { text:sub(1, size), eof }, opts)
    if run.reason ~= "done" and run.reason ~= "truncated" then
      error(("cut after %d of %d bytes: reason is %s (%s)"):format(size, #text, show(run.reason),
        tostring(run.error)), 0)
    end
  end
  return #text + 1
end

return M
