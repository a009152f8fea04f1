--- resp/glob: Redis's patterns: * ? [abc] [^a-z] and \x for x itself. Time grows with the product of both lengths, at
-- worst: only the last * is ever tried again.
local M = {}

local byte = string.byte
local STAR, ANY, OPEN, CLOSE, ESCAPE, NOT, DASH = byte("*?[]\\^-", 1, 7)

-- Does C belong to the class that opens at P? Also the place behind it; an open class ends with the pattern.
local function in_class(pattern, p, c)
  local found = false
  p = p + 1
  local negated = byte(pattern, p) == NOT
  if negated then p = p + 1 end
  while true do
    local low = byte(pattern, p)
    if not low then break end
    if low == CLOSE then
      p = p + 1
      break
    end
    if low == ESCAPE and byte(pattern, p + 1) then
      p = p + 1
      low = byte(pattern, p)
      found = found or low == c
    elseif byte(pattern, p + 1) == DASH and byte(pattern, p + 2) then
      local high = byte(pattern, p + 2)
      if low > high then low, high = high, low end
      found = found or (c >= low and c <= high)
      p = p + 2
    else
      found = found or low == c
    end
    p = p + 1
  end
  return found ~= negated, p
end

-- Does C match the one thing at P? Also the place behind that.
local function one(pattern, p, c)
  local want = byte(pattern, p)
  if want == ANY then return true, p + 1 end
  if want == OPEN then return in_class(pattern, p, c) end
  if want == ESCAPE and byte(pattern, p + 1) then
    p = p + 1
    want = byte(pattern, p)
  end
  return want == c, p + 1
end

--- Does all of TEXT match PATTERN?
function M.match(pattern, text)
  local p, t = 1, 1
  local star, from
  while t <= #text do
    local matches, behind = false, nil
    if byte(pattern, p) == STAR then
      star, from = p + 1, t
      p = star
    else
      if p <= #pattern then matches, behind = one(pattern, p, byte(text, t)) end
      if matches then
        p, t = behind, t + 1
      elseif star then
        from = from + 1
        p, t = star, from
      else
        return false
      end
    end
  end
  return not pattern:find("[^*]", p)
end

return M
