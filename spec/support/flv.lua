--- flv: what an FLV file holds, read by the book and not by the code that writes it.
local M = {}

local function number(text, at, n)
  local value = 0
  for i = at, at + n - 1 do value = value * 256 + text:byte(i) end
  return value
end

--- The tags in TEXT, as { kind, time, body }; and the bytes behind the last whole one. Raises for what is no FLV.
function M.tags(text)
  assert(text:sub(1, 4) == "FLV\1" and text:sub(6, 13) == "\0\0\0\9\0\0\0\0", "no FLV header")
  local list, at = {}, 14
  while #text - at + 1 >= 15 do
    local size = number(text, at + 1, 3)
    if at + 11 + size + 3 > #text then break end
    assert(number(text, at + 8, 3) == 0, "a stream id")
    assert(number(text, at + 11 + size, 4) == size + 11, "the size behind a tag")
    list[#list + 1] = {
      text:byte(at), number(text, at + 4, 3) + text:byte(at + 7) * 2 ^ 24, text:sub(at + 11, at + 10 + size),
    }
    at = at + 15 + size
  end
  return list, text:sub(at)
end

--- The same of the file called PATH.
function M.file(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return M.tags(text)
end

return M
