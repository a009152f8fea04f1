local cli = require "linedancer.cli"
local client = require "handlers.rtmp.client"
local config = require "linedancer.config"
local diff = require "linedancer.reload.diff"
local handler = require "linedancer.handler"
local scratch = require "spec.support.scratch"
local shape = require "linedancer.shape"

-- Messages reach logs, terminals and control sockets, where more people read than in a config.
describe("a message", function()
  local files

  setup(function()
    files = scratch.new {
      ["h.lua"] = "return { states = { a = function() end }, "
        .. "options = { password = '', api_key = 0, tokens = {}, greeting = '', port = 1 } }",
    }
  end)
  teardown(function() files.remove() end)

  it("knows what is secret by its name", function()
    for _, name in ipairs {
      "password", "option 'db_passwd'", "listen[1].options.client_secret", "apiKey", "KEY", "option 'key_file'",
      "tls.key", "keys", "publish_token", "credentials", "passphrase", 'options["api key"]',
    } do
      assert.is_true(shape.is_secret(name), name)
    end
    for _, name in ipairs { "user", "option 'keyframes'", "keepalive", "limits.frame", "passive", "greeting" } do
      assert.is_false(shape.is_secret(name), name)
    end
  end)

  it("shows what a value is, but not one that is secret", function()
    assert.equal("the string 'hi'", shape.describe("hi", "greeting"))
    assert.equal("5", shape.describe(5, "port"))
    assert.equal("a string", shape.describe("hunter2", "password"))
    assert.equal("a number", shape.describe(1234, "pin_token"))
    assert.equal("true", shape.describe(true, "password"))
    assert.equal("nothing", shape.describe(nil, "password"))
    assert.equal("the string 'rtmp://...@host/live'", shape.describe("rtmp://me:hunter2@host/live", "pull"))
  end)

  it("about an option that does not fit does not show a secret one", function()
    local definition = assert(handler.load(files.dir .. "/h.lua"))
    local function why(options)
      local merged, message = handler.options(definition, options)
      assert.is_nil(merged)
      return message
    end
    assert.equal("handler 'h': option 'password' must be a string, not a number", why { password = 271828 })
    assert.equal("handler 'h': option 'api_key' must be a number, not a string", why { api_key = "hunter2" })
    assert.equal("handler 'h': option 'tokens' must be a table, not a string", why { tokens = "hunter2" })
    assert.equal("handler 'h': option 'port' must be a number, not the string 'x'", why { port = "x" })
  end)

  it("about a default that cannot be does not show it", function()
    local definition, message = handler.define({
      states = { a = function() end }, options = { password = coroutine.create(function() end) },
    }, "h")
    assert.is_nil(definition)
    assert.matches("options.password must have .* not a thread$", message)
  end)

  it("about the command line does not show a secret option", function()
    local function said(...)
      local text = {}
      local host = {
        handlers_path = "handlers", space = require("linedancer.handler.space").new,
        err = function(line) text[#text + 1] = line end,
      }
      assert.not_equal(0, cli.main({ "run", ... }, host))
      return table.concat(text)
    end
    local listen, file = "--listen=127.0.0.1:0", "--handler=" .. files.dir .. "/h.lua"
    assert.matches("option 'api_key' must be a number, not what was given",
      said(listen, file, "--option=api_key=hunter2"), 1, true)
    assert.matches("option 'port' must be a number, not 'x'", said(listen, file, "--option=port=x"), 1, true)
    local early = said("--option=password=hunter2", listen, file)
    assert.matches("--option password must follow", early, 1, true)
    assert.is_nil(early:find "hunter2")
  end)

  it("about what a reload changes names options only", function()
    local function with(password)
      return assert(config.validate({
        listen = { { "127.0.0.1:0", handler = files.dir .. "/h.lua", options = { password = password } } },
      }, ".", "handlers"))
    end
    assert.same({ "listener 127.0.0.1:0: options changed", "file c.lua has changed" },
      diff.of(with "hunter1", with "hunter2", { ["c.lua"] = "hunter1" }, { ["c.lua"] = "hunter2" }))
  end)

  it("about an URL does not show who logs in, nor the key by which one publishes", function()
    local url = "rtmp://me:hunter2@host:1936/live/key?token=hunter2"
    assert.equal("rtmp://host:1936/live/key", client.public(url))
    assert.equal("rtmp://host:1936/live/...", client.public_target(url))
    for _, wrong in ipairs { "rtmp://me:hunter2@host", "rtmp://me:hunter2@host/app?hunter2", "x://me:hunter2@h/a" } do
      local parts, message = client.parse(wrong)
      assert.is_nil(parts)
      assert.is_nil(message:find "hunter2", message)
    end
  end)
end)
