--- control/facts: what a worker knows of itself, and does to itself, for control/commands.
local bus = require "linedancer.bus"
local core = require("linedancer.api").core
local counter = require "linedancer.counter"
local gather = require "linedancer.control.gather"
local gateway = require "linedancer.gateway"
local limits = require "linedancer.gateway.limits"
local log = require "linedancer.log"
local versions = require "linedancer.versions"

local function pid()
  local file = io.open "/proc/self/stat"
  local number = file and file:read "*n"
  if file then file:close() end
  return number
end

gather.on("status", function()
  local version, config, parts = gateway.current()
  local listeners = {}
  for i, part in ipairs(parts) do
    local connections, most, full = core.port(part.number)
    listeners[i] = {
      name = part.listener.name, address = part.listener.address.text, handler = part.definition.name,
      connections = connections, max = most < 2 ^ 32 - 1 and most or nil, full = full,
    }
  end
  return {
    worker = bus.slot, incarnation = bus.incarnation, pid = pid(), version = version, lua_kb = collectgarbage "count",
    task_errors = counter.get("task_errors").value, listeners = listeners, limits = config.limits,
    limits_met = limits.met(), used = core.used(),
  }
end)

-- The control socket's own are listed on demand only.
local function is_listed(conn, handler)
  if handler then return conn.machine.name == handler end
  return conn.machine.name ~= "linedancer.control"
end

local function matches(conn, state, age, args)
  return is_listed(conn, args.handler)
    and (not args.listener or conn.listener == args.listener)
    and (not args.state or state == args.state)
    and (not args.version or conn.version == args.version)
    and (not args.older or age >= args.older)
    and (not args.peer or (conn.peer or ""):sub(1, #args.peer) == args.peer)
end

gather.on("conns", function(args)
  local list, most = {}, args.limit
  for _, conn in ipairs(core.conns()) do
    if #list >= most then break end
    local age, in_state, silent = core.times(conn[1])
    local state = conn.state
    if matches(conn, state, age, args) then
      list[#list + 1] = {
        id = conn.id, peer = conn.peer, handler = conn.machine.name, listener = conn.listener, state = state,
        version = conn.version, age = age, in_state = in_state, silent = silent, unread = conn.unread,
        unsent = conn.unsent,
      }
    end
  end
  return list
end)

-- The connections that ARGS.id names; each is ended.
gather.on("kill", function(args)
  for _, conn in ipairs(core.conns()) do
    if conn.id == args.id then
      log.info("killed", { conn = conn.id, peer = conn.peer })
      conn:close "kill"
      return { conn.id }
    end
  end
  return {}
end)

gather.on("serving", function() return (gateway.current()) end)

gather.on("versions", function() return versions.list() end)

gather.on("loglevel", function(args)
  core.log_level(args.level)
  return true
end)

gather.on("set", function(args)
  local _, config, parts = gateway.current()
  local value, message = limits.set(config, parts, args.name, tonumber(args.value))
  if not value then return nil, message end
  gateway.heed()
  return value
end)

-- What a chunk of Lua returns, as texts.
gather.on("eval", function(args)
  if args.worker and args.worker ~= bus.slot then return nil end
  local chunk, message = loadstring("return " .. args.code, "=console")
  if not chunk then chunk, message = loadstring(args.code, "=console") end
  if not chunk then return nil, message end
  local results = { xpcall(chunk, debug.traceback) }
  if not results[1] then return nil, tostring(results[2]) end
  local texts = {}
  for i = 2, table.maxn(results) do texts[i - 1] = tostring(results[i]) end
  return texts
end)
