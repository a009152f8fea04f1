--- resp/strings: commands on strings.
local commands = require "handlers.resp.commands"
local number = require "handlers.resp.number"
local reply = require "handlers.resp.reply"
local store = require "handlers.resp.store"

local add = commands.add
local get, put, set = store.get, store.put, store.set
local integer, MAX = number.integer, number.MAX
local kept_value = store.kept_value
local SIZE = '"$" D"\r\n"'

-- The string at KEY as text, or nil; the second result tells that the error has been written.
local function text_of(conn, key)
  local value = get(conn.db, key)
  if type(value) == "number" then return ("%d"):format(value), false end
  if type(value) == "table" then
    reply.wrong_type(conn)
    return nil, true
  end
  return value, false
end

add("GET", 2, function(conn, key)
  local value = kept_value(conn.db, key)
  if type(value) == "string" then
    conn:pack(SIZE, #value - 4)
    conn:put(value, 5)
    conn:write "\r\n"
  elseif value == nil then
    reply.null(conn)
  elseif type(value) == "number" then
    reply.bulk(conn, value)
  else
    reply.wrong_type(conn)
  end
end)

commands.add_sliced("SET", function(conn, key, value)
  set(conn.db, key, value)
  conn:write "+OK\r\n"
end)

-- Seconds from an option's word, or nil after the error. UNIT is how many of them make one second.
local function lifetime(conn, word, unit, name)
  local n = word and integer(word)
  if not n then
    if word then reply.not_integer(conn) else reply.syntax(conn) end
    return nil
  end
  if n <= 0 then
    reply.error(conn, ("ERR invalid expire time in '%s' command"):format(name))
    return nil
  end
  return n / unit
end

local UNITS = { EX = 1, PX = 1000 }

-- SET's options from word 4 on, or nil after the error.
local function set_options(conn, words, n)
  local options, i = {}, 4
  while i <= n do
    local word = words[i]:upper()
    if UNITS[word] and not options.seconds and not options.KEEPTTL then
      options.seconds = lifetime(conn, words[i + 1], UNITS[word], "set")
      if not options.seconds then return nil end
      i = i + 1
    elseif (word == "NX" and not options.XX) or (word == "XX" and not options.NX) or word == "GET"
      or (word == "KEEPTTL" and not options.seconds) then
      options[word] = true
    else
      reply.syntax(conn)
      return nil
    end
    i = i + 1
  end
  return options
end

add("SET", -4, function(conn, words, n)
  local db, key, value = conn.db, words[2], words[3]
  local options = set_options(conn, words, n)
  if not options then return end
  local old = get(db, key)
  if options.GET and type(old) == "table" then return reply.wrong_type(conn) end
  local refused = (options.NX and old ~= nil) or (options.XX and old == nil)
  if not refused then
    if options.KEEPTTL then put(db, key, value) else set(db, key, value) end
    if options.seconds then store.expire(db, key, options.seconds) end
  end
  if options.GET and old ~= nil then return reply.bulk(conn, old) end
  if options.GET or refused then return reply.null(conn) end
  reply.ok(conn)
end)

add("SETNX", 3, function(conn, key, value)
  local free = get(conn.db, key) == nil
  if free then set(conn.db, key, value) end
  reply.integer(conn, free and 1 or 0)
end)

local function set_for(name, unit)
  add(name, 4, function(conn, key, time, value)
    local seconds = lifetime(conn, time, unit, name:lower())
    if not seconds then return end
    set(conn.db, key, value)
    store.expire(conn.db, key, seconds)
    reply.ok(conn)
  end)
end

set_for("SETEX", 1)
set_for("PSETEX", 1000)

add("GETSET", 3, function(conn, key, value)
  local old, wrong = text_of(conn, key)
  if wrong then return end
  set(conn.db, key, value)
  if old then reply.bulk(conn, old) else reply.null(conn) end
end)

add("GETDEL", 2, function(conn, key)
  local old, wrong = text_of(conn, key)
  if wrong then return end
  if not old then return reply.null(conn) end
  store.delete(conn.db, key)
  reply.bulk(conn, old)
end)

-- OLD, nil for 0, with BY more; or nil, and the reply that says why not.
local function sum(old, by)
  if old == nil then old = 0 end
  if type(old) == "table" then return nil, reply.wrong_type end
  local n = integer(old)
  if not n then return nil, reply.not_integer end
  n = n + by
  if n > MAX or n < -MAX then return nil, reply.overflow end
  return n
end

local function increase(conn, key, by)
  local n, refuse = store.update(conn.db, key, sum, by)
  if not n then return refuse(conn) end
  reply.integer(conn, n)
end

add("INCR", 2, function(conn, key) return increase(conn, key, 1) end)
add("DECR", 2, function(conn, key) return increase(conn, key, -1) end)

local function increase_by(name, sign)
  add(name, 3, function(conn, key, by)
    by = integer(by)
    if not by then return reply.not_integer(conn) end
    increase(conn, key, sign * by)
  end)
end

increase_by("INCRBY", 1)
increase_by("DECRBY", -1)

add("APPEND", 3, function(conn, key, more)
  local old, wrong = text_of(conn, key)
  if wrong then return end
  local text = (old or "") .. more
  if #text > conn.options.max_bulk then
    return reply.error(conn, "ERR string exceeds maximum allowed size (proto-max-bulk-len)")
  end
  put(conn.db, key, text)
  reply.integer(conn, #text)
end)

add("STRLEN", 2, function(conn, key)
  local text, wrong = text_of(conn, key)
  if wrong then return end
  reply.integer(conn, text and #text or 0)
end)

add("MGET", -2, function(conn, words, n)
  local found = {}
  for i = 2, n do
    local value = get(conn.db, words[i])
    found[i - 1] = value ~= nil and type(value) ~= "table" and value
  end
  reply.values(conn, found, n - 1)
end)

add("MSET", -3, function(conn, words, n)
  if n % 2 == 0 then return commands.wrong_arity(conn, "mset") end
  local db = conn.db
  for i = 2, n, 2 do set(db, words[i], words[i + 1]) end
  reply.ok(conn)
end)
