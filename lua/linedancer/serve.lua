--- linedancer.serve: a gateway in a script that a plain luajit runs.
local config = require "linedancer.config"
local core = require("linedancer.api").core
local source = require "linedancer.handler.source"
local space = require "linedancer.handler.space"

-- GIVEN, a table or the name of a file, as a config.
local function load(given, own)
  if type(given) == "string" then return config.load(given, core.data() .. "/handlers", own) end
  return config.validate(given, ".", core.data() .. "/handlers")
end

--- Serve CONFIG, a table or a file's name, until SIGINT or SIGTERM drains it, a second one at once. Raises an error
-- when it is not good. For scripts: a gateway serves already.
return function(given)
  local own, files = space.new(), source.record()
  local function read(place)
    local loaded, message = load(given, place)
    if not loaded then return nil, message end
    place:search(loaded.path)
    return loaded
  end
  local loaded, message = read(own)
  if not loaded then error(message, 2) end
  if loaded.workers == nil then loaded.workers = 0 end
  if not core.take_loop() then error("this gateway serves already: ld.serve() is for scripts of their own", 2) end
  require("linedancer.reload").install(read, files)
  local gateway = require "linedancer.gateway"
  local ok
  ok, message = gateway.open(loaded, own, 1)
  if not ok then error(message, 2) end
  gateway.serve(loaded)
end
