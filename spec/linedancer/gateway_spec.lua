local core = require "linedancer.core"
local gateway = require "linedancer.gateway"
local loader = require "linedancer.gateway.load"
local logged = require "spec.support.logged"
local scratch = require "spec.support.scratch"

-- A plain luajit has no loop: what the gateway asks of the core is kept, and answered by ANSWER. PART may replace more
-- functions of the core.
local function run(config, answer, part)
  local asked, kept, code = {}, { listen = core.listen, run = core.run, limit_sources = core.limit_sources }, nil
  for name, fn in pairs(part or {}) do
    kept[name], core[name] = core[name], fn
  end
  core.listen = answer or function(port)
    asked[#asked + 1] = port
    return #asked, 7000 + #asked
  end
  core.run = function(drain, connections) asked.ran, asked.connections = drain, connections end
  core.limit_sources = function() end
  local lines = logged(function() code = gateway.run(config) end)
  for name, fn in pairs(kept) do core[name] = fn end
  return code, asked, lines
end

describe("gateway", function()
  local files

  setup(function()
    files = scratch.new {
      ["good.lua"] = "return { states = { a = function() end }, options = { x = 1 }, limits = { frame = 50 } }",
      ["bad.lua"] = "return { states = {} }",
      ["starts.lua"] = "STARTED = (STARTED or 0) + 1; return { states = { a = function() end }, "
        .. "options = { x = 1 }, start = function(options) _G.started = (_G.started or 0) + 1; "
        .. "_G.given = options end }",
      ["fails.lua"] = "return { states = { a = function() end }, start = function() error 'no luck' end }",
    }
  end)

  teardown(function() files.remove() end)

  local function config(...)
    local listen = {}
    for i, name in ipairs { ... } do
      listen[i] = {
        file = files.dir .. "/" .. name, module = name, name = "l" .. i, options = {}, limits = {},
        address = { family = "ipv4", host = "127.0.0.1", port = 0, text = "127.0.0.1:0" },
      }
    end
    return { listen = listen, limits = { frame = 100, output = 200, linger = 1, connections = 10 } }
  end

  it("opens every listener, says where, and serves", function()
    local code, asked, lines = run(config("good.lua", "good.lua"))
    assert.equal(0, code)
    assert.equal(2, #asked)
    assert.equal(30, asked.ran)
    assert.equal(10, asked.connections)
    assert.same({ level = "info", text = "listening", fields = { address = "127.0.0.1:7001", handler = "good.lua" } },
      lines[1])
  end)

  it("names addresses of other families as configs do", function()
    local c = config("good.lua", "good.lua")
    c.listen[1].address = { family = "ipv6", host = "::1", port = 0, text = "[::1]:0" }
    c.listen[2].address = { family = "unix", path = "/run/x.sock", text = "unix:/run/x.sock" }
    local _, _, lines = run(c)
    assert.equal("[::1]:7001", lines[1].fields.address)
    assert.equal("unix:/run/x.sock", lines[2].fields.address)
  end)

  it("passes a listener's own bound on connections", function()
    local c = config("good.lua", "good.lua")
    c.listen[1].max_connections = 5
    local _, asked = run(c)
    assert.equal(5, asked[1].max)
    assert.is_nil(asked[2].max)
  end)

  it("loads and starts a handler once, however many listeners share it", function()
    _G.started = nil
    local c = config("starts.lua", "good.lua", "starts.lua")
    c.listen[3].options.x = 5
    run(c)
    assert.equal(1, _G.started)
    assert.same({ { x = 1 }, { x = 5 } }, _G.given)
    _G.started, _G.given = nil, nil
  end)

  for name, text in pairs {
    ["bad.lua"] = "states is empty", ["fails.lua"] = "start: .*no luck", ["missing.lua"] = "missing.lua",
  } do
    it("refuses to run with " .. name, function()
      local code, asked, lines = run(config("good.lua", name))
      assert.equal(1, code)
      assert.is_nil(asked.ran)
      assert.equal("error", lines[#lines].level)
      assert.matches(text, lines[#lines].text)
    end)
  end

  it("refuses options that the handler does not have", function()
    local c = config "good.lua"
    c.listen[1].options = { y = 1 }
    local code, _, lines = run(c)
    assert.equal(1, code)
    assert.matches("unknown option 'y'", lines[1].text)
  end)

  it("says which address it cannot listen on", function()
    local code, asked, lines = run(config "good.lua", function() return nil, "Address already in use" end)
    assert.equal(1, code)
    assert.is_nil(asked.ran)
    assert.equal("cannot listen on 127.0.0.1:0: Address already in use", lines[1].text)
  end)

  it("starts nothing before all that is to run is known to be good", function()
    _G.started = nil
    assert.equal(1, (run(config("starts.lua", "bad.lua"))))
    assert.is_nil(_G.started)
  end)

  it("refuses workers where nothing supervises them", function()
    local c = config "good.lua"
    c.workers = 2
    local code, asked, lines = run(c)
    assert.equal(1, code)
    assert.is_nil(asked.ran)
    assert.equal("workers = 2: only the program linedancer starts processes; here, set workers = 0", lines[1].text)
  end)

  it("as a worker joins the others before anything starts, and takes its share of the limits", function()
    local c, joined = config "starts.lua", nil
    c.workers, c.listen[1].max_connections, _G.started = 3, 10, nil
    local code, asked, lines = run(c, nil, {
      role = function() return "worker" end,
      worker = function() return 1, 1, 3 end,
      join = function() joined = _G.started or 0 end,
    })
    assert.equal(0, code)
    assert.equal(0, joined)
    assert.equal(1, _G.started)
    assert.equal(4, asked[1].max)
    assert.equal(4, asked.connections)
    assert.same({}, lines) -- the supervisor says where it listens
    _G.started = nil
  end)

  describe("as a plan", function()
    local function propose(c)
      local kept, confine, text, code = core.propose, core.confine, nil, nil
      core.propose = function(proposed) text = proposed end
      core.confine = function() return not c.stuck, c.stuck end
      c.drain, c.log = 30, {}
      c.limits.heartbeat = 10
      local lines = logged(function() code = loader.plan(c, "/handlers", { a = "b" }) end)
      core.propose, core.confine = kept, confine
      return code, text, lines
    end

    it("describes a config that is good, and starts and opens nothing", function()
      _G.started = nil
      local code, text = propose(config "starts.lua")
      assert.equal(0, code)
      assert.matches("11:127.0.0.1:0,10:starts.lua,1:0,4:1024,", text, 1, true)
      assert.is_nil(_G.started)
    end)

    it("runs no handler when it cannot be confined", function()
      local c = config "starts.lua"
      c.stuck = "it cannot"
      _G.STARTED = nil
      local code, text, lines = propose(c)
      assert.same({ 1, "it cannot" }, { code, lines[1].text })
      assert.is_nil(text or _G.STARTED)
    end)

    it("reads keys while it may, and says which it cannot", function()
      local c = config "starts.lua"
      c.listen[1].tls = { pairs = { { certificate = "/no/such.pem", key = "/no/such.pem" } } }
      _G.STARTED = nil
      local code, text, lines = propose(c)
      assert.equal(1, code)
      assert.matches("^listener l1: cannot open /no/such.pem: No such file", lines[1].text)
      assert.is_nil(text or _G.STARTED)
    end)

    it("refuses one that is not", function()
      local code, text, lines = propose(config("good.lua", "bad.lua"))
      assert.equal(1, code)
      assert.is_nil(text)
      assert.matches("states is empty", lines[1].text)
    end)
  end)
end)
