local config = require "linedancer.config"
local scratch = require "spec.support.scratch"

describe("a config", function()
  local files

  setup(function()
    files = scratch.new { ["handlers/echo.lua"] = "", ["mine.lua"] = "", ["more/other.lua"] = "" }
  end)
  teardown(function() files.remove() end)

  local function load(text) return config.load_string(text, "@gateway.lua", files.dir) end

  -- A config of one good listener with the keys in TEXT.
  local function with(text) return load("return { listen = { { ':7000', handler = 'echo' } }, " .. text .. "}") end

  -- A config of a good listener and one with the keys in TEXT, which is listen[2].
  local function second(text)
    return load("return { listen = { { ':7000', handler = 'echo' }, { " .. text .. " } } }")
  end

  local function refused(text, loaded, message)
    assert.is_nil(loaded)
    assert.matches(text, message, 1, true)
    assert.equal("gateway.lua:", message:sub(1, 12))
  end

  it("has defaults for all but its listeners and workers", function()
    local c = assert(with "")
    assert.same({ turn = 0.1, frame = 2^20, output = 2^20, connections = 10000, linger = 5, mailbox = 1000,
      heartbeat = 10, memory = 2^31 }, c.limits)
    assert.same({ 30, { level = "info" }, {}, "gateway.lua", files.dir },
      { c.drain, c.log, c.path, c.file, c.base_dir })
    assert.is_nil(c.workers)
  end)

  it("keeps what is given", function()
    local c = assert(with [[workers = 0, drain = 0, log = { level = "debug" }, limits = { turn = 1, linger = 0.5 },
      path = { "more", "/opt/handlers" }]])
    assert.same({ 0, 0, "debug", 1, 0.5, 10000 },
      { c.workers, c.drain, c.log.level, c.limits.turn, c.limits.linger, c.limits.connections })
    assert.same({ files.dir .. "/more", "/opt/handlers" }, c.path)
  end)

  it("gives each listener its address, handler file and own limits", function()
    local c = assert(load [[return { path = { "more" }, listen = {
      { "127.0.0.1:7000", handler = "echo" },
      { "unix:run/x.sock", handler = "./mine.lua", name = "mine", max_connections = 5, backlog = 64,
        options = { greeting = "HI" }, limits = { frame = 10 } },
      { ":0", handler = "other" },
    } }]])
    local echo, mine, other = c.listen[1], c.listen[2], c.listen[3]
    assert.same({ "127.0.0.1:7000", "echo", "echo", files.dir .. "/handlers/echo.lua" },
      { echo.name, echo.handler, echo.module, echo.file })
    assert.same({ {}, {} }, { echo.options, echo.limits })
    assert.same({ family = "ipv4", host = "127.0.0.1", port = 7000, text = "127.0.0.1:7000", key = "127.0.0.1:7000" },
      echo.address)
    assert.same({ "mine", "mine", files.dir .. "/mine.lua", 5, 64, { greeting = "HI" }, { frame = 10 } },
      { mine.name, mine.module, mine.file, mine.max_connections, mine.backlog, mine.options, mine.limits })
    assert.equal(files.dir .. "/run/x.sock", mine.address.path)
    assert.equal(files.dir .. "/more/other.lua", other.file)
  end)

  it("finds the handlers that come with the program", function()
    local bundled = scratch.new { ["greeter.lua"] = "" }
    finally(bundled.remove)
    local text = "return { listen = { { ':0', handler = 'greeter' } } }"
    local c = assert(config.load_string(text, "=x", files.dir, bundled.dir))
    assert.equal(bundled.dir .. "/greeter.lua", c.listen[1].file)
  end)

  it("may use Lua's libraries, but sets no global", function()
    local c = assert(load [[leak = os.getenv "HOME" and tonumber "3"
      return { workers = leak, listen = { { ":0", handler = "echo" } } }]])
    assert.equal(3, c.workers)
    assert.is_nil(rawget(_G, "leak"))
  end)

  it("is loaded from a file, with paths relative to it", function()
    local name = files.write("etc/gw.lua", "return { listen = { { ':0', handler = '../mine.lua' } } }")
    local c = assert(config.load(name))
    assert.same({ name, files.dir .. "/etc/../mine.lua" }, { c.file, c.listen[1].file })
  end)

  it("that cannot be read, compiled or run is refused with its place", function()
    local _, message = config.load(files.dir .. "/gone.lua")
    assert.equal("cannot open " .. files.dir .. "/gone.lua: No such file or directory", message)
    refused("gateway.lua:2: unexpected symbol", load "\nreturn = 1")
    refused("gateway.lua:1: boo", load "error 'boo'")
    refused("gateway.lua: this is Lua bytecode", load(string.dump(function() return {} end)))
    refused("a config returns a table, not nothing", load "")
    refused("a config returns a table, not the string 'x'", load "return 'x'")
  end)

  it("with a wrong key names its place and the nearest key", function()
    refused("unknown key 'worker' (did you mean 'workers'?)", with "worker = 2")
    refused("unknown key 'limits.frames' (did you mean 'frame'?)", with "limits = { frames = 2 }")
    refused("unknown key 'log.levle' (did you mean 'level'?)", with "log = { levle = 'info' }")
    refused("unknown key 'listen[2].handlr' (did you mean 'handler'?)", second "':1', handlr = 'echo'")
    refused("unknown key 'listen[2].limits.linge' (did you mean 'linger'?)",
      second "':1', handler = 'echo', limits = { linge = 1 }")
    refused("unknown key 'listen[2].limits.connections'", second "':1', handler = 'echo', limits = { connections = 1 }")
    refused("unknown key 'listen[2][2]'", second "':1', ':2', handler = 'echo'")
    refused("unknown key '[1]'", with "'x'")
  end)

  it("with a value of the wrong type names its place", function()
    refused("workers must be a whole number, 0 or more, not the string '2'", with "workers = '2'")
    refused("workers must be a whole number, 0 or more, not -1", with "workers = -1")
    refused("workers must be a whole number, 0 or more, not 1.5", with "workers = 1.5")
    refused("workers must be at most 256, not 257", with "workers = 257")
    refused("limits.heartbeat must be 0.1 seconds or more, not 0.05", with "limits = { heartbeat = 0.05 }")
    refused("drain must be seconds, 0 or more, not -1", with "drain = -1")
    refused("drain must be seconds, 0 or more, not inf", with "drain = math.huge")
    refused("limits must be a table, not 5", with "limits = 5")
    refused("limits.turn must be seconds, 0 or more, not -1", with "limits = { turn = -1 }")
    refused("limits.frame must be a whole number, 1 or more, not 0.5", with "limits = { frame = 0.5 }")
    refused("log must be a table, not the string 'info'", with "log = 'info'")
    refused("log.level must be one of debug, info, warn, error, not the string 'warning'",
      with "log = { level = 'warning' }")
    refused("log.level must be one of debug, info, warn, error, not the string 'inof' (did you mean 'info'?)",
      with "log = { level = 'inof' }")
    refused("path must be a table, not the string 'x'", with "path = 'x'")
    refused("path must be an array", with "path = { dir = 'x' }")
    refused("path[1] must be a string, not 5", with "path = { 5 }")
    refused("listen[2] must be a table, not 5", load "return { listen = { { ':1', handler = 'echo' }, 5 } }")
    refused("listen[2].name must be a string, not 5", second "':1', handler = 'echo', name = 5")
    refused("listen[2].options must be a table, not 5", second "':1', handler = 'echo', options = 5")
    refused("listen[2].max_connections must be a whole number, 1 or more, not 0",
      second "':1', handler = 'echo', max_connections = 0")
    refused("listen[2].backlog must be a whole number", second "':1', handler = 'echo', backlog = 'x'")
  end)

  it("without listeners says how to write one", function()
    local example = 'listen = { { "127.0.0.1:7000", handler = "echo" } }'
    refused("listen is missing: " .. example, load "return {}")
    refused("listen is empty: " .. example, load "return { listen = {} }")
    refused("each a table of its own: " .. example, load "return { listen = { ':1', handler = 'echo' } }")
    refused("listen must be an array", load "return { listen = { one = { ':1', handler = 'echo' } } }")
    refused("listen must be an array", load "return { listen = { [1] = { ':1' }, [3] = { ':2' } } }")
    refused("listen must be a table, not the string ':1'", load "return { listen = ':1' }")
  end)

  it("with a bad address names the listener", function()
    refused("listen[2] lacks its address", second "handler = 'echo'")
    refused("listen[2][1]: address ':65536': port 65536 is out of range", second "':65536', handler = 'echo'")
    refused("listen[2][1]: an address is a string such as", second "7000, handler = 'echo'")
  end)

  it("may hold a handler itself, a table or a function", function()
    local one = function(conn) conn:write "one" end
    local loaded = assert(config.validate({ listen = {
      { ":1", handler = one }, { ":2", handler = { initial = "a", states = { a = one, b = one } } },
    } }, "."))
    assert.same({ "main" }, loaded.listen[1].definition().state_names)
    assert.same({ "a", "b" }, loaded.listen[2].definition().state_names)
    assert.equal("listen[2].handler", loaded.listen[2].definition().name)
  end)

  it("with a handler in it that is wrong says what and where", function()
    refused("handler 'listen[2].handler': states is missing", second "':1', handler = {}")
    refused("listen[2]: only a handler in a file can be sandboxed",
      second "':1', handler = function() end, sandbox = true")
  end)

  it("with a handler that is missing says where it was looked for", function()
    refused("listen[2].handler is missing", second "':1'")
    refused("listen[2].handler must be a module name, the path of a file or a handler's table, not 7",
      second "':1', handler = 7")
    local loaded, message = second "':1', handler = 'ehco'"
    refused("listen[2].handler: handler 'ehco' was not found; looked for", loaded, message)
    assert.matches(files.dir .. "/handlers/ehco.lua", message, 1, true)
    refused(files.dir .. "/gone.lua", second "':1', handler = './gone.lua'")
  end)

  it("refuses the same address or name twice, but not port 0", function()
    refused("listen[2]: address [::]:7000 is taken by listen[1]", second "'[::]:7000', handler = 'echo'")
    assert.is_table(load "return { listen = { { ':0', handler = 'echo' }, { ':0', handler = 'echo' } } }")
    refused("listen[2].name: the name 'a' is taken by listen[1]", load [[return { listen = {
      { ':1', handler = 'echo', name = 'a' }, { ':2', handler = 'echo', name = 'a' } } }]])
    refused("is taken by listen[1]", load [[return { listen = {
      { 'unix:x', handler = 'echo' }, { 'unix:x', handler = 'echo' } } }]])
  end)

  it("takes the certificates of a listener over TLS, by paths from its own directory", function()
    local one = "certificate = 'a.pem', key = '/etc/a.key'"
    local listen = assert(second(("':1', handler = 'echo', tls = { %s, alpn = { 'h2', 'x' } }"):format(one))).listen
    local pair = { certificate = files.dir .. "/a.pem", key = "/etc/a.key" }
    assert.same({ pairs = { pair }, alpn = "\2h2\1x", handshake = 10 }, listen[2].tls)
    listen = assert(second(("':1', handler = 'echo', tls = { { %s }, { %s }, handshake = 3, client = 'required', "
      .. "client_ca = 'ca.pem' }"):format(one, one))).listen
    assert.same({ pairs = { pair, pair }, handshake = 3, client = 2, client_ca = files.dir .. "/ca.pem" },
      listen[2].tls)
  end)

  it("refuses TLS that is wrong", function()
    local function refuses(message, tls) refused(message, second(("':1', handler = 'echo', tls = %s"):format(tls))) end
    refuses("listen[2].tls must be a table, not true", "true")
    refuses("listen[2].tls.key must be a string, not nothing", "{ certificate = 'a' }")
    refuses("unknown key 'listen[2].tls[1].certifcate' (did you mean 'certificate'?)",
      "{ { certifcate = 'a', key = 'b' } }")
    refuses("unknown key 'listen[2].tls.key'", "{ { certificate = 'a', key = 'b' }, key = 'c' }")
    refuses("listen[2].tls.alpn[1] must be 1 to 255 bytes", "{ certificate = 'a', key = 'b', alpn = { '' } }")
    refuses("listen[2].tls.handshake must be a number above 0", "{ certificate = 'a', key = 'b', handshake = 0 }")
    refuses("listen[2].tls.client must be", "{ certificate = 'a', key = 'b', client = 'yes' }")
    refuses("listen[2].tls.client_ca must be a string", "{ certificate = 'a', key = 'b', client = 'required' }")
    refuses("listen[2].tls.client_ca takes client", "{ certificate = 'a', key = 'b', client_ca = 'x' }")
  end)

  it("takes the path of the control socket, below its own directory", function()
    assert.equal("/run/x.sock", with "control = '/run/x.sock'".control)
    assert.equal(files.dir .. "/x.sock", with "control = 'x.sock'".control)
    assert.is_nil(with "control = false".control)
    refused("control must be a string, not 1", with "control = 1")
    refused("control: address 'unix:", with("control = '" .. ("x"):rep(200) .. "'"))
  end)

  it("watches files when told, and has processes to reload them in", function()
    assert.is_false(with "".watch)
    assert.is_true(with "watch = true, workers = 1".watch)
    refused("watch takes workers above 0", with "watch = true, workers = 0")
    refused("watch must be a boolean, not 1", with "watch = 1")
  end)

  it("ends who is on old code when told", function()
    assert.is_nil(with "".retire)
    assert.equal(60, with "retire = 60".retire)
    refused("retire must be", with "retire = 0")
  end)

  it("refuses admin and cluster as not available", function()
    refused("admin: the admin listener is not available in this build", with "admin = ':9180'")
    refused("cluster: clustering is not available in this build", with "cluster = 'nats://x:4222'")
    refused("admin must be a string, not 9180", with "admin = 9180")
    assert.is_table(with "cluster = nil")
  end)

  it("shares no table with what was given", function()
    local given = { listen = { { ":0", handler = "echo", options = { list = { 1 } } } } }
    local c = assert(config.validate(given, files.dir))
    c.listen[1].options.list[1] = 2
    assert.equal(1, given.listen[1].options.list[1])
  end)
end)
