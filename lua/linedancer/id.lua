--- linedancer.id: the texts by which connections and tasks are known, in all workers.
--
-- "SLOT.INCARNATION.PLACE.GENERATION": which worker, and which of its connections. No two are ever the same while the
-- gateway lives. A `from` of a call, "ID#NUMBER", stands for its caller too.
local api = require "linedancer.api"
local bus = require "linedancer.bus"
local release = require "linedancer.release"

local M = {}

local W, alive = api.vm, api.struct.alive
local SLOTS = 2 ^ 24 -- a handle is generation * SLOTS + place

local here, ids = {}, {} -- connections and tasks by id, and their ids

--- By id, the connections and tasks of this worker that may be sent to. Not to be changed.
M.here = here

local function forget(conn)
  here[ids[conn]], ids[conn] = nil, nil
end

--- The id of CONN, a connection or task of this worker, also when it has ended.
function M.of(conn)
  local id = ids[conn]
  if id then return id end
  local handle = conn[1]
  id = ("%d.%d.%d.%d"):format(bus.slot, bus.incarnation, handle % SLOTS, math.floor(handle / SLOTS))
  if alive(W, handle) == 1 then
    here[id], ids[conn] = conn, id
    release.add(conn, forget)
  end
  return id
end

--- ID without the number of a call.
function M.plain(id)
  return id:match "^(.-)#%d+$" or id
end

--- The numbers of ID: slot, incarnation, place, generation; nil when it is none.
function M.parse(id)
  if type(id) ~= "string" then return nil end
  local a, b, c, d = M.plain(id):match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$"
  if not a then return nil end
  return tonumber(a), tonumber(b), tonumber(c), tonumber(d)
end

local function is_conn(x)
  local class = type(x) == "table" and getmetatable(x)
  return type(class) == "table" and rawget(class, "machine") and type(x[1]) == "number"
end

-- The connection that X stands for, which is no key of `here`: as find().
local function search(x)
  if is_conn(x) then
    if ids[x] or alive(W, x[1]) == 1 then return x end
    return nil
  end
  local slot, incarnation = M.parse(x)
  if not slot then error("an id is expected, such as conn.id, not " .. tostring(x), 3) end
  if slot == bus.slot then return here[M.plain(x)] end
  if bus.is_living(slot, incarnation) then return nil, slot end
  return nil
end

--- The connection or task that X, an id or its table, stands for, when it lives here; else nil, and the slot of its
-- worker if that lives. Raises an error when X is no id.
function M.find(x)
  local conn = here[x]
  if conn then return conn end
  return search(x)
end

return M
