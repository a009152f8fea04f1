--- resp/zsets: a sorted set is { kind, size, scores = { [member] = score }, order = skip list }.
local commands = require "handlers.resp.commands"
local number = require "handlers.resp.number"
local reply = require "handlers.resp.reply"
local skiplist = require "handlers.resp.skiplist"
local store = require "handlers.resp.store"

local add = commands.add
local integer = number.integer

local find, find_or_make = store.finders("zset", function()
  return { size = 0, scores = {}, order = skiplist.new() }
end)

-- 1 when MEMBER is new, and whether anything has changed.
local function assign(zset, score, member)
  local old = zset.scores[member]
  if old == score then return 0, false end
  if old then skiplist.remove(zset.order, old, member) else zset.size = zset.size + 1 end
  zset.scores[member] = score
  skiplist.insert(zset.order, score, member)
  return old and 0 or 1, true
end

local function remove(zset, member)
  local score = zset.scores[member]
  if not score then return 0 end
  skiplist.remove(zset.order, score, member)
  zset.scores[member] = nil
  zset.size = zset.size - 1
  return 1
end

local function drop_if_empty(conn, key, zset)
  if zset.size == 0 then store.delete(conn.db, key) end
end

local FLAGS = { NX = true, XX = true, CH = true }

-- ZADD's flags, and where its scores begin.
local function flags_of(words)
  local flags, i = {}, 3
  while FLAGS[words[i]:upper()] do
    flags[words[i]:upper()] = true
    i = i + 1
    if not words[i] then break end
  end
  return flags, i
end

-- Scores as doubles, in place; false after the error.
local function parse_scores(conn, words, from, n)
  for i = from, n, 2 do
    words[i] = number.double(words[i])
    if not words[i] then
      reply.error(conn, "ERR value is not a valid float")
      return false
    end
  end
  return true
end

add("ZADD", -4, function(conn, words, n)
  local flags, from = flags_of(words)
  if from > n or (n - from) % 2 == 0 then return reply.syntax(conn) end
  if flags.NX and flags.XX then
    return reply.error(conn, "ERR XX and NX options at the same time are not compatible")
  end
  if not parse_scores(conn, words, from, n) then return end
  local zset, wrong = find(conn, words[2])
  if wrong then return end
  if not zset and flags.XX then return reply.integer(conn, 0) end
  zset = zset or find_or_make(conn, words[2])
  local added, changed = 0, 0
  for i = from, n, 2 do
    local there = zset.scores[words[i + 1]] ~= nil
    if not (flags.NX and there) and not (flags.XX and not there) then
      local new, differs = assign(zset, words[i], words[i + 1])
      added = added + new
      if differs then changed = changed + 1 end
    end
  end
  reply.integer(conn, flags.CH and changed or added)
end)

add("ZREM", -3, function(conn, words, n)
  local zset, wrong = find(conn, words[2])
  if wrong then return end
  local count = 0
  for i = 3, zset and n or 2 do count = count + remove(zset, words[i]) end
  if zset then drop_if_empty(conn, words[2], zset) end
  reply.integer(conn, count)
end)

add("ZCARD", 2, function(conn, key)
  local zset, wrong = find(conn, key)
  if wrong then return end
  reply.integer(conn, zset and zset.size or 0)
end)

add("ZSCORE", 3, function(conn, key, member)
  local zset, wrong = find(conn, key)
  if wrong then return end
  reply.double(conn, zset and zset.scores[member])
end)

-- NODE and those behind it, N in all, with their scores: flat in RESP2, in RESP3 each member and score an array.
local function write_scored(conn, node, n)
  local nested = conn.protocol == 3
  reply.array(conn, nested and n or 2 * n)
  for _ = 1, n do
    if nested then reply.array(conn, 2) end
    reply.bulk(conn, node.member)
    reply.double(conn, node.score)
    node = node[1]
  end
end

local function write_members(conn, node, n)
  local members = {}
  for i = 1, n do members[i], node = node.member, node[1] end
  reply.list(conn, members, n)
end

add("ZPOPMIN", 2, function(conn, key)
  local zset, wrong = find(conn, key)
  if wrong then return end
  if not zset then return reply.array(conn, 0) end
  local node = zset.order[1]
  remove(zset, node.member)
  drop_if_empty(conn, key, zset)
  reply.array(conn, 2)
  reply.bulk(conn, node.member)
  reply.double(conn, node.score)
end)

add("ZPOPMIN", 3, function(conn, key, count)
  count = integer(count)
  if not count or count < 0 then return reply.error(conn, "ERR value is out of range, must be positive") end
  local zset, wrong = find(conn, key)
  if wrong then return end
  local n = zset and math.min(count, zset.size) or 0
  if n == 0 then return reply.array(conn, 0) end
  write_scored(conn, zset.order[1], n)
  for _ = 1, n do remove(zset, zset.order[1].member) end
  drop_if_empty(conn, key, zset)
end)

-- Elements FROM to TO by rank, negative ones from the end.
local function range(conn, key, from, to, scored)
  from, to = integer(from), integer(to)
  if not from or not to then return reply.not_integer(conn) end
  local zset, wrong = find(conn, key)
  if wrong then return end
  local size = zset and zset.size or 0
  if from < 0 then from = math.max(size + from, 0) end
  if to < 0 then to = size + to end
  to = math.min(to, size - 1)
  if from > to then return reply.array(conn, 0) end
  local node = zset.order[1]
  for _ = 1, from do node = node[1] end
  local write = scored and write_scored or write_members
  write(conn, node, to - from + 1)
end

add("ZRANGE", 4, function(conn, key, from, to) range(conn, key, from, to, false) end)

add("ZRANGE", -5, function(conn, words, n)
  if n > 5 or words[5]:upper() ~= "WITHSCORES" then return reply.syntax(conn) end
  range(conn, words[2], words[3], words[4], true)
end)
