local handler = require "linedancer.handler"
local scratch = require "spec.support.scratch"

local function fn() end

local function refused(value, text)
  local definition, message = handler.define(value, "tlv")
  assert.is_nil(definition)
  assert.matches(text, message, 1, true)
  assert.matches("handler 'tlv': ", message, 1, true)
end

-- A handler of two states, with FIELDS over it.
local function two(fields)
  local value = { initial = "hello", states = { hello = fn, frame = fn } }
  for key, field in pairs(fields or {}) do value[key] = field end
  return value
end

describe("a handler definition", function()
  it("takes a bare function as the state main", function()
    local d = handler.define(fn, "echo")
    assert.same({ "echo", "main", { main = fn }, { "main" } }, { d.name, d.initial, d.states, d.state_names })
    assert.same({ main = {} }, d.timeouts)
  end)

  it("has the initial state first and the others in order", function()
    local d = handler.define({ initial = "m", states = { z = fn, a = fn, m = fn } }, "x")
    assert.same({ "m", "a", "z" }, d.state_names)
  end)

  it("may leave out initial when there is one state", function()
    assert.equal("only", handler.define({ states = { only = fn } }, "x").initial)
    refused({ states = { a = fn, b = fn } }, "initial is missing: name the first state, one of a, b")
  end)

  it("refuses what is no handler", function()
    refused(nil, "returned nothing: a handler file ends with")
    refused(true, "returned true")
    refused("hello", "returned the string 'hello'")
    refused({}, "states is missing")
    refused({ states = {} }, "states is empty")
    refused({ states = fn }, "states must be a table, not a function")
    refused({ states = { hello = "x" } }, "states.hello must be a function, not the string 'x'")
    refused({ states = { fn } }, "states has a key that is 1, not a name")
  end)

  it("refuses an unknown key and suggests the nearest", function()
    refused(two { timeout = { 60 } }, "unknown key 'timeout' (did you mean 'timeouts'?)")
    refused(two { on_mesage = fn }, "did you mean 'on_message'?")
    refused(two { fn }, "unknown key '[1]'")
  end)

  it("refuses an initial that names no state", function()
    refused(two { initial = "helo" }, "initial = 'helo' names no state (did you mean 'hello'?)")
    refused(two { initial = fn }, "initial must be a string, not a function")
  end)

  it("refuses keys that name no state", function()
    refused(two { timeouts = { fram = 3 } }, "timeouts.fram names no state (did you mean 'frame'?)")
    refused(two { timeouts = { 60, 70 } }, "timeouts[2] names no state")
    refused(two { enter = { fram = fn } }, "enter.fram names no state (did you mean 'frame'?)")
    refused(two { on_message = { fram = fn } }, "on_message.fram names no state (did you mean 'frame'?)")
  end)

  it("refuses hooks of the wrong type", function()
    for _, hook in ipairs { "start", "on_timer", "on_drain", "on_error", "on_close", "upgrade" } do
      refused(two { [hook] = "x" }, hook .. " must be a function, not the string 'x'")
    end
    refused(two { on_message = 1 }, "on_message must be a function, not 1")
    refused(two { on_message = { hello = 1 } }, "on_message.hello must be a function, not 1")
    refused(two { enter = fn }, "enter must be a table, not a function")
    refused(two { enter = { hello = 1 } }, "enter.hello must be a function")
    refused(two { commands = { kick = 1 } }, "commands.kick must be a function, not 1")
  end)

  it("keeps the hooks, commands and on_message in either form", function()
    local by_state, kick = { hello = fn }, { kick = fn }
    local d = handler.define(two { on_message = by_state, commands = kick, on_error = fn, enter = by_state }, "x")
    assert.same({ by_state, kick, fn, by_state }, { d.on_message, d.commands, d.on_error, d.enter })
    assert.equal(fn, handler.define(two { on_message = fn }, "x").on_message)
  end)
end)

describe("a handler's timeouts", function()
  local function timeouts(given) return handler.define(two { timeouts = given }, "x") end

  it("are given to every state, the default where none is named", function()
    local d = timeouts { 60, hello = 5 }
    assert.same({ hello = { total = 5 }, frame = { total = 60 } }, d.timeouts)
    assert.same({}, d.untimed)
  end)

  it("replace the default as a whole", function()
    assert.same({ hello = { total = 60 }, frame = { idle = 9 } }, timeouts({ 60, frame = { idle = 9 } }).timeouts)
    assert.same({ idle = 1, total = 2 }, timeouts({ { idle = 1, total = 2 } }).timeouts.hello)
  end)

  it("may be declined with false, and are missed where nothing is said", function()
    local d = timeouts { hello = false }
    assert.same({ hello = {}, frame = {} }, d.timeouts)
    assert.same({ "frame" }, d.untimed)
  end)

  it("are numbers above 0", function()
    for _, wrong in ipairs { 0, -1, math.huge, 0 / 0 } do
      refused(two { timeouts = { hello = wrong } }, "timeouts.hello must be a number above 0")
      refused(two { timeouts = { wrong } }, "timeouts[1] must be a number above 0")
      refused(two { timeouts = { frame = { idle = wrong } } }, "timeouts.frame.idle must be a number above 0")
    end
    refused(two { timeouts = { hello = "5" } }, "timeouts.hello must be seconds, { idle =, total = } or false")
    refused(two { timeouts = { hello = {} } }, "timeouts.hello is empty")
    refused(two { timeouts = { hello = { idel = 1 } } }, "'timeouts.hello.idel' (did you mean 'idle'?)")
    refused(two { timeouts = 60 }, "timeouts must be a table such as { 60, hello = 5 }, not 60")
  end)

  it("check a default that every state overrides", function()
    refused(two { timeouts = { "x", hello = 1, frame = 1 } }, "timeouts[1] must be seconds")
  end)
end)

describe("a handler's limits", function()
  it("are known by name and above 0", function()
    local limits = { frame = 2^16, linger = 0.5 }
    assert.same(limits, handler.define(two { limits = limits }, "x").limits)
    refused(two { limits = { frames = 1 } }, "unknown key 'limits.frames' (did you mean 'frame'?)")
    refused(two { limits = { frame = 0 } }, "limits.frame must be a whole number, 1 or more, not 0")
    refused(two { limits = { frame = 1.5 } }, "limits.frame must be a whole number")
    refused(two { limits = { output = "1" } }, "limits.output must be a whole number, 1 or more, not the string '1'")
    refused(two { limits = { linger = -1 } }, "limits.linger must be a number above 0")
    refused(two { limits = 5 }, "limits must be a table, not 5")
  end)

  it("never exceed what is allowed", function()
    local d = handler.define(two { limits = { frame = 100, output = 900 } }, "x")
    assert.same({ frame = 100, output = 500, linger = 5, mailbox = 10 },
      handler.limits(d, { frame = 200, output = 500, linger = 5, mailbox = 10 }))
  end)
end)

describe("a handler's options", function()
  local definition = handler.define(two { options = {
    greeting = "OK", size = 10, loud = false, list = { type = "number", default = { 1 } },
  } }, "tlv")

  local function wrong(given, text)
    local merged, message = handler.options(definition, given)
    assert.is_nil(merged)
    assert.matches(text, message, 1, true)
  end

  it("take the defaults where nothing is given", function()
    assert.same(definition.options, handler.options(definition, nil))
    assert.same({ greeting = "HI", size = 10, loud = true, list = { type = "number", default = { 1 } } },
      handler.options(definition, { greeting = "HI", loud = true }))
  end)

  it("share no table with the defaults or with what was given", function()
    local given = { list = { { "deep" } } }
    local one, other = handler.options(definition, {}), handler.options(definition, given)
    one.list.default[1] = 9
    other.list[1][1] = 9
    assert.same({ 1 }, definition.options.list.default)
    assert.equal("deep", given.list[1][1])
  end)

  it("are refused when unknown or of another type than the default", function()
    wrong({ greting = "x" }, "handler 'tlv': unknown option 'greting' (did you mean 'greeting'?)")
    wrong({ greeting = 5 }, "option 'greeting' must be a string, not 5")
    wrong({ size = "5" }, "option 'size' must be a number, not the string '5'")
    wrong({ loud = 1 }, "option 'loud' must be a boolean, not 1")
    wrong({ list = 1 }, "option 'list' must be a table, not 1")
    wrong({ "x" }, "options must be named")
    wrong("x", "options must be a table")
    assert.matches("it has no options, so 'x' cannot be set",
      select(2, handler.options(handler.define(fn, "echo"), { x = 1 })), 1, true)
  end)

  it("may be functions, where the default is one", function()
    local hooked = handler.define(two { options = { ask = fn } }, "hooked")
    local function other() end
    assert.equal(fn, handler.options(hooked, nil).ask)
    assert.equal(other, handler.options(hooked, { ask = other }).ask)
    assert.matches("option 'ask' must be a function, not the string 'x'",
      select(2, handler.options(hooked, { ask = "x" })), 1, true)
  end)

  it("have a name and plain data as their default", function()
    refused(two { options = { "x" } }, "options must be named")
    refused(two { options = { c = coroutine.create(fn) } },
      "options.c must have a string, number, boolean, table or function as its default, not a thread")
    refused(two { options = 5 }, "options must be a table, not 5")
  end)
end)

describe("a handler's file", function()
  local files
  local path = package.path

  before_each(function() files = scratch.new() end)
  after_each(function()
    files.remove()
    package.path = path
  end)

  local function resolve(spec, ...) return handler.resolve(spec, files.dir, ...) end

  it("is a path below the base directory when it has a slash or ends in .lua", function()
    local file, deep = files.write("mine.lua", ""), files.write("a/b.lua", "")
    assert.equal(file, resolve "mine.lua")
    assert.equal(file, resolve "./mine.lua")
    assert.equal(deep, resolve "a/b.lua")
    assert.equal(file, handler.resolve(file, "/nowhere"))
  end)

  it("is the init.lua of a directory", function()
    local file = files.write("rtmp/init.lua", "")
    assert.equal(file, resolve "./rtmp")
  end)

  it("is looked for by module name in path, base/handlers, and the bundled directory, in that order", function()
    local bundled = files.write("bundled/chat/room/init.lua", "")
    assert.equal(bundled, resolve("chat.room", {}, files.dir .. "/bundled"))
    local own = files.write("handlers/chat/room.lua", "")
    assert.equal(own, resolve("chat.room", {}, files.dir .. "/bundled"))
    local first = files.write("one/chat/room.lua", "")
    assert.equal(first, resolve("chat.room", { files.dir .. "/none", files.dir .. "/one" }, files.dir .. "/bundled"))
  end)

  it("prefers NAME.lua to NAME/init.lua", function()
    local init = files.write("handlers/x/init.lua", "")
    assert.equal(init, resolve "x")
    assert.equal(files.write("handlers/x.lua", ""), resolve "x")
  end)

  it("that is missing is reported with every place that was tried", function()
    local file, message = resolve("nope", { "/p" }, "/bundled")
    assert.is_nil(file)
    assert.equal(table.concat({ "handler 'nope' was not found; looked for", "/p/nope.lua", "/p/nope/init.lua",
      files.dir .. "/handlers/nope.lua", files.dir .. "/handlers/nope/init.lua", "/bundled/nope.lua",
      "/bundled/nope/init.lua" }, "\n  "), message)
    assert.matches(files.dir .. "/gone.lua", select(2, resolve "gone.lua"), 1, true)
  end)

  it("is not looked for under a name that is none", function()
    for _, spec in ipairs { "a..b", ".a", "a b", "a.", "caf\195\169" } do
      assert.matches("neither a module name", select(2, resolve(spec)), 1, true)
    end
    assert.matches("not nothing", select(2, resolve(nil)), 1, true)
    assert.matches("not a table", select(2, resolve {}), 1, true)
    assert.matches("not the string ''", select(2, resolve ""), 1, true)
  end)
end)

describe("loading a handler", function()
  local files
  local path = package.path

  before_each(function() files = scratch.new() end)
  after_each(function()
    files.remove()
    package.path = path
  end)

  local function refuses(text, pattern)
    local file = files.write("bad.lua", text)
    local definition, message = handler.load(file, "bad")
    assert.is_nil(definition)
    assert.equal(file, message:sub(1, #file))
    assert.matches(pattern, message, 1, true)
    return message
  end

  it("gives the definition, its name and its file", function()
    local file = files.write("tlv.lua", "return { states = { a = function() end }, options = { name = ... } }")
    local d = handler.load(file, "my.tlv")
    assert.same({ "my.tlv", file, "a", "my.tlv" }, { d.name, d.file, d.initial, d.options.name })
    assert.equal("tlv", handler.load(file).name)
    assert.equal("tlv", handler.load(files.write("tlv/init.lua", "return function() end")).name)
  end)

  it("skips a first line that opens with # and a byte order mark, keeping line numbers", function()
    assert.is_table(handler.load(files.write("x.lua", "#!/usr/bin/luajit\nreturn function() end"), "x"))
    assert.is_table(handler.load(files.write("x.lua", "\239\187\191return function() end"), "x"))
    refuses("#!/x\nlocal = 1", "bad.lua:2:")
  end)

  it("refuses bytecode", function()
    refuses(string.dump(function() end), "this is Lua bytecode, and only source text is loaded")
    refuses("\27", "is Lua bytecode")
    refuses("\239\187\191" .. string.dump(function() end), "is Lua bytecode")
    refuses("#!/usr/bin/luajit\n" .. string.dump(function() end), "is Lua bytecode")
  end)

  it("reports a syntax error with file and line", function()
    refuses("local a = 1\nlocal b = = 2\n", "bad.lua:2: unexpected symbol near '='")
  end)

  it("reports an error in running with a traceback of the file alone", function()
    local message = refuses("local function f()\n  error 'boo'\nend\nf()\n", "bad.lua:2: boo\nstack traceback:")
    assert.matches("bad.lua:4: in ", message, 1, true)
    assert.is_nil(message:find("linedancer", 1, true))
  end)

  it("reports an error that is no string", function()
    local file = files.write("odd.lua", "error(setmetatable({}, { __tostring = function() return 'odd one' end }))")
    assert.matches("odd one", select(2, handler.load(file, "odd")), 1, true)
  end)

  it("reports what the file returned when that is no handler", function()
    refuses("return { initial = 'a', states = { b = function() end } }", "handler 'bad': initial = 'a' names no state")
    refuses("", "returned nothing")
  end)

  it("reports a file that cannot be read", function()
    assert.matches("/nope.lua: No such file", select(2, handler.load(files.dir .. "/nope.lua", "x")), 1, true)
    assert.matches("Is a directory", select(2, handler.load(files.dir, "x")), 1, true)
  end)

  it("lets it require its submodules, below its own and its directory's name", function()
    files.write("kit/ldspec/part.lua", "return { word = 'OK' }")
    local file = files.write("kit/ldspec/init.lua",
      "return { states = { a = function() end },\n"
      .. "options = { a = require('ldspec.part').word, b = require('kit.ldspec.part').word } }")
    finally(function() package.loaded["ldspec.part"], package.loaded["kit.ldspec.part"] = nil, nil end)
    assert.same({ a = "OK", b = "OK" }, assert(handler.load(file, "ldspec")).options)
  end)

  it("adds each directory to package.path once", function()
    local file = files.write("kit/a.lua", "return function() end")
    handler.load(file, "a")
    local once = package.path
    handler.load(file, "a")
    assert.equal(once, package.path)
    assert.equal(path, once:sub(1, #path))
  end)

  it("takes its globals from the environment that is given", function()
    local file = files.write("env.lua", "return { states = { a = fn } }")
    assert.equal(fn, handler.load(file, "env", { fn = fn }).states.a)
  end)
end)
