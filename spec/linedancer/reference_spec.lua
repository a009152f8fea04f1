local ld = require "linedancer"
local surface = require "spec.support.surface"
local t = require "linedancer.testing"

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

-- A call of each function that may wait.
local WAITS = {
  ["conn:unpack"] = function(conn) conn:unpack "B" end, ["conn:expect"] = function(conn) conn:expect "B" end,
  ["conn:peek"] = function(conn) conn:peek "B" end, ["conn:read"] = function(conn) conn:read(1) end,
  ["conn:read_some"] = function(conn) conn:read_some() end, ["conn:read_line"] = function(conn) conn:read_line() end,
  ["conn:read_until"] = function(conn) conn:read_until "x" end, ["conn:lines"] = function(conn) conn:lines()() end,
  ["conn:skip"] = function(conn) conn:skip(1) end, ["conn:skip_until"] = function(conn) conn:skip_until "x" end,
  ["conn:slice"] = function(conn) conn:slice(1) end, ["conn:body"] = function(conn) conn:body(1)() end,
  ["conn:read_into"] = function(conn) conn:read_into(ld.buffer(), 1) end,
  ["conn:packet"] = function(conn) conn:packet "line" end, ["conn:relay"] = function(conn) conn:relay(conn, 1) end,
  ["conn:pipe"] = function(conn) conn:pipe(conn.task) end, ["conn:starttls"] = function(conn) conn:starttls() end,
  ["conn:flush"] = function(conn) conn:write "x" conn:flush() end, ["conn:join"] = function(conn) conn:join() end,
  ["task:join"] = function(conn) conn.task:join() end, ["ld.connect"] = function() ld.connect "10.0.0.1:80" end,
  ["ld.sleep"] = function() ld.sleep(1) end, ["ld.receive"] = function() ld.receive(1) end,
  ["ld.wait"] = function() ld.wait { timeout = 1 } end, ["ld.call"] = function(conn) ld.call(conn.id, "x") end,
  ["ld.register"] = function() ld.register "name" end,
}

-- The code of the error that CALL raises in a hook, or nil.
local function code_in_hook(call)
  local code
  t.play({
    states = { main = function(conn)
      conn.task = conn:spawn(function() ld.sleep(1) end)
      conn:read(1)
    end },
    on_message = function(conn)
      local ok, err = pcall(call, conn)
      code = not ok and type(err) == "table" and err.code or nil
    end,
  }, { t.message "go" })
  return code
end

describe("what HANDLERS.md says may wait", function()
  it("raises hook in a hook", function()
    local name
    for line in io.lines "HANDLERS.md" do
      name = line:match "^### ([%w_.:]+)%(" or name
      if line == "- may wait" then
        assert(WAITS[name], name .. " is not called here")
        assert.equal("hook", code_in_hook(WAITS[name]), name)
        WAITS[name] = nil
      end
    end
    assert.is_nil((next(WAITS)))
  end)
end)
