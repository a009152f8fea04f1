local config = require "linedancer.config"
local confine = require "linedancer.gateway.confine"
local core = require "linedancer.core"
local gateway = require "linedancer.gateway"
local logged = require "spec.support.logged"
local scratch = require "spec.support.scratch"

-- Call FN while the functions in PART replace those of the core.
local function with_core(part, fn)
  local kept = {}
  for name, value in pairs(part) do
    kept[name], core[name] = core[name], value
  end
  local results = { pcall(fn) }
  for name, value in pairs(kept) do core[name] = value end
  assert(results[1], results[2])
  return unpack(results, 2)
end

describe("what a config says about the process", function()
  local files

  setup(function() files = scratch.new { ["handlers/echo.lua"] = "" } end)
  teardown(function() files.remove() end)

  local function with(text)
    return config.load_string("return { listen = { { ':7000', handler = 'echo' } }, " .. text .. "}", "@c.lua",
      files.dir)
  end

  local function refused(text, loaded, message)
    assert.is_nil(loaded)
    assert.equal("c.lua: " .. text, message)
  end

  it("is: stay who we are, without new privileges, without a filter", function()
    local c = assert(with "")
    assert.same({ true, false }, { c.no_new_privs, c.seccomp })
    assert.is_nil(c.user or c.group)
  end)

  it("is kept as given", function()
    local c = assert(with "user = 'nobody', group = 'nogroup', no_new_privs = false")
    assert.same({ "nobody", "nogroup", false }, { c.user, c.group, c.no_new_privs })
    with_core({ seccomp = true }, function() assert.is_true(assert(with "seccomp = true").seccomp) end)
  end)

  it("is refused when it makes no sense", function()
    refused("user must be a string, not 65534", with "user = 65534")
    refused("group takes user beside it", with "group = 'nogroup'")
    refused("no_new_privs must be a boolean, not the string 'yes'", with "no_new_privs = 'yes'")
    with_core({ seccomp = false }, function()
      refused("seccomp: this build is without libseccomp; remove the key", with "seccomp = true")
    end)
    with_core({ seccomp = true }, function()
      refused("no_new_privs = false: seccomp takes new privileges away; remove one of the two keys",
        with "seccomp = true, no_new_privs = false")
    end)
  end)

  it("is refused when it is about somebody that this process cannot become", function()
    assert.same({ user = "", uid = 0, gid = 0 }, confine.identity(assert(with "")))
    for user, text in pairs {
      ["no such one"] = "user: there is no user 'no such one'",
      root = "user: 'root' is root; name somebody who may less",
    } do
      local identity, message = confine.identity { user = user }
      assert.is_nil(identity)
      assert.equal(text, message)
    end
  end)

  it("is for the program, not for a library in another one", function()
    for _, key in ipairs { "user = 'nobody'", "seccomp = true" } do
      local lines, code
      with_core({ seccomp = true }, function()
        local c = assert(with(key))
        lines = logged(function() code = gateway.run(c) end)
      end)
      assert.equal(1, code)
      assert.equal(key:match "%w+" .. ": only the program linedancer confines its process; remove the key",
        lines[1].text)
    end
  end)

  it("is for ever", function()
    local c = assert(with "")
    assert.is_nil(confine.differs(assert(with ""), c))
    assert.equal("user", confine.differs(assert(with "user = 'nobody'"), c))
    assert.equal("no_new_privs", confine.differs(assert(with "no_new_privs = false"), c))
  end)
end)

describe("too few descriptors", function()
  local function warned(limit, slots, connections, max_connections)
    local c = { limits = { connections = connections }, listen = { { max_connections = max_connections } } }
    local lines
    with_core({ descriptors = function() return limit, 4 end }, function()
      lines = logged(function() confine.warn(c, slots) end)
    end)
    assert.is_nil(lines[2])
    return lines[1] and lines[1].text
  end

  it("for the connections that a config allows are warned of", function()
    assert.equal("the config allows 1000 connections, but with at most 100 open files for the process only 80 fit, and"
      .. " fewer if handlers connect or open files; start it after `ulimit -n 1020`, or with LimitNOFILE=1020 in its"
      .. " unit, or lower limits.connections", warned(100, 1, 1000))
    assert.matches("100 open files for each worker only 320 fit.*ulimit %-n 270`", warned(100, 4, 1000))
    assert.matches("only 0 fit", warned(10, 1, 1000))
  end)

  it("are warned of only then", function()
    assert.is_nil(warned(1020, 1, 1000))
    assert.is_nil(warned(math.huge, 1, 1000))
    assert.is_nil(warned(270, 4, 1000))
    assert.is_nil(warned(100, 1, 1000, 80))
    assert.matches("allows 81 connections", warned(100, 1, 1000, 81))
  end)
end)
