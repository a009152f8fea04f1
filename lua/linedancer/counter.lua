--- linedancer.counter: named numbers that only grow, kept for as long as the worker lives.
local M = {}

local Counter = {}
Counter.__index = Counter

local known = {}

--- Add N (default 1) and return the new value.
function Counter:add(n)
  self.value = self.value + (n or 1)
  return self.value
end

--- The counter called NAME, zero when it is new.
function M.get(name)
  local counter = known[name]
  if not counter then
    counter = setmetatable({ name = name, value = 0 }, Counter)
    known[name] = counter
  end
  return counter
end

return M
