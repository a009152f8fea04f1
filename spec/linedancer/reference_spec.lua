local surface = require "spec.support.surface"

local OWNERS = {
  ld = "linedancer", ["ld.log"] = "linedancer.log", ["ld.crypto"] = "linedancer.crypto", t = "linedancer.testing",
  world = "linedancer.testing.World", peer = "linedancer.testing.Peer",
}

local function class_of(owner)
  return OWNERS[owner] or "linedancer." .. owner:sub(1, 1):upper() .. owner:sub(2)
end

-- What FILES say: classes = sets of names, parents, codes, by class.
local function new() return { classes = {}, parents = {}, codes = {} } end

local function add(said, class, name)
  said.classes[class] = said.classes[class] or {}
  if name then said.classes[class][name] = true end
end

local function read_page()
  local said, class = new(), nil
  for line in io.lines "HANDLERS.md" do
    local owner, name = line:match "^### ([%w_.]+)[.:]([%w_]+)%("
    if line:find "^#" then class = line:match "^### ([%w_.]+)$" end
    local field, parent = line:match "^%- %*%*([^*]+)%*%*", line:match "^It has what ([%w.]+) has, too%.$"
    local value = line:match '^%- `"(%w+)"`'
    if owner then add(said, class_of(owner), name) end
    if field then add(said, class, field) end
    if parent then said.parents[class] = parent end
    if value and class == "linedancer.ErrorCode" then said.codes[value] = true end
  end
  return said
end

local function read_meta(said, filename)
  local class, alias, variables = nil, nil, {}
  for line in io.lines(filename) do
    local name, parent = line:match "^%-%-%-@class ([%w_.]+):? ?([%w_.]*)$"
    local variable, method = line:match "^function ([%w_]+)[.:]([%w_]+)%("
    alias = line:match "^%-%-%-@alias ([%w.]+)" or alias
    if name then
      class = name
      add(said, class)
      if parent ~= "" then said.parents[class] = parent end
    end
    if line:find "^local" then variables[line:match "^local ([%w_]+)"] = class end
    local field, value = line:match "^%-%-%-@field (%S+)", line:match '^%-%-%-| "(%w+)"'
    if field then add(said, class, (field:gsub("%?$", ""))) end
    if method then add(said, variables[variable], method) end
    if value and alias == "linedancer.ErrorCode" then said.codes[value] = true end
  end
  return said
end

-- The names of CLASS and of what it has names from.
local function names_of(said, class)
  local names = {}
  while class do
    for name in pairs(said.classes[class] or {}) do names[name] = true end
    class = said.parents[class]
  end
  return names
end

-- What is in A and not in B, as text.
local function missing(prefix, a, b)
  local list = {}
  for name in pairs(a) do
    if not b[name] then list[#list + 1] = prefix .. name end
  end
  table.sort(list)
  return table.concat(list, ", ")
end

-- A function or field that was added, or is gone, and its documentation that was not.
for name, read in pairs {
  ["HANDLERS.md"] = read_page,
  ["library/"] = function()
    return read_meta(read_meta(new(), "library/linedancer.lua"), "library/linedancer/testing.lua")
  end,
} do
  describe(name, function()
    local said, real

    setup(function() said, real = read(), surface.classes() end)

    it("says everything that there is", function()
      for class, names in pairs(real) do
        assert.equal("", missing(class .. ".", names, names_of(said, class)))
      end
    end)

    it("says nothing that there is not", function()
      for class, names in pairs(real) do
        assert.equal("", missing(class .. ".", names_of(said, class), names))
      end
    end)

    it("has no class that is not compared, without a reason", function()
      for class in pairs(said.classes) do
        assert.is_truthy(real[class] or surface.UNLISTED[class], class)
      end
    end)

    it("has every code of errors, and no other", function()
      assert.same(surface.codes(), said.codes)
    end)
  end)
end
