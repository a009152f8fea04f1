--- reference/extract: what doc comments say of the public API.
--
-- A doc comment is prose, then annotations in the notation of lua-language-server, and what it documents:
--
--   --- Prose, which may go on
--   -- in further lines.
--   ---@function conn:read_line           its public name, or several: what has none is internal
--   ---@async                             it may wait
--   ---@param max? integer text           name, "?" when it may be left out, type, text
--   ---@return string? line text          type, name, text
--   ---@raise truncated, limit            codes of errors
--
-- or ---@class NAME [: PARENT] with ---@field's and ---@operator's, some of them here and some elsewhere; or ---@alias
-- NAME TYPE, with its values in lines of ---| "value" # text. A text goes on in a line that begins with "-- ". A class
-- whose comment has one field, without a text, takes the prose for that.
--
-- Not by Debian's ldoc (1.4.6): it takes "max? integer" for a parameter "max" with the text "? integer", as its types
-- are tags of their own; it gives up a file that has ---@class with a ---@field ("'class' cannot have multiple
-- values"), and cannot parse a comment that documents no definition, as that of a class of options.
local M = {}

local OPEN, CLOSE = { ["("] = 1, ["{"] = 1, ["["] = 1, ["<"] = 1 }, { [")"] = 1, ["}"] = 1, ["]"] = 1, [">"] = 1 }

--- The type at the start of TEXT, and what is behind it.
function M.split_type(text)
  local depth, before = 0, ""
  for i = 1, #text do
    local c = text:sub(i, i)
    if OPEN[c] then depth = depth + 1 elseif CLOSE[c] then depth = depth - 1 end
    if c == " " and depth == 0 and not before:find "[:,|]" then return text:sub(1, i - 1), text:sub(i + 1) end
    if c ~= " " then before = c end
  end
  return text, ""
end

local function word(text)
  return text:match "^(%S+) ?(.*)$"
end

-- "name? type text"
local function typed_name(text)
  local name, rest = word(text)
  local kind, words = M.split_type(rest)
  return { name = name:gsub("%?$", ""), optional = name:find "%?$" ~= nil, type = kind, text = words }
end

local tags = {}

tags["function"] = function(block, text)
  block.names = {}
  for name in text:gmatch "[^, ]+" do table.insert(block.names, name) end
end

function tags.async(block) block.async = true end
function tags.raise(block, text) block.raise = text end
function tags.param(block, text) table.insert(block.params, typed_name(text)) end
function tags.field(block, text) table.insert(block.fields, typed_name(text)) end
function tags.operator(block, text) table.insert(block.operators, text) end

tags["return"] = function(block, text)
  local kind, rest = M.split_type(text)
  local name, words = word(rest)
  table.insert(block.returns, { type = kind, name = name, text = words or "" })
end

function tags.class(block, text)
  block.class, block.parent = text:match "^([%w_.]+):? ?(.*)$"
end

function tags.alias(block, text)
  block.alias, block.type = text:match "^(%S+) ?(.*)$"
  block.values = {}
end

-- The lines of a comment as { tag, text }, those without a tag as { "", text }.
local function items_of(lines)
  local items = { { "", "" } }
  for _, line in ipairs(lines) do
    local tag, text = line:match "^%-%-%-@(%w+) ?(.*)$"
    local value = line:match "^%-%-%-| (.*)$"
    local last = items[#items]
    if tag then
      items[#items + 1] = { tag, text }
    elseif value then
      items[#items + 1] = { "|", value }
    else
      text = line:gsub("^%-+ *", "")
      last[2] = last[2] == "" and text or last[2] .. " " .. text
    end
  end
  return items
end

local function block_of(lines, where)
  local block = { params = {}, returns = {}, fields = {}, operators = {}, where = where, prose = "" }
  for _, item in ipairs(items_of(lines)) do
    local tag, text = item[1], item[2]
    if tag == "" then
      block.prose = text
    elseif tag == "|" then
      local value, words = text:match "^(%S+) ?#? ?(.*)$"
      table.insert(block.values, { value = value, text = words })
    elseif tags[tag] then
      tags[tag](block, text)
    else
      error(("%s: @%s is no annotation that is used here"):format(where, tag), 0)
    end
  end
  return block
end

-- The parameters in CODE, the line behind a comment, and whether its first one is what a method is called on.
local function params_of(code, name)
  local list = code:match "function[%w_.: ]*(%b())"
  if not list then return nil end
  local params = {}
  for param in list:gmatch "[%w_.]+" do params[#params + 1] = param end
  if name:find ":" and not code:find "function [%w_.]+:" then table.remove(params, 1) end
  return params
end

local function check_params(block, code)
  local real, said = params_of(code, block.names[1]), {}
  if not real then return end
  for i, param in ipairs(block.params) do said[i] = param.name end
  if table.concat(real, " ") == table.concat(said, " ") then return end
  error(("%s: %s has the parameters (%s), and the comment says (%s)"):format(block.where, block.names[1],
    table.concat(real, ", "), table.concat(said, ", ")), 0)
end

-- Where NAME's class is spelled otherwise than by its last part.
local CLASSES = {
  ld = "linedancer", ["ld.log"] = "linedancer.log", ["ld.crypto"] = "linedancer.crypto", t = "linedancer.testing",
  world = "linedancer.testing.World", peer = "linedancer.testing.Peer",
}

local function add_function(found, block, code)
  if block.prose == "" then error(block.where .. ": " .. block.names[1] .. " has no prose", 0) end
  check_params(block, code)
  for _, name in ipairs(block.names) do
    local owner, separator, own = name:match "^([%w_.]+)([.:])([%w_]+)$"
    if not owner then error(("%s: '%s' is no name of a function"):format(block.where, name), 0) end
    if found.functions[name] then error(("%s: %s is documented twice"):format(block.where, name), 0) end
    found.functions[name] = setmetatable({
      full = name, name = own, separator = separator,
      class = CLASSES[owner] or "linedancer." .. owner:sub(1, 1):upper() .. owner:sub(2),
    }, { __index = block })
  end
end

local function add_class(found, block)
  local class = found.classes[block.class] or { name = block.class, prose = "", fields = {}, operators = {} }
  found.classes[block.class] = class
  if block.parent ~= "" then class.parent = block.parent end
  local only = #block.fields == 1 and block.fields[1]
  if only and only.text == "" then
    only.text = block.prose
  else
    if class.prose ~= "" and block.prose ~= "" then
      error(("%s: there is prose for %s already"):format(block.where, class.name), 0)
    end
    class.prose = class.prose ~= "" and class.prose or block.prose
  end
  for _, field in ipairs(block.fields) do
    if field.text == "" then error(("%s: %s has no text"):format(block.where, field.name), 0) end
    table.insert(class.fields, field)
  end
  for _, operator in ipairs(block.operators) do table.insert(class.operators, operator) end
end

local function add(found, lines, code, where)
  local block = block_of(lines, where)
  if block.names then
    add_function(found, block, code)
  elseif block.class then
    add_class(found, block)
  elseif block.alias then
    found.aliases[block.alias] = block
  end
end

--- What the comments in FILES, their names, document: { functions =, classes =, aliases = }, by name. Raises a message
-- for a comment that is not as it should be.
function M.read(files)
  local found = { functions = {}, classes = {}, aliases = {} }
  for _, filename in ipairs(files) do
    local lines, number = nil, 0
    for line in io.lines(filename) do
      number = number + 1
      line = line:gsub("^%s+", "")
      if lines and line:find "^%-%-" then
        lines[#lines + 1] = line
      else
        if lines then add(found, lines, line, filename .. ":" .. number) end
        lines = line:find "^%-%-%-" and { line } or nil
      end
    end
    if lines then add(found, lines, "", filename .. ":" .. number) end
  end
  return found
end

return M
