--- linedancer.main: what the program runs: the command line, with the gateway behind it.
local cli = require "linedancer.cli"
local core = require "linedancer.core"
local plan = require "linedancer.plan"
local secret = require "linedancer.secret"
local source = require "linedancer.handler.source"
local space = require "linedancer.handler.space"

-- Where this program's files are: the handlers that come with it, and annotations for editors.
local DATA = core.data()

-- Busted in this very state. It replaces the exit code by leaving. As in a plain luajit, time is what specs say it is,
-- and connections that fail, as many are meant to, are not logged.
local function test(argv)
  core.simulate()
  core.log_level "warn"
  package.path = "./?.lua;./lua/?.lua;" .. package.path
  _G.arg = argv
  _G.arg[0] = "linedancer test"
  local ok, runner = pcall(require, "busted.runner")
  if not ok then
    io.stderr:write "linedancer: busted is not installed: it is Debian's package lua-busted\n"
    return 1
  end
  runner { standalone = false }
  return 0
end

-- Serve CONFIG, which READ(space) returned from FILES, as VERSION.
local function serve(config, own, read, files, version)
  require("linedancer.reload").install(read, files)
  return require("linedancer.gateway").run(config, own, version)
end

-- The gateway's secret outlives reloads.
local function secret_to_be()
  local former = core.plan()
  local _, shared
  if former then _, shared = plan.decode(former) end
  return shared or secret.new()
end

-- How to run a config, and where the bundled handlers are. A process that makes a plan records what it reads; one that
-- serves reads what that one has read, whatever has become of the disk, and of what it may read.
local function part()
  local role = core.role()
  local text, version = core.plan()
  if text and role ~= "plan" then
    local handlers_path, shared, files = plan.decode(text)
    secret.share(shared)
    source.serve(files)
    return handlers_path, function(config, own, read) return serve(config, own, read, files, version) end
  end
  local handlers_path, files = DATA .. "/handlers", source.record()
  if role == "alone" then
    return handlers_path, function(config, own, read) return serve(config, own, read, files, 1) end
  end
  return handlers_path, function(config, own)
    local again = core.plan() ~= nil
    return require("linedancer.gateway.load").plan(config, handlers_path, files, own, secret_to_be(), again)
  end
end

return function(argv)
  local handlers_path, run = part()
  return cli.main(argv, {
    version = core.version,
    handlers_path = handlers_path,
    space = space.new,
    run = run,
    test = test,
    library = DATA .. "/library",
    remote = function(...) return require("linedancer.control.client").run(...) end,
    lines = function(prompt) return require("linedancer.cli.prompt").lines(prompt) end,
    out = function(text) io.stdout:write(text) end,
    flush = function() io.stdout:flush() end,
    err = function(text) io.stderr:write(text) end,
  })
end
