--- linedancer.gateway: turns a config into listeners and serves until it is stopped.
--
-- The same config goes through here three times when there are workers: once in a process that only looks whether it is
-- good, and describes it to the supervisor (gateway/load), and once in each worker. What takes the place of a config
-- that is served is loaded beside it, in a space of its own: prepare() and commit().
local alarm = require "linedancer.alarm"
local confine = require "linedancer.gateway.confine"
local limits = require "linedancer.gateway.limits"
local load = require "linedancer.gateway.load"
local log = require "linedancer.log"
local movers = require "linedancer.gateway.movers"
local ports = require "linedancer.gateway.ports"
local tasks = require "linedancer.task"
local versions = require "linedancer.versions"
require "linedancer" -- so that all of it hears what the supervisor says, from the first word

local FLUSH = 1 -- seconds after a reload
local JOIN_SECONDS = 30 -- for the supervisor's word; it is there when a worker starts

local M = {}

local core = require("linedancer.api").core

local current -- what serves: { config, parts, definitions, version }
local trial   -- what is tried, or nil
local flush   -- the alarm at which traces are forgotten, or nil

-- The options of each listener in PARTS whose handler is DEFINITION.
local function options_of(definition, parts)
  local list = {}
  for _, part in ipairs(parts) do
    if part.definition == definition then list[#list + 1] = part.machine.options end
  end
  return list
end

-- A handler's start is given an array: the options of each of its listeners.
local function start(definitions, parts)
  for _, definition in ipairs(definitions) do
    if definition.start then
      local ok, err = tasks.own(definition, definition.start, options_of(definition, parts))
      if not ok then return nil, ("%s: start: %s"):format(definition.file, tostring(err)) end
    end
  end
  return true
end

-- What of CONFIG this process cannot do, as it is not ours alone; or nil.
local function beyond(config)
  if core.role() ~= "alone" or core.plan() then return nil end
  if (config.workers or 0) > 0 then
    return ("workers = %d: only the program linedancer starts processes; here, set workers = 0"):format(config.workers)
  end
  local key = confine.of_program(config)
  return key and ("%s: only the program linedancer confines its process; remove the key"):format(key)
end

-- One of the workers warns for all of them.
local function warn(config)
  local slot, incarnation, slots = core.worker()
  if slot <= 1 and incarnation <= 1 then confine.warn(config, math.max(slots, 1)) end
end

-- What has begun is not to be.
local function give_up(definitions, parts)
  for _, definition in ipairs(definitions) do tasks.disown(definition) end
  for _, part in ipairs(parts) do
    if part.number then core.unlisten(part.number) end
  end
end

local function prepare(config, space, version)
  local refusal = beyond(config)
  if refusal then return nil, refusal end
  local parts, definitions = load.load(config, space, version)
  if not parts then return nil, definitions end
  if core.role() == "worker" then core.join(JOIN_SECONDS) end
  local ok, message = start(definitions, parts)
  if ok then ok, message = ports.open_all(parts) end
  if not ok then
    give_up(definitions, parts)
    return nil, message
  end
  current = { config = config, parts = parts, definitions = definitions, version = version }
  warn(config)
  return true
end

local function set_log_level(config)
  if config.log and config.log.level then core.log_level(config.log.level) end
end

--- Open every listener of CONFIG (of linedancer.config), loaded in SPACE (of linedancer.handler.space), as VERSION:
-- true, or nil and a message.
function M.open(config, space, version)
  set_log_level(config)
  return prepare(config, space, version)
end

--- Serve CONFIG, which is open, until the gateway is told to stop.
function M.serve(config)
  core.limit_sources(config.limits.per_source or {})
  core.run(limits.terms(config))
  if core.role() == "alone" then log.info "stopped" end
end

--- Both. Returns the exit code: 0, or 1 when a listener or a handler was refused, which the log says.
function M.run(config, space, version)
  local ok, message = M.open(config, space, version)
  if not ok then
    log.error(message)
    return 1
  end
  M.serve(config)
  return 0
end

-- Is PART what FORMER was? Of listeners on any port, those for the same handler.
local function is_same(part, former)
  local a, b = part.listener.address, former.listener.address
  return a.text == b.text and a.family == b.family
    and (a.port ~= 0 or part.definition.name == former.definition.name)
end

-- What PART was, among PARTS, and not taken yet: as the supervisor finds it (core/supervisor_change.c).
local function find_former(parts, part, taken)
  for _, former in ipairs(parts) do
    if not taken[former] and is_same(part, former) then
      taken[former] = true
      return former
    end
  end
end

--- Get CONFIG, loaded in SPACE, ready to take the place of what there is, as VERSION. BACK: it was before, and who
-- cannot go back stays. Returns what commit() takes, or nil and why not: then nothing has changed.
function M.prepare(config, space, version, back)
  local key = confine.differs(config, current.config)
  if key then return nil, ("%s: what was given up at the start cannot be changed; that takes a restart"):format(key) end
  local parts, definitions = load.load(config, space, version)
  if not parts then return nil, definitions end
  local taken = {}
  for _, part in ipairs(parts) do
    local former = find_former(current.parts, part, taken)
    part.former = former
    part.number, part.port = former and former.number, former and former.port
    part.continues = former and former.definition.name == part.definition.name
    if part.continues and not back then
      local ok, message = movers.check(former.machine, part.machine)
      if not ok then
        load.discard(parts)
        return nil, message
      end
    end
  end
  return { config = config, parts = parts, definitions = definitions, version = version, taken = taken }
end

-- Listeners of the former version that the new one does not have.
local function close_former(taken)
  for _, part in ipairs(current.parts) do
    if not taken[part] then
      core.unlisten(part.number)
      versions.retire(part.machine)
    end
  end
end

local function switch(part, index)
  local former = part.former
  part.former = nil -- or all versions that there ever were would be kept
  if not part.machine.trial then versions.add(part.machine, part.listener.name) end
  part.machine.trial = nil
  if part.continues then versions.supersede(former.machine, part.machine) end
  if former then
    if not part.continues then versions.retire(former.machine) end
    return ports.reopen(part, index)
  end
  local ok, message = ports.open(part, index)
  if not ok then log.error(message) end
end

--- Give COUNT of 1000 new connections to what prepare() has got ready, where a listener goes on with the same handler.
function M.try(ready, count)
  trial = ready
  for _, part in ipairs(ready.parts) do
    if part.continues then
      part.machine.trial = true
      versions.add(part.machine, part.listener.name)
      core.trial(part.number, part.machine.handle, count)
    end
  end
  local ok, message = start(ready.definitions, ready.parts)
  if not ok then log.error(message) end
end

--- The machines that are tried, or nil.
function M.trial()
  local machines = trial and {}
  for _, part in ipairs(trial and trial.parts or {}) do
    if part.machine.trial then machines[#machines + 1] = part.machine end
  end
  return machines
end

--- What prepare() had got ready is not to be. Connections that were given to it stay there until they end.
function M.abort(ready)
  if trial ~= ready then return load.discard(ready.parts) end
  trial = nil
  for _, part in ipairs(ready.parts) do
    if part.machine.trial then
      part.machine.trial = nil
      core.trial(part.number)
    else
      versions.add(part.machine, part.listener.name)
    end
    versions.retire(part.machine)
  end
  for _, definition in ipairs(ready.definitions) do tasks.disown(definition) end
  versions.sweep()
end

-- End the connections that have been on code older than VERSION for as long as the config allows.
local function retire(version)
  for _, conn in ipairs(core.conns()) do
    if conn.version < version then conn:close "retired" end
  end
end

-- On the way to the newest version's, the traces of all those before it are gone through, one after the other. They are
-- forgotten once the reloads are over, as all are that are still of use.
local function flush_traces_soon()
  if flush then alarm.cancel(flush) end
  flush = alarm.set(FLUSH, jit.flush)
end

--- What prepare() has got ready is so, from now on. Its connections move as linedancer.migrate says. Returns nil, or
-- what a handler's start() raised, which changes nothing.
function M.commit(ready)
  local former = current
  close_former(ready.taken)
  ready.taken = nil
  for i, part in ipairs(ready.parts) do switch(part, i) end
  current = ready
  set_log_level(ready.config)
  M.heed()
  for _, definition in ipairs(former.definitions) do tasks.disown(definition) end
  local ok, message = true, nil
  if trial ~= ready then ok, message = start(ready.definitions, ready.parts) end
  if not ok then log.error(message) end
  trial = nil
  movers.wake(core.conns())
  if ready.config.retire then alarm.set(ready.config.retire, retire, ready.version) end
  versions.sweep()
  flush_traces_soon()
  return message
end

--- The limits of the config that serves have been changed; DRAIN: the seconds of a drain, if not its own.
function M.heed(drain) limits.heed(current.config, drain) end

--- The version that new connections get, and its config.
function M.current() return current.version, current.config, current.parts end

return M
