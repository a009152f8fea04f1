--- resp/lists: a list is { kind, first, last, [first..last] = items }: both ends grow by one step.
local commands = require "handlers.resp.commands"
local integer = require("handlers.resp.number").integer
local reply = require "handlers.resp.reply"
local store = require "handlers.resp.store"

local add = commands.add

local find, find_or_make = store.finders("list", function() return { first = 1, last = 0 } end)

local function push_left(list, item)
  local at = list.first - 1
  list.first = at
  list[at] = item
end

local function push_right(list, item)
  local at = list.last + 1
  list.last = at
  list[at] = item
end

local function push(name, place)
  add(name, 3, function(conn, key, item)
    local list = find_or_make(conn, key)
    if not list then return end
    place(list, item)
    reply.integer(conn, list.last - list.first + 1)
  end)
  add(name, -4, function(conn, words, n)
    local list = find_or_make(conn, words[2])
    if not list then return end
    for i = 3, n do place(list, words[i]) end
    reply.integer(conn, list.last - list.first + 1)
  end)
end

push("LPUSH", push_left)
push("RPUSH", push_right)

local function pop_left(list)
  local at = list.first
  local item = list[at]
  list[at] = nil
  list.first = at + 1
  return item
end

local function pop_right(list)
  local at = list.last
  local item = list[at]
  list[at] = nil
  list.last = at - 1
  return item
end

local function drop_if_empty(conn, key, list)
  if list.first > list.last then store.delete(conn.db, key) end
end

local function pop_many(conn, key, count, take)
  count = integer(count)
  if not count then return reply.not_integer(conn) end
  if count < 0 then return reply.error(conn, "ERR value is out of range, must be positive") end
  local list, wrong = find(conn, key)
  if wrong then return end
  if not list then return reply.null_array(conn) end
  local items, n = {}, math.min(count, list.last - list.first + 1)
  for i = 1, n do items[i] = take(list) end
  drop_if_empty(conn, key, list)
  reply.list(conn, items, n)
end

local function pop(name, take)
  add(name, 2, function(conn, key)
    local list, wrong = find(conn, key)
    if wrong then return end
    if not list then return reply.null(conn) end
    local item = take(list)
    drop_if_empty(conn, key, list)
    reply.bulk(conn, item)
  end)
  add(name, 3, function(conn, key, count) return pop_many(conn, key, count, take) end)
end

pop("LPOP", pop_left)
pop("RPOP", pop_right)

add("LLEN", 2, function(conn, key)
  local list, wrong = find(conn, key)
  if wrong then return end
  reply.integer(conn, list and list.last - list.first + 1 or 0)
end)

add("LRANGE", 4, function(conn, key, from, to)
  from, to = integer(from), integer(to)
  if not from or not to then return reply.not_integer(conn) end
  local list, wrong = find(conn, key)
  if wrong then return end
  if not list then return reply.array(conn, 0) end
  local size = list.last - list.first + 1
  if from < 0 then from = math.max(size + from, 0) end
  if to < 0 then to = size + to end
  to = math.min(to, size - 1)
  local items, n = {}, 0
  for i = list.first + from, list.first + to do
    n = n + 1
    items[n] = list[i]
  end
  reply.list(conn, items, n)
end)
