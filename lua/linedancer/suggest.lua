--- suggest: finds the name that was probably meant, and words the messages about wrong names.
--
-- Knows nothing of what is named. Candidates are arrays of strings; on a tie the earlier one wins.

local MAX_LISTED = 16

local M = {}

-- Damerau-Levenshtein (adjacent transpositions) between byte strings.
local function distance(a, b)
  local before, last, row = {}, {}, {}
  for j = 0, #b do last[j] = j end
  for i = 1, #a do
    row[0] = i
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local d = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        d = math.min(d, before[j - 2] + 1)
      end
      row[j] = d
    end
    before, last, row = last, row, before
  end
  return last[#b]
end

-- How many edits still look like a slip: one in three letters, but never the whole name.
local function tolerance(a, b)
  local longer, shorter = math.max(#a, #b), math.min(#a, #b)
  return math.min(math.max(1, math.floor(longer / 3)), shorter - 1)
end

--- The candidate nearest to NAME, or nil when none is near. Case is ignored.
function M.nearest(name, candidates)
  if type(name) ~= "string" then return nil end
  local wanted, best, best_distance = name:lower(), nil, math.huge
  for _, candidate in ipairs(candidates) do
    local offered = candidate:lower()
    local most = tolerance(wanted, offered)
    -- The difference in length bounds the distance from below, so a huge name costs nothing.
    if math.abs(#wanted - #offered) <= most then
      local d = wanted == offered and 0 or distance(wanted, offered)
      if d <= most and d < best_distance then best, best_distance = candidate, d end
    end
  end
  return best
end

--- The string keys of MAP, sorted: candidates for nearest().
function M.keys(map)
  local names = {}
  for name in pairs(map) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

--- " (did you mean 'x'?)", or " (known: a, b)" when nothing is near and the list is short, or "".
function M.hint(name, candidates)
  local near = M.nearest(name, candidates)
  if near then return (" (did you mean '%s'?)"):format(near) end
  if #candidates == 0 or #candidates > MAX_LISTED then return "" end
  return " (known: " .. table.concat(candidates, ", ") .. ")"
end

--- "unknown key 'handlr' (did you mean 'handler'?)"; KIND is "key", "option", "command", ...
function M.unknown(kind, name, candidates)
  return ("unknown %s '%s'%s"):format(kind, tostring(name), M.hint(name, candidates))
end

return setmetatable(M, { __call = function(_, name, candidates) return M.nearest(name, candidates) end })
