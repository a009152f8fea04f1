--- resp/keys: commands on keys of any type, and on whole databases.
local commands = require "handlers.resp.commands"
local glob = require "handlers.resp.glob"
local integer = require("handlers.resp.number").integer
local reply = require "handlers.resp.reply"
local store = require "handlers.resp.store"

local add, add_plain = commands.add, commands.add_plain
local get = store.get

local function delete(conn, words, n)
  local count = 0
  for i = 2, n do
    if store.delete(conn.db, words[i]) then count = count + 1 end
  end
  reply.integer(conn, count)
end

add("DEL", -2, delete)
add("UNLINK", -2, delete)

add("EXISTS", -2, function(conn, words, n)
  local count = 0
  for i = 2, n do
    if get(conn.db, words[i]) ~= nil then count = count + 1 end
  end
  reply.integer(conn, count)
end)

add("TYPE", 2, function(conn, key)
  local value = get(conn.db, key)
  local kind = value == nil and "none" or type(value) == "table" and value.kind or "string"
  conn:write("+" .. kind .. "\r\n")
end)

local function expire_in(name, unit)
  add(name, 3, function(conn, key, time)
    local n = integer(time)
    if not n then return reply.not_integer(conn) end
    if get(conn.db, key) == nil then return reply.integer(conn, 0) end
    store.expire(conn.db, key, n / unit)
    reply.integer(conn, 1)
  end)
end

expire_in("EXPIRE", 1)
expire_in("PEXPIRE", 1000)

-- -2: no such key; -1: it does not expire.
local function time_left(name, unit)
  add(name, 2, function(conn, key)
    if get(conn.db, key) == nil then return reply.integer(conn, -2) end
    local left = store.left(conn.db, key)
    reply.integer(conn, left and math.floor(left * unit + 0.5) or -1)
  end)
end

time_left("TTL", 1)
time_left("PTTL", 1000)

add("PERSIST", 2, function(conn, key)
  reply.integer(conn, store.persist(conn.db, key) and 1 or 0)
end)

add_plain("KEYS", 2, function(conn, pattern)
  local names, n = store.keys(conn.db)
  local found, count = {}, 0
  for i = 1, n do
    if glob.match(pattern, names[i]) then
      count = count + 1
      found[count] = names[i]
    end
  end
  reply.list(conn, found, count)
end)

add_plain("DBSIZE", 1, function(conn)
  store.sweep(conn.db)
  reply.integer(conn, conn.db.count)
end)

local FLUSH_MODES = { ASYNC = true, SYNC = true }

local function flush(name, clear)
  add_plain(name, 1, function(conn)
    clear(conn.db)
    reply.ok(conn)
  end)
  add_plain(name, 2, function(conn, mode)
    if not FLUSH_MODES[mode:upper()] then return reply.syntax(conn) end
    clear(conn.db)
    reply.ok(conn)
  end)
end

flush("FLUSHDB", store.clear)
flush("FLUSHALL", store.clear_all)

add_plain("SELECT", 2, function(conn, index)
  local n = integer(index)
  if not n then return reply.not_integer(conn) end
  if n < 0 or n >= store.COUNT then return reply.error(conn, "ERR DB index is out of range") end
  conn.db_index, conn.db = n, store.database(n)
  reply.ok(conn)
end)
