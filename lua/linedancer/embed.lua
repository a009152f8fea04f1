--- linedancer.embed: what a host's calls become; see core/linedancer.h and core/bind/embed.c.
--
-- A gateway in a host prints nothing and ends no process: what handlers print goes to the log.
local config = require "linedancer.config"
local core = require("linedancer.api").core
local gateway = require "linedancer.gateway"
local limits = require "linedancer.gateway.limits"
local log = require "linedancer.log"
local mailbox = require "linedancer.mailbox"
local native = require "linedancer.native"
local reload = require "linedancer.reload"
local source = require "linedancer.handler.source"
local space = require "linedancer.handler.space"
local tasks = require "linedancer.task"
local topic = require "linedancer.topic"

local M = {}

local values = {} -- of the host, by name: `host` in configs and handlers
local listening = {} -- the tasks of the host's subscriptions, by id

function print(...) -- luacheck: ignore
  local texts = {}
  for i = 1, select("#", ...) do texts[i] = tostring((select(i, ...))) end
  log.info(table.concat(texts, " "))
end

io.write = print -- luacheck: ignore

function os.exit() -- luacheck: ignore
  error("os.exit: this gateway is part of another program, which decides when to end", 2)
end

-- What FN(own) has loaded, which sees the host's values, with its directories known to OWN.
local function complete(fn, own)
  own.env.host = values
  local loaded, message = fn(own)
  if not loaded then return nil, message end
  own:search(loaded.path)
  return loaded
end

-- Load what FN(own) returns, and open its listeners.
local function load(fn)
  local function read(own) return complete(fn, own) end
  local files, own = source.record(), space.new()
  local loaded, message = read(own)
  if not loaded then return nil, message end
  local ok
  ok, message = gateway.open(loaded, own, 1)
  if not ok then return nil, message end
  reload.install(read, files)
  return true
end

--- Load the config in PATH: true, or nil and a message.
function M.load_file(path)
  return load(function(own) return config.load(path, core.data() .. "/handlers", own) end)
end

--- The same of TEXT, which messages call NAME.
function M.load_string(text, name)
  return load(function(own) return config.load_string(text, "=" .. name, ".", core.data() .. "/handlers", own) end)
end

--- require(NAME) is to call OPEN, a C function: true, or nil and a message.
function M.preload(name, open)
  if package.preload[name] or package.loaded[name] then return nil, ("there is a module '%s' already"):format(name) end
  package.preload[name] = open
  return true
end

--- host.NAME is to be VALUE.
function M.set_value(name, value) values[name] = value end

--- Is NAME such a script as below?
M.is_script = source.is_script

--- NAME is to be the Lua text SCRIPT, as a handler and as a module: the same.
function M.add_script(name, script)
  if core.native(name) then return nil, ("there is a handler '%s' already"):format(name) end
  local chunk, message = source.compile(script, "=" .. name)
  if not chunk then return nil, message end
  return source.add_script(name, script)
end

--- Accept what comes.
function M.begin()
  local _, loaded = gateway.current()
  limits.heed(loaded)
end

--- Load again: true, or nil and why nothing has changed.
function M.reload()
  local changes, message = reload.reload()
  if not changes then return nil, message end
  return true
end

--- The port of listener NAME, or nil.
function M.port(name)
  local _, _, parts = gateway.current()
  for _, part in ipairs(parts) do
    if part.listener.name == name or part.listener.address.text == name then return part.port end
  end
end

function M.publish(name, message) topic.publish(name, message) end

--- The host's subscription ID gets what is published on topics that PATTERN matches. Raises for what is none.
function M.subscribe(id, pattern)
  local task = tasks.spawn(function()
    while true do
      local _, message, name = mailbox.receive()
      core.hear(id, name, native.text_of(message))
    end
  end)
  listening[id] = task
  local ok, message = pcall(topic.subscribe, task, pattern)
  if ok then return end
  M.unsubscribe(id)
  error(message, 0)
end

function M.unsubscribe(id)
  listening[id]:cancel()
  listening[id] = nil
end

return M
