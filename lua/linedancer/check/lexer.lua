--- check/lexer: cuts Lua source into tokens with their lines.
--
--   { kind = "name" | "keyword" | "string" | "number" | "op" | "eof", text =, line = }
--
-- The source has been compiled before, so it is well formed; what is not understood becomes one-character operators.

local M = {}

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true
  until while]]):gmatch "%a+" do
  KEYWORDS[word] = true
end

-- The end of a long bracket that opens at AT, or nil when none opens there.
local function long_bracket(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then return nil end
  local _, last = text:find("]" .. level .. "]", at, true)
  return last or #text
end

local function quoted(text, at)
  local quote, i = text:sub(at, at), at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == quote then return i end
    i = i + (c == "\\" and 2 or 1)
  end
  return #text
end

local function comment(text, at)
  local last = long_bracket(text, at + 2)
  return last or (text:find("\n", at, true) or #text + 1) - 1
end

-- The kind and the last byte of the token at AT; a nil kind is a comment.
local function token_at(text, at)
  if text:find("^%-%-", at) then return nil, comment(text, at) end
  local _, last = text:find("^[%a_\128-\255][%w_\128-\255]*", at)
  if last then return KEYWORDS[text:sub(at, last)] and "keyword" or "name", last end
  if text:find("^%.?%d", at) then
    _, last = text:find("^%.?%d[%w_%.]*", at)
    while text:find("^[eEpP]", last) and text:find("^[%+%-]%d", last + 1) do
      _, last = text:find("^[%+%-][%w_%.]*", last + 1)
    end
    return "number", last
  end
  if text:find("^[\"']", at) then return "string", quoted(text, at) end
  last = long_bracket(text, at)
  if last then return "string", last end
  for _, op in ipairs { "^%.%.%.", "^%.%.", "^[=~<>]=", "^::" } do
    _, last = text:find(op, at)
    if last then return "op", last end
  end
  return "op", at
end

--- The tokens of TEXT; the last one is "eof".
function M.tokens(text)
  text = text:gsub("^\239\187\191", ""):gsub("^#[^\n]*", "")
  local tokens, at, line = {}, 1, 1
  while true do
    local start = text:find("%S", at)
    local _, breaks = text:sub(at, (start or #text + 1) - 1):gsub("\n", "")
    line = line + breaks
    if not start then break end
    local kind, last = token_at(text, start)
    local word = text:sub(start, last)
    if kind then tokens[#tokens + 1] = { kind = kind, text = word, line = line } end
    _, breaks = word:gsub("\n", "")
    line, at = line + breaks, last + 1
  end
  tokens[#tokens + 1] = { kind = "eof", text = "", line = line }
  return tokens
end

--- What a string token stands for, its escapes resolved by Lua itself.
function M.value(token)
  local chunk = loadstring("return " .. token.text)
  return chunk and chunk()
end

return M
