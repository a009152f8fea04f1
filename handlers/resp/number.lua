--- resp/number: numbers as Redis writes them.
--
-- Integers are doubles here, exact while they are below 2^53; what lies beyond is out of range, where Redis has 64
-- bits.
local M = { MAX = 2 ^ 53 - 1 }

local MAX = M.MAX
local INFINITE = { inf = 1 / 0, ["+inf"] = 1 / 0, ["-inf"] = -1 / 0 }

--- The integer that X, a string or an integer, stands for in its one canonical form; nil for anything else.
function M.integer(x)
  if type(x) == "number" then return x end
  local n = tonumber(x)
  if n and n % 1 == 0 and n >= -MAX and n <= MAX and ("%d"):format(n) == x then return n end
end

--- The double that string S stands for, or nil.
function M.double(s)
  local special = INFINITE[s:lower()]
  if special then return special end
  if not s:find "^[+-]?[%d.]+[eE]?[+-]?%d*$" then return nil end
  return tonumber(s)
end

--- X with as few digits as tell it from any other double.
function M.text(x)
  if x % 1 == 0 and x >= -MAX and x <= MAX then return ("%d"):format(x) end
  if x == 1 / 0 then return "inf" end
  if x == -1 / 0 then return "-inf" end
  for digits = 15, 16 do
    local text = ("%." .. digits .. "g"):format(x)
    if tonumber(text) == x then return text end
  end
  return ("%.17g"):format(x)
end

return M
