local scratch = require "spec.support.scratch"

-- The tools are no modules of the program: their own directory is searched for this file alone.
local path = package.path
package.path = "docs/tools/?.lua;" .. path
local extract = require "reference.extract"
package.path = path

describe("an annotation", function()
  local files

  before_each(function() files = scratch.new() end)
  after_each(function() files.remove() end)

  local function read(text)
    return extract.read { files.write("a.lua", text) }
  end

  local function refusal(text)
    local ok, err = pcall(read, text)
    assert.is_false(ok)
    return (err:gsub("^.*/", ""))
  end

  it("has a type that ends where its brackets and its list do", function()
    for text, expected in pairs {
      ["string? a text"] = "string?",
      ["table<string, fun(a: b, c: d?)> a text"] = "table<string, fun(a: b, c: d?)>",
      ["fun(conn: any): string?, ... a text"] = "fun(conn: any): string?, ...",
      ["{ of: any, version?: 1|2 } a text"] = "{ of: any, version?: 1|2 }",
    } do
      assert.same({ expected, "a text" }, { extract.split_type(text) })
    end
  end)

  it("goes on in the next line, as prose does", function()
    local found = read [[
--- Prose that
-- goes on.
---@function conn:read
---@param max? integer how
--   much
---@async
function conn:read(max)
]]
    local fn = found.functions["conn:read"]
    assert.equal("Prose that goes on.", fn.prose)
    assert.same({ { name = "max", optional = true, type = "integer", text = "how much" } }, fn.params)
    assert.is_true(fn.async)
    assert.equal("linedancer.Conn", fn.class)
  end)

  it("makes nothing public that has no public name", function()
    assert.same({ functions = {}, classes = {}, aliases = {} }, read "--- Prose.\nfunction M.x() end\n")
  end)

  it("adds to a class from several comments, and gives prose to a field without a text", function()
    local found = read [[
--- A connection.
---@class linedancer.Conn
---@field a string text
---@field b string text

--- Its name.
---@class linedancer.Conn
---@field id string
]]
    local class = found.classes["linedancer.Conn"]
    assert.equal("A connection.", class.prose)
    assert.same({ "text", "text", "Its name." }, { class.fields[1].text, class.fields[2].text, class.fields[3].text })
  end)

  it("is refused with its place when it is not what the code says, or is none", function()
    assert.equal("a.lua:4: conn:read has the parameters (max), and the comment says (n)",
      refusal "--- Prose.\n---@function conn:read\n---@param n integer\nfunction conn:read(max) end\n")
    assert.equal("a.lua:3: conn:read has no prose", refusal "\n---@function conn:read\nfunction conn:read() end\n")
    assert.equal("a.lua:3: @parm is no annotation that is used here",
      refusal "--- Prose.\n---@parm n integer\nfunction conn:read() end\n")
  end)

  it("does not count what a method is called on among its parameters", function()
    assert.is_truthy(read "--- Prose.\n---@function conn:x\n---@param n integer\nfunction M.x(conn, n) end\n")
    assert.is_truthy(read "--- Prose.\n---@function ld.x\n---@param n integer\nfunction M.x(n) end\n")
  end)
end)
