--- reference/markdown: the reference as a page, HANDLERS.md.
local contents = require "reference.contents"

-- As GitHub makes anchors of headings.
local function anchor(title)
  return (title:lower():gsub("[^%w _-]", ""):gsub(" ", "-"))
end

local function code(text)
  return "`" .. text .. "`"
end

local function signature(fn)
  local parts = {}
  for i, param in ipairs(fn.params) do
    parts[i] = param.optional and "[" .. param.name .. "]" or param.name
  end
  return fn.full .. "(" .. table.concat(parts, ", ") .. ")"
end

local function bullet(out, name, kind, text)
  out[#out + 1] = ("- %s %s%s"):format(name, code(kind), text ~= "" and ": " .. text or "")
end

local function add_function(out, fn)
  out[#out + 1] = "### " .. signature(fn)
  out[#out + 1] = ""
  out[#out + 1] = fn.prose
  out[#out + 1] = ""
  for _, param in ipairs(fn.params) do bullet(out, code(param.name), param.type, param.text) end
  for _, result in ipairs(fn.returns) do
    bullet(out, "returns", result.type, result.text ~= "" and result.text or result.name:gsub("_", " "))
  end
  if fn.raise then out[#out + 1] = "- raises " .. fn.raise end
  if fn.async then out[#out + 1] = "- may wait" end
end

local function add_class(out, class)
  out[#out + 1] = "### " .. class.name
  out[#out + 1] = ""
  out[#out + 1] = class.prose
  if class.parent then out[#out + 1] = "It has what " .. class.parent .. " has, too." end
  out[#out + 1] = ""
  for _, field in ipairs(class.fields) do
    bullet(out, "**" .. field.name .. "**" .. (field.optional and " (optional)" or ""), field.type, field.text)
  end
end

local function add_alias(out, alias)
  out[#out + 1] = "### " .. alias.alias
  out[#out + 1] = ""
  out[#out + 1] = alias.prose
  out[#out + 1] = ""
  if alias.type ~= "" then out[#out + 1] = "- " .. code(alias.type) end
  for _, value in ipairs(alias.values) do
    out[#out + 1] = "- " .. code(value.value) .. (value.text ~= "" and ": " .. value.text or "")
  end
end

--- The page for CHAPTERS, of contents.sort().
return function(chapters)
  local out = { contents.HEAD, "" }
  for _, chapter in ipairs(chapters) do
    out[#out + 1] = ("- [%s](#%s)"):format(chapter.title, anchor(chapter.title))
  end
  for _, chapter in ipairs(chapters) do
    out[#out + 1] = "\n## " .. chapter.title .. "\n"
    if chapter.text ~= "" then out[#out + 1] = chapter.text .. "\n" end
    for _, item in ipairs(chapter.items) do
      local add = item.full and add_function or item.alias and add_alias or add_class
      add(out, item)
      out[#out + 1] = ""
    end
  end
  local text = table.concat(out, "\n"):gsub("\n\n\n+", "\n\n"):gsub("\n+$", "")
  return text .. "\n"
end
