--- resp/streams: a stream is { kind, first, last, [first..last] = entries, time, seq }, its last id being time-seq. An
-- entry is an array of fields and values in turn, with its id. Entries are only added, and trimmed from the front.
local ld = require "linedancer"
local commands = require "handlers.resp.commands"
local integer = require("handlers.resp.number").integer
local reply = require "handlers.resp.reply"
local store = require "handlers.resp.store"

local add = commands.add

local function find(conn, key)
  return store.table(conn, key, "stream")
end

-- "12-3" or "12" as two numbers; what is left out is SEQ.
local function parse_id(text, seq)
  local head, tail = text:match "^(%d+)%-?(%d*)$"
  if not head or (text:find("-", 1, true) and tail == "") then return nil end
  local time = integer(head)
  if tail ~= "" then seq = integer(tail) end
  if not time or not seq then return nil end
  return time, seq
end

local function is_after(time, seq, than_time, than_seq)
  if time ~= than_time then return time > than_time end
  return seq > than_seq
end

local function next_id(stream)
  local time = ld.time() * 1000
  if time > stream.time then return time, 0 end
  return stream.time, stream.seq + 1
end

-- XADD's words between key and id: { make, most }, and where the id is; or nil after the error.
local function xadd_options(conn, words, n)
  local options, i = { make = true }, 3
  while i <= n do
    local word = words[i]:upper()
    if word == "NOMKSTREAM" then
      options.make = false
      i = i + 1
    elseif word == "MAXLEN" and words[i + 1] then
      i = i + 1
      if words[i] == "=" or words[i] == "~" then i = i + 1 end
      options.most = words[i] and integer(words[i])
      if not options.most or options.most < 0 then
        reply.not_integer(conn)
        return nil
      end
      i = i + 1
    else
      break
    end
  end
  return options, i
end

local function trim(stream, most)
  while stream.last - stream.first + 1 > most do
    stream[stream.first] = nil
    stream.first = stream.first + 1
  end
end

-- The id of a new entry, or nil after the error.
local function new_id(conn, stream, text)
  if text == "*" then return next_id(stream) end
  local time, seq = parse_id(text, 0)
  if not time then
    reply.error(conn, "ERR Invalid stream ID specified as stream command argument")
    return nil
  end
  if time == 0 and seq == 0 then
    reply.error(conn, "ERR The ID specified in XADD must be greater than 0-0")
    return nil
  end
  if not is_after(time, seq, stream.time, stream.seq) then
    reply.error(conn, "ERR The ID specified in XADD is equal or smaller than the target stream top item")
    return nil
  end
  return time, seq
end

add("XADD", -5, function(conn, words, n)
  local options, at = xadd_options(conn, words, n)
  if not options then return end
  if at + 2 > n or (n - at) % 2 == 1 then return commands.wrong_arity(conn, "xadd") end
  local stream, wrong = find(conn, words[2])
  if wrong then return end
  if not stream and not options.make then return reply.null(conn) end
  local target = stream or { kind = "stream", first = 1, last = 0, time = 0, seq = 0 }
  local time, seq = new_id(conn, target, words[at])
  if not time then return end
  if not stream then store.put(conn.db, words[2], target) end
  local entry = { time = time, seq = seq, unpack(words, at + 1, n) }
  target.last = target.last + 1
  target[target.last], target.time, target.seq = entry, time, seq
  if options.most then trim(target, options.most) end
  reply.bulk(conn, ("%d-%d"):format(time, seq))
end)

add("XLEN", 2, function(conn, key)
  local stream, wrong = find(conn, key)
  if wrong then return end
  reply.integer(conn, stream and stream.last - stream.first + 1 or 0)
end)

local function write_entries(conn, entries)
  reply.array(conn, #entries)
  for _, entry in ipairs(entries) do
    reply.array(conn, 2)
    reply.bulk(conn, ("%d-%d"):format(entry.time, entry.seq))
    reply.list(conn, entry, #entry)
  end
end

-- The first place in the stream whose id is not before TIME-SEQ.
local function lower_bound(stream, time, seq)
  local low, high = stream.first, stream.last + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = stream[middle]
    if is_after(time, seq, entry.time, entry.seq) then low = middle + 1 else high = middle end
  end
  return low
end

local function range(conn, key, from, to, count)
  local from_time, from_seq = 0, 0
  local to_time, to_seq = math.huge, math.huge
  if from ~= "-" then from_time, from_seq = parse_id(from, 0) end
  if to ~= "+" then to_time, to_seq = parse_id(to, math.huge) end
  if not from_time or not to_time then
    return reply.error(conn, "ERR Invalid stream ID specified as stream command argument")
  end
  local stream, wrong = find(conn, key)
  if wrong then return end
  local entries = {}
  local i = stream and lower_bound(stream, from_time, from_seq)
  while i and i <= stream.last and #entries < count do
    local entry = stream[i]
    if is_after(entry.time, entry.seq, to_time, to_seq) then break end
    entries[#entries + 1] = entry
    i = i + 1
  end
  write_entries(conn, entries)
end

add("XRANGE", 4, function(conn, key, from, to) range(conn, key, from, to, math.huge) end)

add("XRANGE", -5, function(conn, words, n)
  if n ~= 6 or words[5]:upper() ~= "COUNT" then return reply.syntax(conn) end
  local count = integer(words[6])
  if not count then return reply.not_integer(conn) end
  range(conn, words[2], words[3], words[4], count)
end)
