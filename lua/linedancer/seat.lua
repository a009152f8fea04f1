--- linedancer.seat: the numbers and texts in messages to and of the supervisor, which core/seat.h lists.

local M = {}

local SHORT = "a message of the supervisor is cut short"

local function bytes(n, count)
  if count == 0 then return "" end
  return bytes(math.floor(n / 256), count - 1) .. string.char(n % 256)
end

--- N in two bytes, or in four.
function M.u16(n) return bytes(n, 2) end
function M.u32(n) return bytes(n, 4) end

--- TEXT after its length.
function M.s2(text) return M.u16(#text) .. text end

--- The number in COUNT bytes at byte POS of MESSAGE; an error when it is cut short.
function M.read(message, pos, count)
  local n = 0
  for i = pos, pos + count - 1 do n = n * 256 + (message:byte(i) or error(SHORT)) end
  return n
end

--- The text with a length that begins at byte POS of MESSAGE, and where it ends; an error when it is cut short.
function M.read_s2(message, pos)
  local till = pos + 1 + M.read(message, pos, 2)
  if till > #message then error(SHORT) end
  return message:sub(pos + 2, till), till + 1
end

return M
