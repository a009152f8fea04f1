--- resp/hashes: a hash is { kind, size, fields = { [field] = value } }.
local commands = require "handlers.resp.commands"
local reply = require "handlers.resp.reply"
local store = require "handlers.resp.store"

local add = commands.add

local find, find_or_make = store.finders("hash", function() return { size = 0, fields = {} } end)

local function assign(hash, field, value)
  local is_new = hash.fields[field] == nil and 1 or 0
  hash.fields[field] = value
  hash.size = hash.size + is_new
  return is_new
end

add("HSET", 4, function(conn, key, field, value)
  local hash = find_or_make(conn, key)
  if not hash then return end
  reply.integer(conn, assign(hash, field, value))
end)

add("HSET", -4, function(conn, words, n)
  if n % 2 == 1 then return commands.wrong_arity(conn, "hset") end
  local hash = find_or_make(conn, words[2])
  if not hash then return end
  local count = 0
  for i = 3, n, 2 do count = count + assign(hash, words[i], words[i + 1]) end
  reply.integer(conn, count)
end)

add("HGET", 3, function(conn, key, field)
  local hash, wrong = find(conn, key)
  if wrong then return end
  local value = hash and hash.fields[field]
  if value then reply.bulk(conn, value) else reply.null(conn) end
end)

add("HEXISTS", 3, function(conn, key, field)
  local hash, wrong = find(conn, key)
  if wrong then return end
  reply.integer(conn, hash and hash.fields[field] and 1 or 0)
end)

add("HDEL", -3, function(conn, words, n)
  local key = words[2]
  local hash, wrong = find(conn, key)
  if wrong then return end
  local count = 0
  for i = 3, hash and n or 2 do
    if hash.fields[words[i]] then
      hash.fields[words[i]] = nil
      count = count + 1
    end
  end
  if hash then
    hash.size = hash.size - count
    if hash.size == 0 then store.delete(conn.db, key) end
  end
  reply.integer(conn, count)
end)

add("HLEN", 2, function(conn, key)
  local hash, wrong = find(conn, key)
  if wrong then return end
  reply.integer(conn, hash and hash.size or 0)
end)

add("HGETALL", 2, function(conn, key)
  local hash, wrong = find(conn, key)
  if wrong then return end
  local items, n = {}, 0
  for field, value in pairs(hash and hash.fields or {}) do
    items[n + 1], items[n + 2] = field, value
    n = n + 2
  end
  reply.map(conn, n / 2)
  reply.bulks(conn, items, n)
end)
