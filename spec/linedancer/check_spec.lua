local check = require "linedancer.check"
local lexer = require "linedancer.check.lexer"
local scratch = require "spec.support.scratch"

local files
local path = package.path

local function fresh()
  before_each(function() files = scratch.new() end)
  after_each(function()
    files.remove()
    package.path = path
  end)
end

-- Findings as "LINE: message", the file left out when it is FILENAME.
local function lines(findings, filename)
  local list = {}
  for i, found in ipairs(findings) do
    local where = found.file == filename and "" or found.file:match("[^/]+$") .. ":"
    list[i] = where .. (found.line or "") .. ": " .. found.message
  end
  return list
end

local function report(text)
  local filename = files.write("tlv.lua", text)
  local found = check.handler(filename, "tlv")
  return lines(found.errors, filename), lines(found.warnings, filename)
end

-- TEXT is the state functions, in table `states`; FIELDS more of the handler. The last line is the definition.
local function states(text, fields)
  return report("local states = {}\n" .. text .. "\nreturn { initial = 'a', states = states, "
    .. (fields or "timeouts = { 60 }") .. " }")
end

local function errors(expected, ...) assert.same(expected, (states(...))) end
local function warnings(expected, ...) assert.same({ {}, expected }, { states(...) }) end

describe("checking a handler", function()
  fresh()

  it("finds nothing in a good one", function()
    warnings({}, [[
function states.a(conn)
  if not conn:unpack "B" then return end
  return "b", 1
end
function states.b(conn, n)
  if n > 3 then conn:fail "b" end
  return "a"
end]])
  end)

  it("finds a syntax error on its line", function()
    assert.same({ "2: unexpected symbol near '='" }, (report "local a\nlocal b = = 1"))
  end)

  it("finds an error in running on its line", function()
    assert.matches("^2: boo\nstack traceback:", report("local a\nerror 'boo'")[1])
  end)

  it("finds an unknown key on its line, with the nearest", function()
    assert.same({ "3: unknown key 'on_eror' (did you mean 'on_error'?)" },
      (report "return {\n  states = { a = function() end },\n  on_eror = print,\n}"))
  end)

  it("finds timeouts of an unknown state on their line", function()
    assert.same({ "3: timeouts.hallo names no state (did you mean 'hello'?)" },
      (report "return {\n  states = { hello = function() end },\n  timeouts = { hallo = 5 },\n}"))
  end)

  it("refuses bytecode", function()
    assert.same({ ": this is Lua bytecode, and only source text is loaded" }, (report(string.dump(function() end))))
  end)

  it("finds a file that is not there", function()
    local found = check.handler(files.dir .. "/gone.lua", "gone")
    assert.matches("cannot open .*gone.lua: No such file", found.errors[1].message)
  end)
end)

describe("a returned name that is no state", function()
  fresh()

  it("is an error on the line of the return, with the nearest name", function()
    errors({ "4: state 'a' returns 'frme', which is no state (did you mean 'frame'?)" },
      "function states.frame() end\nfunction states.a(conn)\n  return 'frme'\nend")
  end)

  it("is found however the function is written", function()
    for _, text in ipairs {
      "function states.a() return 'x' end",
      "states.a = function() return 'x' end",
      "states['a'] = function() return 'x' end",
      "states = { a = function() return 'x' end }",
      "states.a = (function()\nreturn function() return 'x' end end)()",
      "local function a() return 'x' end states.a = a",
      "states.a = function() return 'x' end states.a_of = function() return function() return 'a' end end",
      "states.a = ({ { function(conn) if conn then return [[x]] end end } })[1][1]",
      "states.a = function() return \"\\120\" end",
    } do
      local found = states(text)
      assert.equal(1, #found, text)
      assert.matches("^%d: state 'a' returns 'x', which is no state", found[1])
    end
  end)

  it("is found in every branch, alternative and parenthesis", function()
    for _, expression in ipairs {
      "conn.ok and 'a' or 'x'", "conn.ok and 'x' or 'a'", "(conn.ok and ('x') or 'a')", "conn.ok and 'x'",
      "conn.n == 'y' and 'x' or 'a'", "f(function() return 'y' end) and 'x' or nil", "'x', 'y', conn.z",
      "conn.next or 'x'",
      "conn[ 'y' ] and 'x' or 'a'", "not conn.ok and 'x' or 'a'",
    } do
      errors({ "2: state 'a' returns 'x', which is no state (known: a)" },
        "function states.a(conn) do return " .. expression .. " end end")
    end
    errors({ "3: state 'a' returns 'x', which is no state (known: a)",
      "5: state 'a' returns 'y', which is no state (known: a)" }, [[
function states.a(conn)
  if conn.one then return 'x'
  elseif conn.two then return
  else return 'y' end
end]])
  end)

  it("is found behind a helper that the state returns", function()
    errors({ "2: state 'a' returns 'x', which is no state (known: a, b)",
      "2: state 'b' returns 'x', which is no state (known: a, b)" }, [[
local function next_of(conn) if conn then return 'x' end return next_of(conn) end
function states.a(conn) return next_of(conn) end
function states.b(conn) return states.a(conn) end]])
  end)

  it("is found in hooks, by state or for all", function()
    for fields, what in pairs {
      ["on_error = function() return 'x' end"] = "on_error",
      ["on_timer = function() return 'x' end"] = "on_timer",
      ["on_drain = function() return 'x' end"] = "on_drain",
      ["upgrade = function() return 'x' end"] = "upgrade",
      ["on_message = function() return 'x' end"] = "on_message",
      ["on_message = { a = function() return 'x' end }"] = "on_message.a",
      ["enter = { a = function() return 'x' end }"] = "enter.a",
    } do
      errors({ "3: " .. what .. " returns 'x', which is no state (known: a)" }, "function states.a() end", fields)
    end
  end)

  it("is not seen in functions inside, in comments, or in strings", function()
    errors({}, [==[
function states.a(conn)
  -- return 'x'
  --[[ return 'x' ]] --[=[ ]] return 'x' ]=]
  local s = "return 'x'" .. 'return "x"' .. [[return 'x' end]] .. '\'' .. "\\"
  conn:each(function() return 'x' end)
  conn.t = { f = function() return 'x' end }
  table.sort(conn, function(p, q) return p < q end)
  return 'a'
end]==])
  end)

  it("is found in a state that lives in another module, in that file", function()
    files.write("part.lua", "return {\n  a = function() return 'x' end\n}")
    finally(function() package.loaded["tlv_part"] = nil end)
    os.rename(files.dir .. "/part.lua", files.dir .. "/tlv_part.lua")
    errors({ "tlv_part.lua:2: state 'a' returns 'x', which is no state (known: a)" },
      "states.a = require('tlv_part').a")
  end)
end)

describe("a state that cannot be reached", function()
  fresh()

  local LOST = { "3: state 'lost' cannot be reached from 'a'" }
  local function lost(body, fields)
    return "function states.a(conn) " .. body .. " end\nfunction states.lost() return 'a' end", fields
  end

  it("is warned of", function()
    warnings(LOST, lost "return 'a'")
    warnings(LOST, lost "")
  end)

  it("is warned of although it returns itself", function()
    warnings({ "3: state 'b' cannot be reached from 'a'", "4: state 'c' cannot be reached from 'a'" },
      "function states.a() end\nfunction states.b() return 'c' end\nfunction states.c() return 'b' end")
  end)

  it("is one behind another that can", function()
    warnings({}, "function states.a() return 'b' end\nfunction states.b() return 'c' end\nfunction states.c() end")
  end)

  it("is reached by a hook that names it", function()
    for _, hook in ipairs { "on_error =", "on_message =", "on_timer =", "upgrade =" } do
      warnings({}, lost("return 'a'", "timeouts = { 60 }, " .. hook .. " function() return 'lost' end"))
    end
    warnings({}, lost("return 'a'", "timeouts = { 60 }, on_message = { a = function() return 'lost' end }"))
  end)

  it("is reached through a helper or another state's function", function()
    warnings({}, "local function go() return 'lost' end\nfunction states.a() return go() end\n"
      .. "function states.lost() end")
    warnings({}, "function states.a() return states.b() end\nfunction states.b() return 'lost' end\n"
      .. "function states.lost() return 'b' end")
  end)

  it("is not warned of where a name is known only when it runs", function()
    for _, expression in ipairs {
      "conn.next", "conn.next or 'a'", "'lo' .. 'st'", "pick(conn)", "conn:pick()", "unpack(conn)", "#conn",
      "(conn.next)", "error('x') .. 'lost'", "NEXT[conn.kind], conn", "conn.ok and conn.next or 'a'",
    } do
      warnings({}, lost("do return " .. expression .. " end"))
    end
    warnings({}, lost("return 'a'", "timeouts = { 60 }, on_error = function(conn) return conn.back end"))
  end)

  it("is not warned of where a state's source cannot be had", function()
    warnings({}, "states.a = print\nfunction states.lost() end")
    warnings({}, "states.a = loadstring 'return \"a\"'\nfunction states.lost() end")
  end)

  it("is still warned of beside calls that end the connection, or postpone", function()
    for _, expression in ipairs {
      "conn:fail('lost')", "conn:fail 'lost'", "conn:close()", "error('lost')", "nil", "false",
    } do
      warnings(LOST, lost("if conn.x then return " .. expression .. " end return 'a'"))
    end
    warnings(LOST, lost("return 'a'", "timeouts = { 60 }, on_message = function(_, ld) return ld.postpone end"))
  end)

  it("is still warned of when only states that are lost too are dynamic", function()
    warnings({ "3: state 'b' cannot be reached from 'a'" },
      "function states.a() end\nfunction states.b(conn) return conn.next end")
  end)

  it("is told from one on the same line", function()
    warnings({ "2: state 'c' cannot be reached from 'a'" },
      "states = { a = function() return 'b' end, b = function() return 'a' end, c = function() return 'a' end }")
  end)
end)

describe("a state without a timeout", function()
  fresh()

  it("is warned of unless a default, its own or false is given", function()
    local text = "function states.a() return 'b' end\nfunction states.b() end"
    local function untimed(line, name)
      return line .. ": state '" .. name .. "' has no timeout: a silent peer stays for ever; timeouts = { 60 } limits "
        .. "every state, " .. name .. " = false says that none is wanted"
    end
    warnings({ untimed(2, "a"), untimed(3, "b") }, text, "")
    warnings({ untimed(3, "b") }, text, "timeouts = { a = 5 }")
    warnings({}, text, "timeouts = { 60 }")
    warnings({}, text, "timeouts = { a = { idle = 1 }, b = false }")
  end)
end)

describe("a state that loops", function()
  fresh()

  local function loops(line)
    return line .. ": state 'a' loops without returning a state: a reload cannot move it; return \"a\" for each "
      .. "frame, or leave when conn:stale()"
  end
  local function state(body) return "function states.a(conn)\n" .. body .. "\nend" end

  it("for ever around a read is warned of on the line of the loop", function()
    warnings({ loops(3) }, state "while true do conn:write(conn:read(1)) end")
    warnings({ loops(3) }, state "while 1 do for i = 1, 3 do conn:unpack 'B' end end")
    warnings({ loops(3) }, state "repeat local line = conn:read_line() until false")
  end)

  it("is warned of though it ends when the peer does", function()
    warnings({ loops(3) }, state "while true do if not conn:read_line() then return end end")
    warnings({ loops(3) }, state "while true do if not conn:read_line() then return conn:close() end end")
  end)

  it("is not warned of where it can leave", function()
    for _, body in ipairs {
      "while true do if conn:read(1) then return 'a' end end",
      "while true do if conn:read(1) then break end end",
      "while true do if conn:read(1) and conn:stale() then return end end",
      "while true do if conn:read(1) then goto out end end ::out::",
      "while not conn:stale() do conn:read(1) end",
      "repeat local x = conn:read(1) until not x",
      "repeat local x = conn:read(1) until false or x",
      "for i = 1, 3 do conn:read(1) end",
      "while true do while true do if conn:read(1) then return conn.next end end end",
    } do
      warnings({}, state(body))
    end
  end)

  it("is not warned of where it waits for nothing, or in a function of its own", function()
    warnings({}, state "while true do conn:write 'x' end")
    warnings({}, state "while true do conn:each(function(up) up:read(1) end) end")
    warnings({}, state "conn:spawn(function(up) while true do up:read(1) end end, conn.up)")
  end)

  it("is warned of although a break leaves only a loop inside", function()
    warnings({ loops(3) }, state "while true do for i = 1, 9 do if conn:read(i) then break end end end")
  end)
end)

describe("checking a config", function()
  fresh()

  local GOOD = "return { states = { a = function() end }, timeouts = { 60 }, options = { greeting = 'OK' } }"

  local function config(text)
    local filename = files.write("gateway.lua", text)
    local found = check.config(filename)
    return lines(found.errors, filename), lines(found.warnings, filename)
  end

  it("finds nothing in a good one", function()
    files.write("handlers/tlv.lua", GOOD)
    assert.same({ {}, {} },
      { config "return { listen = { { ':0', handler = 'tlv', options = { greeting = 'HI' } } } }" })
  end)

  it("finds a wrong key on its line", function()
    files.write("handlers/tlv.lua", GOOD)
    assert.same({ "3: unknown key 'listen[2].handlr' (did you mean 'handler'?)" },
      (config "return { listen = {\n{ ':0', handler = 'tlv' },\n{ ':0', handlr = 'tlv' } } }"))
  end)

  it("finds a wrong key without a line when it stands in several", function()
    files.write("handlers/tlv.lua", GOOD)
    assert.same({ ": unknown key 'listen[1].handlr' (did you mean 'handler'?)" },
      (config "return { listen = {\n{ ':0', handlr = 'tlv' },\n{ ':0', handlr = 'tlv' } } }"))
  end)

  it("finds options that the handler does not declare, or of another type", function()
    files.write("handlers/tlv.lua", GOOD)
    assert.same({ "1: listen[1].options: handler 'tlv': unknown option 'greting' (did you mean 'greeting'?)" },
      (config "return { listen = { { ':0', handler = 'tlv', options = { greting = 'HI' } } } }"))
    assert.same({ "1: listen[1].options: handler 'tlv': option 'greeting' must be a string, not 5" },
      (config "return { listen = { { ':0', handler = 'tlv', options = { greeting = 5 } } } }"))
  end)

  it("finds that an option is no function where the handler wants one", function()
    files.write("handlers/tlv.lua",
      "return { states = { a = function() end }, timeouts = { 60 }, options = { hook = function() end } }")
    assert.same({ {}, {} },
      { config "return { listen = { { ':0', handler = 'tlv', options = { hook = function() end } } } }" })
    assert.same({ "1: listen[1].options: handler 'tlv': option 'hook' must be a function, not the string 'print'" },
      (config "return { listen = { { ':0', handler = 'tlv', options = { hook = 'print' } } } }"))
  end)

  it("finds the faults of each handler once", function()
    files.write("handlers/tlv.lua", "return { timeouts = { 1 }, states = {\na = function() return 'x' end } }")
    assert.same({ "tlv.lua:2: state 'a' returns 'x', which is no state (known: a)" },
      (config "return { listen = { { ':0', handler = 'tlv' }, { ':0', handler = 'tlv' } } }"))
  end)

  it("finds a handler that does not compile, and one that is not there", function()
    files.write("handlers/tlv.lua", "local a\nlocal = 1")
    assert.matches("^tlv.lua:2: ", config("return { listen = { { ':0', handler = 'tlv' } } }")[1])
    assert.matches("listen[1].handler: handler 'tvl' was not found",
      config("return { listen = { { ':0', handler = 'tvl' } } }")[1], 1, true)
  end)

  it("warns of limits that a handler asks for and does not get", function()
    files.write("handlers/tlv.lua",
      "return { states = { a = function() end }, timeouts = { 60 }, limits = { frame = 2000, output = 5 } }")
    assert.same({ {}, { ": listen[1]: handler 'tlv' asks for limits.frame = 2000, and gets the 1000 that the config "
      .. "allows" } }, { config "return { limits = { frame = 1000 }, listen = { { ':0', handler = 'tlv' } } }" })
    assert.same({ {}, {} }, { config [[return { limits = { frame = 1000 },
      listen = { { ':0', handler = 'tlv', limits = { frame = 2000 } } } }]] })
  end)
end)

describe("what a file is", function()
  fresh()

  it("is told by what it returns, misspelt or not", function()
    assert.equal("handler", check.kind(function() end))
    assert.equal("handler", check.kind { states = {} })
    assert.equal("handler", check.kind { statse = {}, initial = "a" })
    assert.equal("config", check.kind { listen = {} })
    assert.equal("config", check.kind { lsten = {}, limits = {} })
    for _, neither in ipairs { {}, 5, "x", true, { zebra = 1 }, { limits = {} } } do
      assert.is_nil(check.kind(neither))
    end
    assert.is_nil(check.kind(nil))
  end)

  it("decides how it is checked", function()
    local text = "unknown key '%s' (did you mean '%s'?)"
    local found = check.file(files.write("a.lua", "return { statse = {}, initial = 'a' }"))
    assert.equal(text:format("statse", "states"), found.errors[1].message)
    found = check.file(files.write("b.lua", "return { lsten = {}, workers = 1 }"))
    assert.equal(text:format("lsten", "listen"), found.errors[1].message)
    found = check.file(files.write("c.lua", "return 5"))
    assert.matches("neither a config", found.errors[1].message)
    found = check.file(files.write("d.lua", "\nreturn = 5"))
    assert.equal(2, found.errors[1].line)
  end)

  it("is printed as file, line, severity and message", function()
    assert.equal("a.lua:3: error: boo", check.format({ file = "a.lua", line = 3, message = "boo" }, "error"))
    assert.equal("a.lua: warning: boo", check.format({ file = "a.lua", message = "boo" }, "warning"))
  end)
end)

describe("the lexer", function()
  local function words(text)
    local list = {}
    for i, token in ipairs(lexer.tokens(text)) do list[i] = token.kind .. " " .. token.text end
    assert.equal("eof ", table.remove(list))
    return list
  end

  it("cuts names, keywords, numbers, strings and operators", function()
    assert.same({ "name a", "op .", "name b", "op =", "number 0x1p-4", "op ..", "string 'it\\'s'", "op ~=",
      "keyword nil" }, words "a.b = 0x1p-4 .. 'it\\'s' ~= nil")
    assert.same({ "number 1", "op ..", "number 2e+5", "op -", "number .5ULL" }, words "1 ..2e+5-.5ULL")
    assert.same({ "op ...", "op ::", "name x", "op ::", "string [==[ ]] ]==]" }, words "... ::x:: [==[ ]] ]==]")
  end)

  it("skips comments and counts the lines in them and in strings", function()
    local tokens = lexer.tokens "#!/x\n-- one\n--[[ two\nthree ]] a [[\n\n]] b --[==[ ]]\n]==] c"
    local got = {}
    for i, token in ipairs(tokens) do got[i] = token.line end
    assert.same({ 4, 4, 6, 7, 7 }, got)
  end)

  it("ends on any input", function()
    for _, text in ipairs { "", "'open", "[[open", "--[[open", "'\\", "\1\2\255", "--", "[=", "1e+", "\27LJ" } do
      assert.equal("eof", lexer.tokens(text)[#lexer.tokens(text)].kind)
    end
  end)

  it("reads every Lua file of the project as balanced functions", function()
    local scan = require "linedancer.check.scan"
    local list = assert(io.popen "find lua spec -name '*.lua'")
    for name in list:lines() do
      local file = assert(io.open(name))
      local functions = scan.functions(lexer.tokens(file:read "*a"))
      file:close()
      for _, fn in ipairs(functions) do assert(fn.last, name .. ":" .. fn.line .. " is never closed") end
    end
    list:close()
  end)
end)
