--- resp/skiplist: members in the order of their scores, equal ones in that of their bytes.
--
--   head --------------------> c ----------> nil      level 3
--   head ------> a ----------> c ----------> nil      level 2
--   head ------> a ----> b --> c ----> d --> nil      level 1: node[1] is the next one
--
-- A node is { score =, member =, [level] = next node of that level }, and in one of four nodes there is one level more.
local M = {}

local LEVELS = 24

local random = math.random
local path = {} -- by level, the last node before the place that was looked for

function M.new()
  return { height = 1 }
end

-- Is NODE before the place of SCORE and MEMBER? LuaJIT compares strings by their bytes, whatever the locale.
local function is_before(node, score, member)
  if node.score ~= score then return node.score < score end
  return node.member < member
end

local function seek(list, score, member)
  local node = list
  for level = list.height, 1, -1 do
    local next_one = node[level]
    while next_one and is_before(next_one, score, member) do
      node = next_one
      next_one = node[level]
    end
    path[level] = node
  end
  return node[1]
end

--- Insert MEMBER, which is not there.
function M.insert(list, score, member)
  seek(list, score, member)
  local height = 1
  while height < LEVELS and random(4) == 1 do height = height + 1 end
  for level = list.height + 1, height do path[level] = list end
  if height > list.height then list.height = height end
  local node = { score = score, member = member }
  for level = 1, height do
    node[level] = path[level][level]
    path[level][level] = node
  end
end

--- Remove MEMBER, which is there with SCORE.
function M.remove(list, score, member)
  local node = seek(list, score, member)
  for level = 1, list.height do
    if path[level][level] ~= node then break end
    path[level][level] = node[level]
  end
  while list.height > 1 and not list[list.height] do list.height = list.height - 1 end
end

return M
