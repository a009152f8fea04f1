--- linedancer.order: sets of things that remember in which order they came, so that the same events always do the same.
local M = {}

local last = 0

--- A number above all that it has returned: the value of a new member.
function M.next()
  last = last + 1
  return last
end

--- The members of SET, whose values are such numbers, in the order in which they came.
function M.keys(set)
  local list = {}
  for member in pairs(set) do list[#list + 1] = member end
  table.sort(list, function(a, b) return set[a] < set[b] end)
  return list
end

return M
