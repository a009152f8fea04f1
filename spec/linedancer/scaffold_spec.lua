local check = require "linedancer.check"
local json = require "linedancer.json"
local scaffold = require "linedancer.scaffold"
local scratch = require "spec.support.scratch"
local t = require "linedancer.testing"

describe("the files of a new handler", function()
  local files
  local path = package.path

  before_each(function() files = scratch.new {} end)
  after_each(function()
    files.remove()
    package.path = path
  end)

  local function read(name)
    local file = assert(io.open(files.dir .. "/" .. name))
    local text = file:read "*a"
    file:close()
    return text
  end

  local function make(kind, name)
    return scaffold.make({ kind = kind, name = name or "mine", directory = files.dir }, "/share/library")
  end

  for _, kind in ipairs { "binary", "line", "proxy" } do
    it("are a " .. kind .. " handler, its spec and its config, without an error, a warning or a placeholder", function()
      assert.same({ "handlers/mine.lua", "spec/mine_spec.lua", "mine.conf.lua", ".luarc.json" }, make(kind))
      for _, name in ipairs { "handlers/mine.lua", "mine.conf.lua" } do
        assert.same({ errors = {}, warnings = {} }, check.file(files.dir .. "/" .. name))
      end
      for _, name in ipairs { "handlers/mine.lua", "spec/mine_spec.lua", "mine.conf.lua" } do
        assert.is_nil(read(name):find "%$%u", name)
        assert.is_truthy(read(name):find("mine", 1, true), name)
        assert(loadstring(read(name)))
      end
    end)
  end

  it("name what a config may say", function()
    make("proxy")
    local handler = dofile(files.dir .. "/handlers/mine.lua")
    assert.equal("string", type(handler.options.to))
    assert.is_truthy(dofile(files.dir .. "/mine.conf.lua").listen[1].options.to)
  end)

  it("answer what their comments say", function()
    make("line", "lines")
    make("binary", "frames")
    assert.equal("OK PONG\n", t.play(dofile(files.dir .. "/handlers/lines.lua"), { "ping\n" }).sent)
    assert.equal("LD\1\1\0\2hi", t.play(dofile(files.dir .. "/handlers/frames.lua"), { "LD\1\1\0\2hi" }).sent)
  end)

  it("tell editors where the annotations are, wherever that is", function()
    scaffold.make({ kind = "line", name = "mine", directory = files.dir }, '/a "b\\c\n$NAME')
    local ok, settings = json.decode(read ".luarc.json")
    assert.is_true(ok, settings)
    assert.equal('/a "b\\c\n$NAME', settings["workspace.library"][1])
    assert.equal("LuaJIT", settings["runtime.version"])
  end)

  it("leave the editor's settings of a directory alone", function()
    files.write(".luarc.json", "{}")
    assert.same({ "handlers/mine.lua", "spec/mine_spec.lua", "mine.conf.lua" }, make("line"))
    assert.equal("{}", read ".luarc.json")
    assert.equal(3, #make("binary", "other"))
  end)

  it("are not made when one of them is there, which is named", function()
    files.write("spec/mine_spec.lua", "mine")
    local names, message = make("line")
    assert.is_nil(names)
    assert.equal(files.dir .. "/spec/mine_spec.lua is there already; nothing has been made", message)
    assert.equal("mine", read "spec/mine_spec.lua")
    assert.is_nil(io.open(files.dir .. "/handlers"))
    assert.is_nil(io.open(files.dir .. "/mine.conf.lua"))
  end)

  it("are told of, with the commands to try", function()
    local report = scaffold.report({ name = "x", directory = "it's/here" }, { "handlers/x.lua", "x.conf.lua" })
    assert.equal([[
Made:
  it's/here/handlers/x.lua
  it's/here/x.conf.lua

Try:
  cd 'it'\''s/here'
  linedancer check x.conf.lua
  linedancer test spec/x_spec.lua
  linedancer run x.conf.lua
]], report)
    assert.is_nil(scaffold.report({ name = "x" }, { "x.conf.lua" }):find "cd ")
  end)
end)
