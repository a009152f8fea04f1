local cli = require "linedancer.cli"
local remote = require "linedancer.cli.remote"
local scratch = require "spec.support.scratch"

describe("the command line", function()
  local files, ran
  local path = package.path

  before_each(function()
    files = scratch.new {
      ["tlv.lua"] = [[return { states = { a = function() end }, timeouts = { 60 },
        options = { greeting = "OK", size = 10, loud = false, list = {}, hook = print } }]],
      ["bundled/mirror.lua"] = "return function() end",
      ["gateway.lua"] = "return { listen = { { ':0', handler = './tlv.lua' } } }",
      ["bad.lua"] = "return {\n  statse = {}, initial = 'a',\n}",
    }
    ran = nil
  end)
  after_each(function()
    files.remove()
    package.path = path
  end)

  -- Exit code, what went to stdout, what went to stderr.
  local function main(...)
    local out, err = {}, {}
    local code = cli.main({ ... }, {
      version = "1.2.3",
      handlers_path = files.dir .. "/bundled",
      space = require("linedancer.handler.space").new,
      out = function(text) out[#out + 1] = text end,
      err = function(text) err[#err + 1] = text end,
      run = function(config)
        ran = config
        return 0
      end,
      test = function(argv)
        ran = argv
        return 7
      end,
      library = "/share/library",
    })
    return code, table.concat(out), table.concat(err)
  end

  local function file(name) return files.dir .. "/" .. name end

  -- Ends with CODE, says TEXT on stderr and nothing on stdout, and runs nothing.
  local function refused(code, text, ...)
    local got, out, err = main(...)
    assert.same({ code, "" }, { got, out })
    assert.matches(text, err, 1, true)
    assert.is_nil(ran)
  end

  it("without a command shows the commands on stderr, as wrong usage", function()
    refused(2, "Usage: linedancer COMMAND")
  end)

  it("suggests the nearest command or option", function()
    refused(2, "unknown command 'chekc' (did you mean 'check'?)\nTry 'linedancer help'.", "chekc")
    refused(2, "unknown option '--verison' (did you mean '--version'?)", "--verison")
    refused(2, "unknown option '--lisen' (did you mean '--listen'?)\nTry 'linedancer help run'.", "run", "--lisen")
    refused(2, "unknown option '--lisen' (did you mean '--listen'?)", "run", "--lisen=:0")
    refused(2, "unknown option '-x'", "check", "-x")
    refused(2, "unknown command 'rnu' (did you mean 'run'?)", "help", "rnu")
  end)

  it("prints the version", function()
    for _, name in ipairs { "version", "--version" } do
      assert.same({ 0, "linedancer 1.2.3\n", "" }, { main(name) })
    end
    refused(2, "version takes no argument, but got 'x'", "version", "x")
  end)

  it("explains itself and every command, with an example", function()
    for _, name in ipairs { "help", "--help", "-h" } do
      local code, out = main(name)
      assert.equal(0, code)
      for _, command in ipairs { "run", "check", "test", "new", "version", "help" } do
        assert.matches("\n  " .. command .. " ", out, 1, true)
      end
    end
    for _, command in ipairs { "run", "check", "test", "new", "version", "help" } do
      local code, out, err = main("help", command)
      assert.same({ 0, "" }, { code, err })
      assert.matches("Usage: linedancer " .. command, out, 1, true)
      assert.matches("Example: linedancer " .. command, out, 1, true)
      assert.same({ 0, out, "" }, { main(command, "--help") })
      assert.same({ 0, out, "" }, { main(command, "-h") })
    end
    assert.is_nil(ran)
    refused(2, "help takes one command", "help", "run", "check")
  end)

  it("hands the arguments of test, and its exit code, through", function()
    assert.equal(7, (main("test", "--filter", "x", "spec/a_spec.lua")))
    assert.same({ "--filter", "x", "spec/a_spec.lua" }, ran)
  end)

  describe("new", function()
    local function there(name)
      local found = io.open(file(name))
      return found and found:close()
    end

    it("makes a handler with its spec, its config and the editor's settings, and says what to try", function()
      local code, out, err = main("new", "handler", "mine", "--directory", file "a dir")
      assert.same({ 0, "" }, { code, err })
      assert.matches("Made:\n  " .. file "a dir/handlers/mine.lua" .. "\n", out, 1, true)
      assert.matches("\n  cd '" .. file "a dir" .. "'\n  linedancer check mine.conf.lua\n", out, 1, true)
      for _, name in ipairs { "handlers/mine.lua", "spec/mine_spec.lua", "mine.conf.lua", ".luarc.json" } do
        assert.is_true(there("a dir/" .. name), name)
      end
    end)

    it("makes each kind", function()
      local initial = { binary = "hello", line = "command", proxy = "connect" }
      for kind, state in pairs(initial) do
        assert.equal(0, (main("new", "--" .. kind, "handler", kind, "--" .. kind, "--directory=" .. files.dir)))
        assert.equal(state, dofile(file("handlers/" .. kind .. ".lua")).initial)
      end
      assert.equal(0, (main("new", "handler", "usual", "--directory", files.dir)))
      assert.equal("hello", dofile(file "handlers/usual.lua").initial)
    end)

    it("refuses what it does not take, and makes nothing", function()
      local function new(...) return "new", "--directory", file "new", ... end
      refused(2, "new makes a handler, as in 'new handler NAME'\nTry 'linedancer help new'.", "new")
      refused(2, "new makes a handler, as in 'new handler NAME', not 'config'", new("config", "mine"))
      refused(2, "new handler needs its NAME", new "handler")
      refused(2, "'b' is one argument too many", new("handler", "a", "b"))
      refused(2, "--line and --proxy: a handler is of one kind", new("handler", "a", "--line", "--proxy"))
      refused(2, "unknown option '--lines' (did you mean '--line'?)", new("handler", "a", "--lines"))
      refused(2, "--line takes no value", new("handler", "a", "--line=yes"))
      refused(2, "--directory needs a value", "new", "handler", "a", "--directory")
      refused(2, "--directory needs a value", "new", "handler", "a", "--directory=")
      for _, name in ipairs { "", "1st", "a/b", "a.b", "../a", "a b", "é", "_a" } do
        refused(2, "'" .. name .. "' is no name of a handler", new("handler", name))
      end
      refused(2, "a handler cannot be called 'init'", new("handler", "init"))
      assert.is_nil(there "new")
    end)

    it("refuses to write over what is there", function()
      files.write("mine.conf.lua", "mine")
      refused(1, file "mine.conf.lua" .. " is there already; nothing has been made", "new", "handler", "mine",
        "--directory", files.dir)
      assert.is_nil(there "handlers")
    end)
  end)

  describe("run", function()
    it("runs a config file, with the log level of the command line", function()
      assert.same({ 0, "", "" }, { main("run", file "gateway.lua") })
      assert.same({ file "tlv.lua", "info" }, { ran.listen[1].file, ran.log.level })
      main("run", "--log-level", "debug", file "gateway.lua")
      assert.equal("debug", ran.log.level)
    end)

    it("takes the number of workers from the config, or from the command line; pairs run in one process", function()
      main("run", file "gateway.lua")
      assert.is_nil(ran.workers)
      main("run", "--workers", "3", file "gateway.lua")
      assert.equal(3, ran.workers)
      main("run", "--listen", ":0", "--handler", "mirror")
      assert.equal(0, ran.workers)
      main("run", "--listen", ":0", "--handler", "mirror", "--workers=2")
      assert.equal(2, ran.workers)
    end)

    it("runs pairs of --listen and --handler in either order, each with its options", function()
      assert.same({ 0, "", "" }, { main("run",
        "--listen", ":0", "--handler", file "tlv.lua", "--option", "greeting=a=b",
        "--handler=mirror", "--listen=127.0.0.1:0", "--listen", "unix:/tmp/x", "--handler", file "tlv.lua",
        "--option=size=0x10", "--option", "loud=true", "--log-level=warn") })
      local one, two, three = ran.listen[1], ran.listen[2], ran.listen[3]
      assert.same({ ":0", "warn" }, { one.address.text:match ":0$", ran.log.level })
      assert.same({ greeting = "a=b" }, one.options)
      assert.same({ file "bundled/mirror.lua", "127.0.0.1:0", {} }, { two.file, two.address.text, two.options })
      assert.same({ "/tmp/x", { size = 16, loud = true } }, { three.address.path, three.options })
    end)

    it("refuses options that the handler does not declare, or that are of another type", function()
      local function with(text) return "run", "--listen", ":0", "--handler", file "tlv.lua", "--option", text end
      refused(1, "unknown option 'greting' (did you mean 'greeting'?)", with "greting=x")
      refused(1, "option 'size' must be a number, not 'big'", with "size=big")
      refused(1, "option 'loud' must be true or false, not '1'", with "loud=1")
      refused(1, "option 'list' is a table, which only a config file can give", with "list=1")
      refused(1, "option 'hook' is a function, which only a config file can give", with "hook=print")
      refused(1, "it has no options, so 'x' cannot be set", "run", "--listen", ":0", "--handler", "mirror",
        "--option", "x=1")
    end)

    it("refuses a config, an address or a handler that is bad", function()
      refused(1, "cannot open " .. file "gone.lua", "run", file "gone.lua")
      files.write("wrong.lua", "return { listen = { { ':0', handlr = 'x' } } }")
      refused(1, "wrong.lua: unknown key 'listen[1].handlr' (did you mean 'handler'?)", "run", file "wrong.lua")
      refused(1, "port 70000 is out of range", "run", "--listen", ":70000", "--handler", "mirror")
      refused(1, "handler 'ehco' was not found; looked for", "run", "--listen", ":0", "--handler", "ehco")
    end)

    it("tells how it is used", function()
      refused(2, "run needs a config, or --listen ADDRESS and --handler FILE", "run")
      refused(2, "run takes one config, but got 'a' and 'b'", "run", "a", "b")
      refused(2, "give a config or --listen and --handler, not both", "run", "a", "--listen", ":0", "--handler", "x")
      refused(2, "--listen :0 lacks its --handler FILE", "run", "--listen", ":0")
      refused(2, "--listen :0 lacks its --handler FILE", "run", "--listen", ":0", "--listen", ":1", "--handler", "x")
      refused(2, "--handler x lacks its --listen ADDRESS", "run", "--handler", "x")
      refused(2, "--listen needs a value", "run", "--listen")
      refused(2, "--option takes NAME=VALUE, not 'x'", "run", "--listen", ":0", "--handler", "x", "--option", "x")
      refused(2, "--option a must follow the --listen and --handler", "run", "--option", "a=b")
      for _, wrong in ipairs { "-1", "1.5", "many" } do
        refused(2, "--workers takes a whole number, 0 or more, not '" .. wrong .. "'", "run", "--workers", wrong, "x")
      end
      refused(2, "unknown log level 'inof' (did you mean 'info'?)", "run", "--log-level", "inof", "x")
    end)

    it("takes what follows -- as the name of a config", function()
      refused(1, "cannot open --help", "run", "--", "--help")
      refused(1, "cannot open --: ", "run", "--", "--")
    end)

    it("gives the exit code of the gateway", function()
      local code = cli.main({ "run", file "gateway.lua" }, {
        run = function() return 3 end, space = require("linedancer.handler.space").new,
      })
      assert.equal(3, code)
    end)
  end)

  describe("a command for a gateway that runs", function()
    local asked, answer

    -- What the command asked, by which socket; exit code; what went to stdout and to stderr.
    local function ask(...)
      local out, err = {}, {}
      asked = nil
      local code = cli.main({ ... }, {
        handlers_path = files.dir .. "/bundled",
        out = function(text) out[#out + 1] = text end,
        err = function(text) err[#err + 1] = text end,
        flush = function() end,
        lines = function() return ("1 + 1\n\n2"):gmatch "[^\n]*" end,
        remote = function(socket, _, _, fn)
          return fn(function(request)
            asked = { socket, request }
            if type(answer) == "string" then return nil, answer end
            return answer
          end)
        end,
      })
      return code, table.concat(out), table.concat(err)
    end

    before_each(function() answer = true end)

    it("takes the first default that is there, else the last", function()
      files.write("one", "")
      assert.equal(file "one", remote.place { file "none", file "one", file "two" })
      assert.equal(file "two", remote.place { file "none", file "two" })
    end)

    it("finds it by its socket, its config, or where it is by default", function()
      answer = { versions = {} }
      ask("versions", "--control", "/x.sock")
      assert.same({ "/x.sock", { command = "versions" } }, asked)
      files.write("with.lua", "return { control = 'c.sock', listen = { { ':0', handler = './tlv.lua' } } }")
      ask("versions", "--config", file "with.lua")
      assert.equal(files.dir .. "/c.sock", asked[1])
      ask("versions")
      assert.equal(os.getenv "LINEDANCER_CONTROL" or remote.place(), asked[1])
      local code, _, err = ask("versions", "--config", file "gateway.lua")
      assert.equal(1, code)
      assert.matches("gateway.lua has no control socket", err, 1, true)
    end)

    it("takes words and options", function()
      for text, request in pairs {
        ["kill 1.1.2.3"] = { command = "kill", conn = "1.1.2.3" },
        ["call h cmd a 1"] = { command = "call", handler = "h", name = "cmd", args = { "a", "1" } },
        ["call h cmd"] = { command = "call", handler = "h", name = "cmd" },
        ["set drain 5"] = { command = "set", name = "drain", value = 5 },
        ["loglevel debug"] = { command = "loglevel", level = "debug" },
        ["drain"] = { command = "drain" },
        ["drain echo --deadline 5"] = { command = "drain", handler = "echo", deadline = 5 },
        ["drain 127.0.0.1:7 --cancel"] = { command = "drain", listener = "127.0.0.1:7", cancel = true },
        ["reload --dry-run"] = { command = "reload", dry = true },
        ["reload --canary 10% --for 10m --revert-on errors>2.5%"] =
          { command = "reload", canary = 10, seconds = 600, errors = 2.5 },
        ["reload --promote"] = { command = "reload", promote = true },
        ["trace 1 --for 1.5h --hidden"] = { command = "trace", conn = "1", seconds = 5400, hidden = true },
      } do
        local words = {}
        for word in text:gmatch "%S+" do words[#words + 1] = word end
        words[#words + 1] = "--json"
        local code, _, err = ask(unpack(words))
        assert.same({ 0, "" }, { code, err })
        assert.same(request, asked[2])
      end
    end)

    it("refuses what it does not take", function()
      for text, message in pairs {
        ["status extra"] = "'extra' is one argument too many", ["kill"] = "kill needs its CONN",
        ["set drain x"] = "value takes a number", ["conns --hander x"] = "did you mean '--handler'",
        ["reload --canary x"] = "a share such as 10%", ["reload --for x"] = "a time such as 90s or 10m",
        ["reload --revert-on x"] = "'errors > 1%'", ["drain --deadline"] = "--deadline needs a value",
      } do
        local words = {}
        for word in text:gmatch "%S+" do words[#words + 1] = word end
        local code, _, err = ask(unpack(words))
        assert.equal(2, code, text)
        assert.matches(message, err, 1, true)
        assert.is_nil(asked)
      end
    end)

    it("shows what comes, and tells what is refused or missing", function()
      answer = { versions = {
        { listener = ":1", handler = "h", version = 12, connections = 3, failures = 0, current = true },
        { listener = ":1", handler = "h", version = 9, connections = 1, failures = 0 },
      }, problems = { "worker 2 does not answer" } }
      local code, out, err = ask "versions"
      assert.equal(0, code)
      assert.equal("LISTENER  HANDLER  VERSION  CONNECTIONS  FAILED UPGRADES\n"
        .. ":1        h             12            3                0  current\n"
        .. ":1        h              9            1                0\n", out)
      assert.equal("linedancer: worker 2 does not answer\n", err)
      answer = "no luck"
      assert.same({ 1, "", "linedancer: no luck\n" }, { ask("kill", "1") })
    end)

    it("has a console", function()
      answer = { { slot = 1, result = { "2", "x" } }, { slot = 2, result = {} } }
      local code, out = ask "console"
      assert.same({ 0, ("1: 2\tx\n2: \n"):rep(2) }, { code, out })
      assert.same({ command = "eval", code = "2" }, asked[2])
    end)

    it("is explained", function()
      for name in pairs(require("linedancer.cli.arguments").REMOTE) do
        local code, out = main("help", name)
        assert.equal(0, code)
        assert.matches("^Usage: linedancer " .. name, out)
        assert.matches("Example: .*linedancer " .. name, out)
        assert.matches("\n  " .. name .. " ", (select(2, main "help")))
      end
    end)
  end)

  describe("completion", function()
    local function words(...)
      local code, out, err = main("completion", "words", "--", ...)
      assert.same({ 0, "" }, { code, err })
      return (out:gsub("\n$", ""):gsub("\n", " "))
    end

    it("offers commands, their options, and what those take", function()
      assert.equal("call check completion conns console", words "c")
      assert.equal("test trace", words("help", "t"))
      assert.equal("--handler --help", words("run", "--h"))
      assert.equal("debug", words("run", "--log-level", "d"))
      assert.equal("warn", words("loglevel", "w"))
      assert.equal("--config --control --for --help --hidden --json", words("trace", "--"))
      assert.equal("bash", words("completion", "b"))
      assert.equal("handler", words("new", ""))
      assert.equal("--binary --directory --help --line --proxy", words("new", "handler", "x", "--"))
      assert.equal("limits.memory", words("set", "limits.mem"))
    end)

    it("offers nothing where any file may stand, or what it does not know", function()
      for _, line in ipairs { { "run", "x" }, { "check", "" }, { "status", "x" }, { "nonsense", "" },
        { "new", "handler", "" }, { "new", "--directory", "" },
        { "conns", "--control", "" }, { "status", "--json", "" } } do
        assert.equal("", words(unpack(line)))
      end
    end)

    it("knows two shells", function()
      assert.equal(0, (main("completion", "zsh")))
      refused(2, "takes bash or zsh", "completion", "fish")
    end)
  end)

  describe("check", function()
    it("says that a good config or handler is good", function()
      assert.same({ 0, file "gateway.lua" .. ": good\n", "" }, { main("check", file "gateway.lua") })
      assert.same({ 0, file "tlv.lua" .. ": good\n", "" }, { main("check", file "tlv.lua") })
    end)

    it("prints warnings, which refuse nothing", function()
      local code, out, err = main("check", "mirror")
      assert.same({ 0, file "bundled/mirror.lua" .. ": good, with 1 warning\n" }, { code, out })
      assert.matches("bundled/mirror.lua:1: warning: state 'main' has no timeout", err, 1, true)
    end)

    it("prints errors with their line, and looks at every file", function()
      local code, out, err = main("check", file "bad.lua", file "gone.lua", file "tlv.lua")
      assert.same({ 1, file "tlv.lua" .. ": good\n" }, { code, out })
      assert.matches(file "bad.lua" .. ":2: error: unknown key 'statse' (did you mean 'states'?)\n", err, 1, true)
      assert.matches("linedancer: '" .. file "gone.lua" .. "' was not found", err, 1, true)
    end)

    it("takes a directory for the handler that its init.lua is", function()
      files.write("rtmp/init.lua", "return { states = { a = function() end }, timeouts = { 1 } }")
      assert.same({ 0, file "rtmp/init.lua" .. ": good\n", "" }, { main("check", file "rtmp") })
    end)

    it("needs something to look at", function()
      refused(2, "check needs a config or a handler to look at", "check")
    end)
  end)
end)
