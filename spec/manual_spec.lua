-- What the manual pages say is what the program knows: no more and no less.
local arguments = require "linedancer.cli.arguments"
local config = require "linedancer.config"
local conns = require "linedancer.conn"
local handler = require "linedancer.handler"
local help = require "linedancer.cli.help"
local ld = require "linedancer"
local proxy_protocol = require "linedancer.proxy_protocol"
local suggest = require "linedancer.suggest"
local tls = require "linedancer.tls"

local function page(name)
  local file = assert(io.open("docs/man/" .. name))
  local text = file:read "*a"
  file:close()
  return text:gsub("\\&", "")
end

-- The section TITLE of TEXT.
local function section(text, title)
  return assert(text:match("\n%.Sh " .. title .. "\n(.-)\n%.Sh "), "there is no section " .. title)
end

-- What items of TEXT explain by MACRO, as of lists within DEPTH others.
local function items(text, macro, depth)
  local found, level = {}, 0
  for line in text:gmatch "[^\n]+" do
    if line:find "^%.Bl" then level = level + 1 elseif line:find "^%.El" then level = level - 1 end
    local name = level == depth and line:match("^%.It " .. macro .. " (%S+)")
    if name then found[#found + 1] = name end
  end
  table.sort(found)
  return found
end

-- The local that is called NAME and that FN uses, or what FN uses does.
local function hidden(fn, name, seen)
  seen = seen or {}
  if seen[fn] then return nil end
  seen[fn] = true
  for i = 1, 250 do
    local known, value = debug.getupvalue(fn, i)
    if not known then return nil end
    if known == name then return value end
    local deeper = type(value) == "function" and hidden(value, name, seen)
    if deeper then return deeper end
  end
end

local function keys(...)
  local all = {}
  for _, set in ipairs { ... } do
    for key in pairs(set) do
      if type(key) == "string" then all[#all + 1] = key end
    end
  end
  table.sort(all)
  return all
end

describe("linedancer(1)", function()
  local text = page "linedancer.1"

  -- The options that are explained for each command, sets by name; their items are inside the command's.
  local function by_command()
    local found, name = {}, nil
    for line in text:gmatch "[^\n]+" do
      local command = line:match "^%.It Cm (%S+)"
      if line:find "^%.S[hs] " then name = nil end
      name = command or name
      if name then
        found[name] = found[name] or {}
        local option = line:match "^%.It Fl Fl (%S+)"
        if option then found[name]["--" .. option] = true end
      end
    end
    return found
  end

  it("explains every command, and no other", function()
    assert.same(help.commands(), suggest.keys(by_command()))
  end)

  it("explains every option of each command, and no other", function()
    local common = { ["--help"] = true, ["--control"] = true, ["--config"] = true, ["--json"] = true }
    local found = by_command()
    for option in pairs(common) do assert.truthy(text:find("Fl Fl " .. option:sub(3), 1, true), option) end
    for _, command in ipairs(help.commands()) do
      local own = {}
      for _, option in ipairs(arguments.options(command)) do
        if not common[option] then own[#own + 1] = option end
      end
      table.sort(own)
      assert.same(own, suggest.keys(found[command]), command)
    end
  end)

  it("lists what can be set", function()
    for _, name in ipairs(require("linedancer.gateway.limits").names()) do
      local last = name:gsub("^limits%.per_source", "")
      assert.truthy(text:find("\n.Ic " .. last .. "%f[^%w]") or text:find("\n.Ic " .. name .. "%f[^%w]"), name)
    end
  end)
end)

describe("linedancer.conf(5)", function()
  local text = page "linedancer.conf.5"

  it("explains every key of a config, and no other", function()
    assert.same(keys(config.KEYS), items(section(text, "KEYS"), "Ic", 1))
  end)

  it("explains every key of a listener, and no other", function()
    local known = keys(hidden(config.validate, "LISTEN_KEYS"))
    assert.same(known, items(section(text, "LISTENERS"), "Ic", 1))
  end)

  it("explains every limit, and no other", function()
    local known = section(text, "LIMITS")
    local limits = keys(hidden(config.validate, "LIMITS"))
    limits[#limits + 1] = "per_source"
    table.sort(limits)
    assert.same(limits, items(known, "Ic", 1))
    assert.same(keys(hidden(config.validate, "PER_SOURCE")), items(known, "Ic", 2))
  end)

  it("says what limits are when nothing is said", function()
    local limits = section(text, "LIMITS")
    for name, default in pairs(config.DEFAULT_LIMITS) do
      local item = assert(limits:match("%.It Ic " .. name .. "\n(.-)\n%.It"), name)
      assert.equal(default, tonumber(item:match "Default: ([%d.]+)%."), name)
    end
  end)

  it("explains every key of tls and proxy_protocol, and no other", function()
    assert.same(keys(hidden(tls.check, "PAIR"), hidden(tls.check, "REST")), items(section(text, "TLS"), "Ic", 1))
    local asked = {}
    proxy_protocol.check(setmetatable({ "::1" }, { __index = function(_, key) asked[key] = true end }), "x")
    assert.same(keys(asked), items(section(text, "PROXY PROTOCOL"), "Ic", 1))
  end)

  it("has configs that are good", function()
    local count = 0
    for block in text:gmatch "%.Bd %-literal[^\n]*\n(return.-)\n%.Ed" do
      assert(config.load_string(block, "@page", ".", "handlers"))
      count = count + 1
    end
    assert.equal(2, count)
  end)
end)

describe("linedancer-handlers(7)", function()
  local text = page "linedancer-handlers.7"

  it("explains every key of a handler, and no other", function()
    assert.same(keys(handler.KEYS), items(section(text, "DESCRIPTION"), "Ic", 1))
  end)

  it("names all that conn and ld have", function()
    for _, name in ipairs(keys(conns.methods, conns.facts)) do
      assert.truthy(text:find("conn[:.]" .. name .. "%f[^%w_]"), name)
    end
    for name in pairs(ld) do assert.truthy(text:find("ld%." .. name .. "%f[^%w_]"), name) end
  end)

  -- ITEM as it is marked up, such as "Li u Ns Ar n", as a format behind a field k, such as "u4".
  local function as_format(item)
    local plain = (" " .. item):gsub(" Ns ", "~"):gsub("Qq Ar %w+", '";"'):gsub("Ar n%f[^%w]", "4")
      :gsub("Ar name", "k"):gsub("Ar option", "s1"):gsub("Ar max", "9"):gsub("Ar %.%.%.", "B")
      :gsub("([ ~])%u%l ", "%1"):gsub("~", ""):gsub("^ k:", "other:")
    return "> k:B " .. plain
  end

  it("lists options that there are", function()
    local count = 0
    for item in section(text, "FORMATS"):gmatch "\n%.It ([^\n]-) Ta [^\n]*" do
      if item ~= "Sy Option" then
        count = count + 1
        local source = as_format(item)
        assert.is_true(pcall(ld.format, source), source)
      end
    end
    assert.is_true(count > 30)
  end)

  it("has examples that do what they say", function()
    local t = require "linedancer.testing"
    local ping = assert(loadstring(text:match "%.Bd %-literal[^\n]*\n(%-%- ping.lua.-)\n%.Ed"))()
    local specs = text:match "%.Bd %-literal[^\n]*\n(local t = require.-)\n%.Ed":gsub("\\e", "\\")
    local ran
    local env = setmetatable({
      describe = function(_, fn) fn() end,
      it = function(_, fn) ran = true; fn() end,
      require = function(name) return name == "ping" and ping or require(name) end,
      assert = assert,
    }, { __index = _G })
    setfenv(assert(loadstring(specs)), env)()
    assert.is_true(ran)
    assert.equal("\2\0\2hi", t.play(ping, { "\1\0\2hi", t.eof }).sent)
  end)
end)
