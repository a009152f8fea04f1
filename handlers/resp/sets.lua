--- resp/sets: a set is { kind, size, at = { [member] = place }, [place] = member }, so that any one is popped in one
-- step: the last takes its place.
local commands = require "handlers.resp.commands"
local integer = require("handlers.resp.number").integer
local reply = require "handlers.resp.reply"
local store = require "handlers.resp.store"

local add = commands.add

local find, find_or_make = store.finders("set", function() return { size = 0, at = {} } end)

local function insert(set, member)
  if set.at[member] then return 0 end
  local place = set.size + 1
  set.size = place
  set.at[member], set[place] = place, member
  return 1
end

local function remove(set, member)
  local place, size = set.at[member], set.size
  if not place then return 0 end
  local last = set[size]
  set[place], set.at[last] = last, place
  set[size], set.at[member] = nil, nil
  set.size = size - 1
  return 1
end

local function pop(set)
  local member = set[math.random(set.size)]
  remove(set, member)
  return member
end

local function drop_if_empty(conn, key, set)
  if set.size == 0 then store.delete(conn.db, key) end
end

add("SADD", 3, function(conn, key, member)
  local set = find_or_make(conn, key)
  if not set then return end
  reply.integer(conn, insert(set, member))
end)

add("SADD", -4, function(conn, words, n)
  local set = find_or_make(conn, words[2])
  if not set then return end
  local count = 0
  for i = 3, n do count = count + insert(set, words[i]) end
  reply.integer(conn, count)
end)

add("SREM", -3, function(conn, words, n)
  local set, wrong = find(conn, words[2])
  if wrong then return end
  local count = 0
  for i = 3, set and n or 2 do count = count + remove(set, words[i]) end
  if set then drop_if_empty(conn, words[2], set) end
  reply.integer(conn, count)
end)

add("SISMEMBER", 3, function(conn, key, member)
  local set, wrong = find(conn, key)
  if wrong then return end
  reply.integer(conn, set and set.at[member] and 1 or 0)
end)

add("SCARD", 2, function(conn, key)
  local set, wrong = find(conn, key)
  if wrong then return end
  reply.integer(conn, set and set.size or 0)
end)

add("SMEMBERS", 2, function(conn, key)
  local set, wrong = find(conn, key)
  if wrong then return end
  local members, n = {}, set and set.size or 0
  for i = 1, n do members[i] = set[i] end
  reply.set(conn, n)
  reply.bulks(conn, members, n)
end)

add("SPOP", 2, function(conn, key)
  local set, wrong = find(conn, key)
  if wrong then return end
  if not set then return reply.null(conn) end
  local member = pop(set)
  drop_if_empty(conn, key, set)
  reply.bulk(conn, member)
end)

add("SPOP", 3, function(conn, key, count)
  count = integer(count)
  if not count or count < 0 then return reply.error(conn, "ERR value is out of range, must be positive") end
  local set, wrong = find(conn, key)
  if wrong then return end
  local members, n = {}, set and math.min(count, set.size) or 0
  for i = 1, n do members[i] = pop(set) end
  if set then drop_if_empty(conn, key, set) end
  reply.set(conn, n)
  reply.bulks(conn, members, n)
end)
