--- linedancer.counter: named numbers that only grow, kept for as long as the worker lives.
local M = {}

local Counter = {}
Counter.__index = Counter

--- A named number that only grows.
---@class linedancer.Counter
---@field name string by which it is known
---@field value number how much it is

local known = {}

--- Add N (default 1), which is not negative, and return the new value.
---@function counter:add
---@param n? number by how much (1)
---@return number value
function Counter:add(n)
  n = n or 1
  if type(n) ~= "number" or n ~= n or n < 0 then error("a counter only grows, so not by " .. tostring(n), 2) end
  self.value = self.value + n
  return self.value
end

--- The counter called NAME, zero when it is new.
---@function ld.counter
---@param name string what it is called
---@return linedancer.Counter counter
function M.get(name)
  local counter = known[name]
  if not counter then
    counter = setmetatable({ name = name, value = 0 }, Counter)
    known[name] = counter
  end
  return counter
end

return M
