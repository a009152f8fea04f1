local scratch = require "spec.support.scratch"
local source = require "linedancer.handler.source"
local spaces = require "linedancer.handler.space"

describe("a space", function()
  local files
  local path = package.path

  before_each(function()
    files = scratch.new {
      ["one.lua"] = "local part = require 'space.part'; COUNT = (COUNT or 0) + 1; "
        .. "return { part = part, count = COUNT }",
      ["space/part.lua"] = "local other = require 'space.other'; return { other = other }",
      ["space/other.lua"] = "return {}",
      ["loop.lua"] = "return require 'space.loop'",
      ["space/loop.lua"] = "return require 'space.loop'",
      ["bad.lua"] = "return require 'space.bad'",
      ["space/bad.lua"] = "return (",
      ["lib.lua"] = "return { require 'string', require 'linedancer', require 'ffi' }",
    }
  end)
  after_each(function()
    files.remove()
    package.path = path
  end)

  local function run(space, name) return source.run(files.dir .. "/" .. name .. ".lua", name, nil, space) end

  it("has modules of its own, which are the same for all that is in it", function()
    local a, b = spaces.new(), spaces.new()
    local _, first = run(a, "one")
    local _, again = run(a, "one")
    local _, other = run(b, "one")
    assert.is_true(rawequal(first.part, again.part))
    assert.is_false(rawequal(first.part, other.part))
    assert.is_false(rawequal(first.part.other, other.part.other))
    assert.is_nil(package.loaded["space.part"])
  end)

  it("has globals of its own", function()
    local a, b = spaces.new(), spaces.new()
    run(a, "one")
    assert.equal(2, select(2, run(a, "one")).count)
    assert.equal(1, select(2, run(b, "one")).count)
    assert.is_nil(rawget(_G, "COUNT"))
    assert.equal(print, a.env.print)
  end)

  it("shares linedancer, and what is not below its directories", function()
    local _, libs = run(spaces.new(), "lib")
    assert.is_true(rawequal(string, libs[1]))
    assert.is_true(rawequal(require "linedancer", libs[2]))
    assert.is_true(rawequal(require "ffi", libs[3]))
  end)

  it("says what is wrong with a module, and can try again", function()
    local space = spaces.new()
    local ok, message = run(space, "bad")
    assert.is_false(ok)
    assert.matches("error loading module 'space.bad' from file '" .. files.dir .. "/space/bad.lua'", message, 1, true)
    files.write("space/bad.lua", "return 5")
    assert.same({ true, 5 }, { run(space, "bad") })
  end)

  it("finds loops", function()
    local ok, message = run(spaces.new(), "loop")
    assert.is_false(ok)
    assert.matches("loop or previous error loading module 'space.loop'", message, 1, true)
  end)
end)
