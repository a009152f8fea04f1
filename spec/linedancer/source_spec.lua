local scratch = require "spec.support.scratch"

describe("handler/source", function()
  local files, source, kept

  before_each(function()
    kept = { package.loaders[2], package.path, package.loaded["linedancer.handler.source"] }
    package.loaded["linedancer.handler.source"] = nil
    source = require "linedancer.handler.source"
    files = scratch.new {
      ["one.lua"] = "return require('words') .. require('deep.words')",
      ["words.lua"] = "return 'words '",
      ["deep/words.lua"] = "return 'deep'",
      ["late.lua"] = "return 'late'",
      ["dir/init.lua"] = "return 'dir'",
    }
    package.path = files.dir .. "/?.lua"
  end)

  after_each(function()
    package.loaders[2], package.path, package.loaded["linedancer.handler.source"] = unpack(kept)
    for _, name in ipairs { "words", "deep.words", "late", "broken" } do package.loaded[name] = nil end
    files.remove()
  end)

  local function file(name) return files.dir .. "/" .. name end

  local function forget()
    package.loaded.words, package.loaded["deep.words"] = nil, nil
  end

  it("records what is read, and what that requires", function()
    local recorded = source.record()
    assert.same({ true, "words deep" }, { source.run(file "one.lua", "one") })
    assert.same({
      [file "one.lua"] = "return require('words') .. require('deep.words')",
      [file "words.lua"] = "return 'words '",
      [file "deep/words.lua"] = "return 'deep'",
    }, recorded)
    assert.is_nil(source.read(file "none.lua"))
  end)

  it("serves the record whatever has become of the disk", function()
    local recorded = source.record()
    source.run(file "one.lua", "one")
    assert(source.read(file "dir/init.lua"))
    forget()
    files.write("words.lua", "return 'new '")
    os.remove(file "one.lua")
    os.remove(file "dir/init.lua")
    source.serve(recorded)
    assert.same({ true, "words deep" }, { source.run(file "one.lua", "one") })
    assert.equal(file "one.lua", source.resolve("./one.lua", files.dir))
    assert.equal(file "dir/init.lua", source.resolve("./dir", files.dir))
  end)

  it("does not see what is on the disk alone", function()
    source.serve {}
    local text, message = source.read(file "words.lua")
    assert.is_nil(text)
    assert.matches("words.lua: it is not among the files that this gateway was started with", message, 1, true)
    assert.has_error(function() source.resolve("./words.lua", files.dir) end)
  end)

  it("finds modules that are required for the first time later on", function()
    source.serve {}
    assert.equal("late", require "late")
  end)

  it("says what is wrong with a module", function()
    source.record()
    files.write("broken.lua", "return +")
    local ok, message = pcall(require, "broken")
    assert.is_false(ok)
    assert.matches("error loading module 'broken' from file '.*broken.lua':\n\t.*:1: ", message)
    ok, message = pcall(require, "nowhere.at.all")
    assert.is_false(ok)
    assert.matches("no file '.*/nowhere/at/all.lua'", message)
  end)
end)
