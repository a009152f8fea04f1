-- Handlers that somebody else wrote, and mean harm: what they are given must not lead to anything else.
local core = require("linedancer.api").core
local handler = require "linedancer.handler"
local logged = require "spec.support.logged"
local sandbox = require "linedancer.sandbox"
local scratch = require "spec.support.scratch"
local strings = require "linedancer.sandbox.strings"
local t = require "linedancer.testing"

local files

-- Modules are loaded anew for each file of specs, but buffers keep the methods of the first: theirs are to be guarded.
local function guard_buffers(fn)
  local pack = require("linedancer").buffer().pack
  for i = 1, 20 do
    if debug.getupvalue(pack, i) == "guard" then debug.setupvalue(pack, i, fn) end
  end
end

-- What a handler module would have returned for DEFINITION.
local function module_of(definition)
  local module = {}
  for key in pairs(handler.KEYS) do module[key] = definition[key] end
  module.timeouts = nil
  return module
end

-- What the state function with BODY says before it ends, in a sandbox that GRANTED opens.
local function play(body, script, granted, more)
  local file = files.write("tenant.lua", ("local ld = require 'linedancer'\n%s\nlocal states = {}\n"
    .. "function states.main(conn)\n%s\nend\nreturn { initial = 'main', states = states, %s }"):format(
      more and more.before or "", body, more and more.rest or ""))
  local definition, message = sandbox.load {
    file = file, module = "tenant", sandbox = granted or { connect = false },
  }
  if not definition then return { sent = "", message = message } end
  return t.play(module_of(definition), script or { t.eof })
end

local function says(expected, body, ...)
  local run = play(body, ...)
  assert.equal(expected, run.sent, tostring(run.error or run.message))
end

describe("a sandbox", function()
  before_each(function()
    files = scratch.new()
    guard_buffers(require("linedancer.sandbox.standin").plain_all)
  end)
  after_each(function()
    guard_buffers(nil)
    files.remove()
    strings.remove()
  end)

  it("runs an ordinary handler", function()
    local run = play([[
      local name, n = conn:read_line():match "^(%w+) (%d+)$"
      conn.user = name
      conn:pack(">I2 s1", tonumber(n), conn.user)
      conn:pack("count:B name:s1", { count = 7, name = "x" })
      conn:write(tostring(ld.format ">I2":pack(258)), ld.crypto.hex("a"), #ld.blob "abc", " ", conn.state, "\n")
      conn:spawn(function() conn:write "task" end)
      conn:join()
      ld.counter("n"):add(2)
      conn:write(" ", ld.counter("n").value, " ", ld.keep("k") == ld.keep("k") and "kept" or "?")
    ]], { "abc 5\n", t.eof })
    assert.equal("\0\5\3abc\7\1x\1\00261" .. "3 main\ntask 2 kept", run.sent)
    assert.equal("done", run.reason)
  end)

  it("has no way to files, processes, the FFI, bytecode and the debugger", function()
    says("", [[
      for _, name in ipairs { "io", "debug", "ffi", "jit", "package", "module", "dofile", "loadfile", "getfenv",
          "setfenv", "newproxy", "gcinfo", "arg" } do
        if _G[name] ~= nil then conn:write(name, " ") end
      end
      for _, name in ipairs { "execute", "exit", "remove", "rename", "tmpname", "getenv", "setlocale" } do
        if os[name] ~= nil then conn:write("os.", name, " ") end
      end
      if string.dump or ("").dump or math.randomseed then conn:write "dump" end
    ]])
    says("", [[
      for _, name in ipairs { "io", "debug", "ffi", "jit", "jit.util", "string.buffer", "linedancer.api",
          "linedancer.core", "linedancer.machine",
          "linedancer.testing", "../x", "/etc/passwd", "table.new", "package" } do
        local ok, message = pcall(require, name)
        if ok then conn:write(name, " ") end
        if not ok and not message:find "not available" then conn:write(message) end
      end
    ]])
  end)

  it("loads text alone, into its own globals", function()
    local bytecode = string.dump(function() return 1 end)
    files.write("code.lua", "return " .. ("%q"):format(bytecode):gsub("\r", "\\r"):gsub("%z", "\\0"))
    local run = play([[
      local code = require "code"
      conn:write(tostring(loadstring(code)), " ", tostring(load(code, "x", "b")), " ")
      conn:write(tostring(load(function() local c = code code = nil return c end)), " ")
      x = 1
      conn:write(tostring(loadstring "return x"()), " ", tostring(loadstring "return _G"() == _G), " ")
      conn:write(tostring(load("return x", "n", "t", { x = 2 })()))
    ]])
    assert.equal("nil nil nil 1 true 2", run.sent, tostring(run.error))
    assert.is_nil(rawget(_G, "x"))
    files.write("bad.lua", bytecode)
    assert.matches("bytecode", play("pcall(error)", nil, nil, { before = "require 'bad'" }).message)
  end)

  it("requires what is beside it, and nothing else", function()
    files.write("own/part.lua", "local name = ... return { name = name, env = _G }")
    says("own.part true", [[
      local part = require "own.part"
      conn:write(part.name, " ", tostring(part.env == _G and part == require "own.part"))
    ]])
    assert.is_false((pcall(require, "own.part")))
    assert.is_nil(package.path:find(files.dir, 1, true))
  end)

  it("cannot reach metatables that others have, nor change libraries", function()
    local before = string.upper
    says("nil nil nil nil false false", [[
      local function mt(x) return tostring(getmetatable(x)) end
      local _, err = pcall(conn.fail, conn, "x")
      conn:write(mt "", " ", mt(conn), " ", mt(err), " ", mt(ld.format "B"), " ")
      conn:write(tostring(pcall(setmetatable, err, {})), " ", tostring(pcall(setmetatable, conn, {})))
      string.upper, table.insert, math.floor, pairs = nil, nil, nil, nil
    ]])
    assert.equal(before, string.upper)
    assert.equal("A", ("a"):upper())
    says("own 5", [[
      local x = setmetatable({}, { __index = function() return 5 end, __tostring = function() return "own" end })
      conn:write(tostring(x), " ", x.y)
    ]])
  end)

  it("cannot make a connection stand for another", function()
    says("false false nil nil true true", [[
      conn:write(tostring(pcall(function() conn[1] = 5 end)), " ")
      conn:write(tostring(pcall(function() conn.machine = 5 end)), " ")
      conn:write(tostring(conn[1]), " ", tostring(conn.machine), " ")
      rawset(conn, 1, 5)
      conn:write(tostring(pcall(conn.write, conn, "")), " ")
      conn:write(tostring(not pcall(conn.write, { 5 }, "hello") and not pcall(conn.write, ld.format "B", "x")))
    ]])
    says("false false", [[
      local f = ld.format "B"
      conn:write(tostring(pcall(function() f.id = 999999 end)), " ")
      rawset(f, "id", 999999)
      assert(conn:unpack(f) == 65)
      conn:write(tostring(pcall(conn.unpack, conn, { id = 9, read = 1 })))
    ]], { "A", t.eof })
  end)

  it("tells no addresses", function()
    says("table function table thread builtin: no", [[
      local function word(x) return tostring(x) end
      conn:write(word {}, " ", word(function() end), " ", ("%s"):format {}, " ", word(coroutine.create(function() end)))
      local ok = pcall(string.format, "%p", {})
      conn:write(" ", tostring(print):find "0x" and "0x" or "builtin", ": ", ok and "yes" or "no")
      assert(not pcall(string.format, "%-20p", {}) and not pcall(("%5p").format, "%5p", "x"))
    ]])
  end)

  it("cannot have the core read what is not there", function()
    says("4", [[
      local nan, kinds = 0 / 0, 0
      local b = ld.buffer(100)
      b:put "hello"
      for _, call in ipairs {
        function() return b:sub(nan, 1) end, function() return b:sub(1, nan) end, function() b:put("x", nan) end,
        function() return conn:read_some(nan) end, function() return b:u32be(nan) end,
      } do
        if not pcall(call) then kinds = kinds + 1 end
      end
      assert(b:byte(nan) == nil and b:byte(1e300) == nil and b:byte(-1e300) == nil)
      conn:write(kinds)
    ]])
    says("ok", [[
      local evil = ld.buffer()
      local calls = 0
      local function again()
        calls = calls + 1
        return ("x"):rep(50)
      end
      local item = setmetatable({}, { __index = again })
      assert(not pcall(evil.pack, evil, "n:B items:@n*(a:s1 b:s1)", { n = 2, items = { item, item } }))
      assert(not pcall(conn.pack, conn, "n:B items:@n*(a:s1 b:s1)", { n = 2, items = { item, item } }))
      evil:pack("n:B items:@n*(a:s1 b:s1)", { n = 1, items = { { a = "x", b = "y" } } })
      conn:write(calls == 0 and "ok" or "called")
    ]])
  end)

  it("is stopped amid patterns, long strings and sorting", function()
    says("false false false false true", [[
      local long = ("a"):rep(100000)
      conn:write(tostring(pcall(long.find, long, ".-.-.-.-b")), " ")
      conn:write(tostring(pcall(string.gsub, long, ".-.-b", "")), " ")
      conn:write(tostring(pcall(string.rep, "x", 2 ^ 30)), " ", tostring(pcall(("x").rep, "x", 2 ^ 20, long)), " ")
      local list = { 3, 1, 2 }
      table.sort(list)
      conn:write(tostring(list[1] == 1 and list[3] == 3))
    ]])
  end)

  it("says so much in the log, and no more", function()
    local lines = logged(function()
      says("", [[
        for i = 1, 1000 do ld.log.info(("x"):rep(5000), { n = i, t = {} }) end
        print(("y"):rep(5000))
      ]])
      says("", "ld.log.warn('again') conn:pack('')")
    end)
    local count, longest = 0, 0
    for _, line in ipairs(lines) do
      if tostring(line.fields.sandbox):find "^tenant%-" then count = count + 1 end
      longest = math.max(longest, #line.text)
    end
    assert.is_true(count >= 50 and count <= 101, count)
    assert.equal(1000, longest)
  end)

  it("hears and tells under its own name", function()
    local run = play("conn:subscribe 'news/#' ld.publish('news/a', 'hi') conn:read(1)", { t.advance(1), t.eof }, nil,
      { rest = "on_message = function(conn, from, message, topic) conn:write(topic, ' ', message) end" })
    assert.equal("news/a hi", run.sent, tostring(run.error))
    says("1", "ld.keep('shared').x = 1 conn:write(ld.keep('shared').x)")
    local own = sandbox.prefix { module = "tenant", file = files.dir .. "/tenant.lua" }
    assert.matches("^sandbox/tenant%-%x+/$", own)
    assert.equal(1, require("linedancer").keep(own .. "shared").x)
    assert.is_nil(require("linedancer").keep("shared").x)
    assert.not_equal(own, sandbox.prefix { module = "tenant", file = "other/tenant.lua" })
  end)

  it("connects, names files and holds gateway secrets only when it may", function()
    says("false sandbox = { connect = true }", [[
      local ok, message = pcall(ld.connect, "127.0.0.1:80")
      conn:write(tostring(ok), " ", message:match "sandbox = .-}")
    ]])
    says("false nil nil nil nil nil", [[
      local ok = pcall(ld.connect, "127.0.0.1:80", { tls = { ca = "/etc/passwd" } })
      conn:write(tostring(ok), " ", tostring(ld.crypto.secret), " ", tostring(ld.send), " ", tostring(ld.whereis), " ",
        tostring(ld.channel), " ", tostring(ld.call))
    ]], nil, { connect = true })
  end)

  it("keeps a handler's own fields through states, hooks and errors", function()
    local run, path = t.play(module_of(sandbox.load { file = files.write("b.lua", [[
      local states = {}
      function states.one(conn) conn.n = 1 return "two", conn end
      function states.two(conn, same)
        assert(same == conn and conn.n == 1)
        error "oops"
      end
      return { initial = "one", states = states, enter = { two = function(conn, from) conn:write(from) end },
        on_error = function(conn, err) conn:write(" ", err.code, " ", conn.n) end,
        on_close = function(conn, reason) assert(conn.n == 1 and reason == "error") end }
    ]]), module = "b", sandbox = {} }), {})
    assert.equal("one error 1", run.sent)
    assert.equal(2, #path)
  end)

  it("is asked for by the config", function()
    assert.same({ connect = false }, sandbox.check(true, "x"))
    assert.same({ connect = true }, sandbox.check({ connect = true }, "x"))
    assert.is_nil(sandbox.check(false, "x"))
    assert.is_false((pcall(sandbox.check, { conect = true }, "x")))
  end)

  it("is checked without being trusted", function()
    local check = require "linedancer.check"
    local config = files.write("gateway.lua", ("return { listen = { { '[::1]:0', handler = %q, sandbox = true } } }")
      :format(files.write("evil.lua", "io.open('/tmp/x', 'w') return function() end")))
    local report = check.config(config, "handlers")
    assert.matches("attempt to index global 'io'", report.errors[1].message)
    assert.is_not_nil(core)
  end)
end)
