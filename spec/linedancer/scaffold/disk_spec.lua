local disk = require "linedancer.scaffold.disk"
local scratch = require "spec.support.scratch"

describe("several files", function()
  local files
  before_each(function() files = scratch.new {} end)
  after_each(function() files.remove() end)

  local function at(name) return files.dir .. "/" .. name end

  local function text_of(name)
    local file = assert(io.open(at(name), "rb"))
    local text = file:read "*a"
    file:close()
    return text
  end

  local function shell(command, ...) assert(os.execute(command:format(...)) == 0) end

  -- The names of all that is below the directory.
  local function listing()
    local names, pipe = {}, io.popen(("cd '%s' && find . -mindepth 1 | sort"):format(files.dir))
    for name in pipe:lines() do names[#names + 1] = name:sub(3) end
    pipe:close()
    return names
  end

  -- Nothing is made of FILES, and the message holds TEXT.
  local function refused(text, made)
    local before = listing()
    local ok, message = disk.write(files.dir .. "/deep", made)
    assert.is_nil(ok)
    assert.matches(text, message, 1, true)
    assert.matches("; nothing has been made", message, 1, true)
    assert.same(before, listing())
  end

  it("are made with the directories that they need", function()
    assert.is_true(disk.write(at "one//two/", { { path = "a/b", text = "1\0\n" }, { path = "c", text = "" } }))
    assert.same({ "one", "one/two", "one/two/a", "one/two/a/b", "one/two/c" }, listing())
    assert.equal("1\0\n", text_of "one/two/a/b")
    assert.is_true(disk.exists(at "one/two/c"))
    assert.is_false(disk.exists(at "one/two/d"))
  end)

  it("are not made when some are there, all of which are named", function()
    files.write("deep/a", "old")
    files.write("deep/c/d", "old")
    refused(at "deep/a" .. ", " .. at "deep/c/d" .. " are there already",
      { { path = "a", text = "" }, { path = "b", text = "" }, { path = "c/d", text = "" } })
    assert.equal("old", text_of "deep/a")
  end)

  it("are taken back, with their directories, when one cannot be made", function()
    files.write("deep/plain", "")
    refused("Not a directory", { { path = "new/a", text = "" }, { path = "plain/b", text = "" } })
    shell("ln -s nowhere '%s'", at "deep/link")
    refused("deep/link is there already", { { path = "new/a", text = "" }, { path = "link", text = "" } })
    refused("File name too long", { { path = "new/a", text = "" }, { path = ("x"):rep(300), text = "" } })
    refused("cannot make directory", { { path = "new/a", text = "" }, { path = ("x"):rep(300) .. "/b", text = "" } })
  end)

  it("are not made where there is no room", function()
    local ok, message = disk.write("/proc/self", { { path = "linedancer", text = "" } })
    assert.is_nil(ok)
    assert.matches("cannot make /proc/self/linedancer: ", message, 1, true)
    ok, message = disk.write("/proc/none/at/all", { { path = "a", text = "" } })
    assert.is_nil(ok)
    assert.matches("cannot make directory /proc/none", message, 1, true)
  end)
end)
