--- reference/meta: the reference as files for lua-language-server, which no program runs.
local NAMES = { linedancer = "ld", ["linedancer.testing"] = "t" }

-- What the table of class NAME is called in the file.
local function variable(name)
  return NAMES[name] or name:match "[%w_]+$"
end

local function is_testing(name)
  return name:find "^linedancer%.testing" ~= nil
end

local function line(out, text, ...)
  out[#out + 1] = (text:format(...):gsub(" +$", ""))
end

local function add_alias(out, alias)
  line(out, "---%s", alias.prose)
  line(out, "---@alias %s %s", alias.alias, alias.type)
  for _, value in ipairs(alias.values) do
    line(out, value.text ~= "" and "---| %s # %s" or "---| %s", value.value, value.text)
  end
  line(out, "")
end

local function add_class(out, class)
  if class.prose ~= "" then line(out, "---%s", class.prose) end
  line(out, "---@class %s%s", class.name, class.parent and ": " .. class.parent or "")
  for _, field in ipairs(class.fields) do
    line(out, "---@field %s%s %s %s", field.name, field.optional and "?" or "", field.type, field.text)
  end
  for _, operator in ipairs(class.operators) do line(out, "---@operator %s", operator) end
  line(out, "local %s = {}", variable(class.name))
  line(out, "")
end

local function add_function(out, fn)
  local names = {}
  line(out, "---%s", fn.prose)
  if fn.raise then line(out, "---\n---Raises %s.", fn.raise) end
  if fn.async then line(out, "---\n---It may wait.\n---@async") end
  for i, param in ipairs(fn.params) do
    names[i] = param.name
    line(out, "---@param %s%s %s %s", param.name, param.optional and "?" or "", param.type, param.text)
  end
  for _, result in ipairs(fn.returns) do line(out, "---@return %s %s %s", result.type, result.name, result.text) end
  line(out, "function %s%s%s(%s) end", variable(fn.class), fn.separator, fn.name, table.concat(names, ", "))
  line(out, "")
end

-- What of CHAPTERS stands in the file of MODULE.
local function write(chapters, module)
  local out = { "---@meta " .. module, "-- Made by ./dev reference from the doc comments in lua/linedancer.\n" }
  local function each(wanted, add_item)
    for _, chapter in ipairs(chapters) do
      for _, item in ipairs(chapter.items) do
        local owner = item.class or item.alias or item.name
        if is_testing(owner) == is_testing(module) and wanted(item) then add_item(out, item) end
      end
    end
  end
  each(function(item) return item.alias ~= nil end, add_alias)
  each(function(item) return not item.alias and not item.full end, add_class)
  each(function(item) return item.full ~= nil end, add_function)
  line(out, "return %s", variable(module))
  return table.concat(out, "\n") .. "\n"
end

--- The texts of the files for CHAPTERS, of contents.sort(), by their names below library/.
return function(chapters)
  return {
    ["linedancer.lua"] = write(chapters, "linedancer"),
    ["linedancer/testing.lua"] = write(chapters, "linedancer.testing"),
  }
end
