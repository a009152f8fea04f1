--- linedancer.names: connections and tasks that are known by a name in all workers.
--
-- A name is held by one at a time, and let go when its holder ends. The supervisor decides who gets it; each worker has
-- a copy of all names. In a single process there is nobody to ask, and register() returns at once.
local answer = require "linedancer.message.answer"
local api = require "linedancer.api"
local bus = require "linedancer.bus"
local errors = require "linedancer.errors"
local id = require "linedancer.id"
local notice = require "linedancer.message.notice"
local park = require "linedancer.park"
local release = require "linedancer.release"
local seat = require "linedancer.seat"

local keys = require("linedancer.suggest").keys

local M = {}

local W, core, alive = api.vm, api.core, api.struct.alive
local id_of = id.of
local MAX_NAME, MAX_NAMES, TIMEOUT = 255, 1000, 5 -- bytes; names of a connection; seconds

local holders = {} -- by name: the id that holds it
local owners = {} -- by name: the connection of this worker that holds it
local owned = {} -- by connection: { count =, names = set }
local requests, request_count = {}, 0 -- by number: { conn, name, done, ok, previous, late }

local function ask_unregister(name, holder)
  core.ask("U" .. seat.s2(name) .. seat.s2(holder))
end

local function disown(name)
  local conn = owners[name]
  if not conn then return end
  owners[name] = nil
  owned[conn].names[name] = nil
  owned[conn].count = owned[conn].count - 1
end

-- Let go of NAME, which CONN holds.
local function let_go(conn, name)
  disown(name)
  holders[name] = nil
  if bus.slot > 0 then ask_unregister(name, id_of(conn)) end
end

local function ended(conn)
  for _, name in ipairs(keys(owned[conn].names)) do let_go(conn, name) end
  owned[conn] = nil
end

local list_of = release.lister(owned, "names", ended)

local function own(conn, name)
  local list = list_of(conn)
  if list.names[name] then return end
  list.names[name], list.count = true, list.count + 1
  owners[name] = conn
end

-- NAME is now held by HOLDER, an id, or by nobody ("").
local function changed(name, holder)
  holders[name] = holder ~= "" and holder or nil
  local conn = owners[name]
  if not conn or id_of(conn) == holder then return end
  disown(name)
  if holder ~= "" then notice.give(conn, holder, { taken = name, by = holder }) end
end

local function register_here(conn, name, take)
  local own_id, previous = id_of(conn), holders[name]
  if previous == own_id then return true end
  if previous and not take then return nil, "taken", previous end
  changed(name, own_id)
  own(conn, name)
  return true, previous
end

-- CONN's coroutine has been given up: what it asked for is answered too late.
park.on_give_up(function(conn)
  for _, request in pairs(requests) do
    if request.conn == conn then request.late = true end
  end
end)

local function ask(conn, name, take)
  request_count = (request_count + 1) % 2 ^ 32
  local number, request = request_count, { conn = conn, name = name, done = false }
  requests[number] = request
  core.ask("R" .. seat.u32(number) .. string.char(take and 1 or 0) .. seat.s2(name) .. seat.s2(id_of(conn)))
  if not answer.await(request, TIMEOUT) then
    request.late = true
    return nil, "timeout"
  end
  local previous = request.previous ~= "" and request.previous ~= id_of(conn) and request.previous or nil
  if request.ok then return true, previous end
  if not previous then return nil, "full" end
  return nil, "taken", previous
end

local function check_name(name)
  if type(name) ~= "string" or #name < 1 or #name > MAX_NAME then
    error("a name has 1 to " .. MAX_NAME .. " bytes, not " .. tostring(name):sub(1, 40), 3)
  end
end

local function check_options(opts)
  for key in pairs(opts) do
    if key ~= "take" then error("register() has the option take, and no " .. tostring(key), 3) end
  end
end

local function current()
  local conn = park.current()
  if not conn then error("only a connection or task holds names", 3) end
  return conn
end

--- Have the running connection or task be known as NAME (1 to 255 bytes) until it ends. With OPTS.take it gets the name
-- whoever holds it; that one is told { taken = name, by = id }. True, and the id that held it before; or nil and
-- "taken" and the holder's id, "timeout", or "full" when there are too many names. With several workers it waits, so it
-- raises `hook` where nothing may wait. Raises `limit` for more than 1000 names.
---@function ld.register
---@async
---@param name string 1 to 255 bytes
---@param opts? { take?: boolean } take = true: whoever holds it
---@return true? ok
---@return string? why the id that held it before; or "taken", "timeout" or "full"
---@return string? holder the id that holds it, if it is taken
---@raise limit
function M.register(name, opts)
  check_name(name)
  if opts then check_options(opts) end
  local conn = park.waiting()
  local list = owned[conn]
  if list and list.count >= MAX_NAMES and not list.names[name] then
    error(errors.new("limit", "a connection holds at most " .. MAX_NAMES .. " names", conn), 2)
  end
  local take = opts and opts.take or false
  if bus.slot == 0 then return register_here(conn, name, take) end
  return ask(conn, name, take)
end

--- Let go of NAME. Returns whether the running connection or task held it.
---@function ld.unregister
---@param name string 1 to 255 bytes
---@return boolean held
function M.unregister(name)
  check_name(name)
  local conn = current()
  if owners[name] ~= conn then return false end
  let_go(conn, name)
  return true
end

--- The id that is known as NAME, or nil.
---@function ld.whereis
---@param name string 1 to 255 bytes
---@return string? id
function M.whereis(name)
  check_name(name)
  return holders[name]
end

-- Does CONN still want NAME, which REQUEST got for it too late?
local function is_wanted(request)
  if owners[request.name] == request.conn then return true end
  for _, other in pairs(requests) do
    if other.conn == request.conn and other.name == request.name and not other.late then return true end
  end
  return false
end

bus.on_control("A", function(message)
  local number, ok, previous = seat.read(message, 2, 4), message:byte(6), seat.read_s2(message, 7)
  local request = requests[number]
  if not request then return end
  requests[number] = nil
  local conn, name = request.conn, request.name
  request.ok, request.previous = ok == 1, previous
  if request.ok and alive(W, conn[1]) == 1 and not request.late then
    own(conn, name)
  elseif request.ok and not is_wanted(request) then
    ask_unregister(name, id_of(conn))
  end
  answer.give(request, conn)
end)

bus.on_control("N", function(message)
  local name, pos = seat.read_s2(message, 2)
  changed(name, (seat.read_s2(message, pos)))
end)

bus.on_reset(function() holders, requests = {}, {} end)

return M
