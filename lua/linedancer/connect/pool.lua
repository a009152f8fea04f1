--- linedancer.connect.pool: connections that are kept for the next who connects to the same address.
--
-- An idle connection belongs to nobody and is watched: a byte or an end that comes while nobody has asked for anything
-- closes it, so that no reply to one request is ever taken for that to another. Who gave a connection back has nothing
-- left of it: its table is dead, and who takes it gets a new one.
local alarm = require "linedancer.alarm"
local api = require "linedancer.api"
local machine = require "linedancer.machine"
local release = require "linedancer.release"
local shape = require "linedancer.shape"

local M = {}

local W, core, leaf = api.vm, api.core, api.struct

local MOST = 256 -- idle ones in all
local SIZE, IDLE = 16, 60 -- per address; seconds
local DEAD = 0 -- is no connection's handle

local idle = {} -- { conn, key, alarm }, the newest last
local enrolled = setmetatable({}, { __mode = "k" }) -- by connection: { key =, options =, reused =, released = }

local function place_of(conn)
  for i = #idle, 1, -1 do
    if idle[i].conn == conn then return i end
  end
end

local function remove(i)
  local entry = table.remove(idle, i)
  alarm.cancel(entry.alarm)
  return entry.conn
end

local function drop(i) leaf.close(W, remove(i)[1], 0) end

local function drop_conn(conn)
  local i = place_of(conn)
  if i then drop(i) end
end

-- A connection of ours has ended.
local function ended(conn)
  local i = place_of(conn)
  if i then remove(i) end
end

--- What `pool` of connect's options asks for, or nil. Refuses what it cannot be.
function M.options(given)
  if not given then return nil end
  if given == true then return { size = SIZE, idle = IDLE } end
  shape.typed(given, "table", "pool")
  shape.known_keys(given, { size = true, idle = true }, "pool")
  return {
    size = given.size == nil and SIZE or shape.whole(given.size, 1, "pool.size"),
    idle = given.idle == nil and IDLE or shape.positive(given.idle, "pool.idle"),
  }
end

--- CONN, in use, may be given back, for KEY.
function M.enrol(conn, key, options, reused)
  enrolled[conn] = { key = key, options = options, reused = reused or false }
  release.add(conn, ended)
end

--- An idle connection for KEY, the youngest, which belongs to SELF now; or nil.
function M.take(key, self, options)
  for i = #idle, 1, -1 do
    if idle[i].key == key then
      local conn = remove(i)
      if leaf.is_quiet(W, conn[1]) == 1 and core.is_untouched(conn[1]) then
        core.watch_stray(conn[1], false)
        core.adopt(conn[1], self[1])
        M.enrol(conn, key, options, true)
        return conn
      end
      leaf.close(W, conn[1], 0)
    end
  end
end

-- Make room for one more of KEY: the oldest goes.
local function make_room(key, size)
  local count, oldest = 0, nil
  for i = #idle, 1, -1 do
    if idle[i].key == key then count, oldest = count + 1, i end
  end
  if count >= size then drop(oldest) end
  if #idle >= MOST then drop(1) end
end

--- Give CONN, which ld.connect made with pool, back for others to use. One with anything unread or unsent, that is
-- being read, or that has ended or failed, is closed instead.
---@function conn:release
function M.release(conn)
  local record = enrolled[conn]
  if not record then error("release() is for a connection that was made with pool", 2) end
  if record.released then error("this connection was released before", 2) end
  local handle = conn[1]
  record.released = true
  release.run(conn, "released")
  local fresh = leaf.is_quiet(W, handle) == 1 and core.renew(handle)
  if not fresh then
    leaf.close(W, handle, 0)
    return
  end
  conn[1] = DEAD
  make_room(record.key, record.options.size)
  core.adopt(handle, nil)
  core.watch_stray(handle, true)
  release.add(fresh, ended)
  idle[#idle + 1] = { conn = fresh, key = record.key, alarm = alarm.set(record.options.idle, drop_conn, fresh) }
end

--- Has somebody used it before? Of connections that ld.connect made.
---@class linedancer.Conn
---@field reused? boolean
function M.reused(conn)
  local record = enrolled[conn]
  return record ~= nil and record.reused
end

--- How many are idle.
function M.count() return #idle end

-- A gateway that stops waits for all its connections, and says so again and again.
local drain = machine.drain
function machine.drain(left)
  while idle[1] do drop(#idle) end
  drain(left)
end

core.boot { stray = drop_conn, drain = machine.drain }

return M
