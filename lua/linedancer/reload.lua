--- linedancer.reload: a new version of the config and the handlers, while the old one serves.
--
-- Alone, a gateway loads it itself. With workers, the supervisor has a process of its own look at it first, then all
-- workers prepare, and then all of them switch, or none does. What it says is listed in core/seat.h.
local answer = require "linedancer.message.answer"
local bus = require "linedancer.bus"
local core = require("linedancer.api").core
local diff = require "linedancer.reload.diff"
local gateway = require "linedancer.gateway"
local log = require "linedancer.log"
local park = require "linedancer.park"
local plan = require "linedancer.plan"
local seat = require "linedancer.seat"
local source = require "linedancer.handler.source"
local space = require "linedancer.handler.space"

local M = {}

local TIMEOUT = 90        -- seconds for the supervisor's answer, which has limits of its own
local MESSAGE_MAX = 1900  -- bytes of why not
local LOADING = 5         -- seconds that this process may spend on loading, when it does so itself
local FOR_GOOD, DRY, TRIAL, CONFIRM = 0, 1, 2, 3 -- as enum ld_reload_how of core/seat.h

local read -- function(space): the config, or nil and why not
local files = {} -- what the version that serves was loaded from, by path
local pieces = {} -- of a plan that comes
local ready -- what gateway.commit() takes, and its files
local requests, request_count = {}, 0 -- by number: { conn =, done =, version =, message = }

-- Get what read() finds ready as VERSION: an array of changes, or nil and why not. BACK as for gateway.prepare().
local function prepare(version, new_files, back)
  local own = space.new()
  local config, message = read(own)
  if not config then return nil, message end
  local next_version
  next_version, message = gateway.prepare(config, own, version, back)
  if not next_version then return nil, message end
  local _, current = gateway.current()
  ready = { version = next_version, files = new_files }
  return diff.of(current, config, files, new_files)
end

local function guarded(...)
  local ok, changes, message = xpcall(prepare, debug.traceback, ...)
  if not ok then return nil, changes end
  return changes, message
end

-- What is ready is not to be.
local function drop()
  if ready then gateway.abort(ready.version) end
  ready = nil
end

local function commit()
  files = ready.files
  local message = gateway.commit(ready.version)
  ready = nil
  return message
end

-- In a gateway of one process.
local function reload_alone(dry)
  core.extend_turn(LOADING)
  local version = gateway.current() + 1
  source.serve(nil) -- but the disk
  local recorded = source.record()
  local changes, message = guarded(version, recorded)
  if changes and not dry then
    message = commit()
    log.info("reloaded", { version = version })
  elseif not changes then
    log.error("reload refused", { why = message })
  end
  drop()
  if not changes then return nil, message end
  return changes, not dry and version or nil, message
end

-- Send the supervisor KIND, a letter of core/seat.h, the number of a request, and REST. Returns the request once it has
-- been answered, or nil and why not.
local function ask(kind, rest)
  local request = { conn = park.waiting(), done = false }
  request_count = request_count % (2 ^ 32 - 1) + 1
  local number = request_count
  requests[number] = request
  core.ask(kind .. seat.u32(number) .. rest)
  local answered = answer.await(request, TIMEOUT)
  requests[number] = nil
  if not answered then return nil, "the supervisor does not answer" end
  if request.version == 0 then return nil, request.message end
  return request
end

-- HOW is an enum ld_reload_how of core/seat.h.
local function ask_reload(how, share, seconds)
  local request, message = ask("L", string.char(how) .. seat.u16(share) .. seat.u32(seconds))
  if not request then return nil, message end
  if not request.changes then return nil, request.problem or "nobody can say what would change" end
  return request.changes, request.version
end

--- Load the config and the handlers again; DRY: only see what would change. Returns the changes, an array of texts, and
-- the number of the version that serves now (nil when DRY); or nil and why nothing has changed. Waits.
function M.reload(dry)
  if not read then return nil, "this gateway was not started from files" end
  if core.role() == "alone" then return reload_alone(dry) end
  local changes, version = ask_reload(dry and DRY or FOR_GOOD, 0, 0)
  if dry and changes then return changes end
  return changes, version
end

--- Try what the files say now: SHARE of 1000 new connections get it for SECONDS, a whole number; then all do, unless it
-- fails more than MOST of its connections, a fraction of 1, or somebody says otherwise by judge(). Returns the changes,
-- and the number of the version that is tried; or nil and why not. Waits.
function M.try(share, seconds, most)
  if core.role() == "alone" then return nil, "a trial takes workers: with workers = 0 there is nobody to judge it" end
  local changes, version = ask_reload(TRIAL, share, seconds)
  if changes then require("linedancer.reload.trial").watch(version, seconds, most) end
  return changes, version
end

--- The same as reload(), but what was before comes back after SECONDS, a whole number, unless it is confirmed by
-- judge().
function M.reload_unconfirmed(seconds)
  if core.role() == "alone" then return nil, "confirm takes workers: with workers = 0 nobody would revert it" end
  return ask_reload(CONFIRM, 0, seconds)
end

-- See LD_CONTROL_JUDGE in core/seat.h.
local function verdict(good, why) return string.char(good and 1 or 0) .. (why or ""):sub(1, MESSAGE_MAX) end

--- Say of the version that is on trial, or to be confirmed, that it is GOOD, or not. Returns the number of the version
-- that serves then; or nil and why not. Waits.
function M.judge(good)
  if core.role() == "alone" then return nil, "there is no trial, and nothing to confirm" end
  local request, message = ask("J", verdict(good, "reverted by hand"))
  if not request then return nil, message end
  return request.version
end

--- The same, of a trial, WHY not, without an answer.
function M.tell(good, why) core.ask("J" .. seat.u32(0) .. verdict(good, why)) end

local last_changes, problem

bus.on_control("P", function(message) pieces[#pieces + 1] = message:sub(2) end)

bus.on_control("V", function(message)
  local version, text = seat.read(message, 2, 4), table.concat(pieces)
  pieces = {}
  local _, _, texts = plan.decode(text)
  local before = source.serve(texts)
  last_changes, problem = guarded(version > 0 and version or gateway.current() + 1, texts, message:byte(6) == 1)
  if version == 0 or not last_changes then
    drop()
    source.serve(before)
  end
  if version == 0 then return end
  local why = (problem or ""):sub(1, MESSAGE_MAX)
  core.ask("v" .. seat.u32(version) .. string.char(last_changes and 1 or 0) .. seat.s2(why))
end)

bus.on_control("T", function(message)
  if ready then gateway.try(ready.version, seat.read(message, 2, 2)) end
end)

bus.on_control("C", function()
  if ready then commit() end
  core.take_back()
end)

bus.on_control("X", function()
  if ready then source.serve(files) end
  drop()
  core.take_back()
end)

bus.on_control("B", function(message)
  local request = requests[seat.read(message, 2, 4)]
  if not request then return end
  request.version, request.message = seat.read(message, 6, 4), message:sub(12)
  request.changes, request.problem = last_changes, problem
  answer.give(request, request.conn)
end)

--- The gateway serves what READ(space) returned, from the texts FILES by path; it is called again for a reload.
function M.install(new_read, new_files)
  read, files = new_read, new_files
  core.boot { reload = function()
    if core.role() == "alone" then M.reload() end
  end }
end

return M
