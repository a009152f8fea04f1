--- linedancer.wait: waits for the first of several things.
local api = require "linedancer.api"
local await = require "linedancer.await"
local formats = require "linedancer.format"
local mailbox = require "linedancer.mailbox"
local park = require "linedancer.park"

local W, status = api.vm, api.status
local leaf, by_slot = api.struct, api.core.by_slot
local unpack_leaf, forget, now = leaf.unpack, leaf.forget, leaf.now
local OPENS, AGAIN, EOF = api.OPENS, status.AGAIN, status.EOF

local NAMED = { message = "boolean", timeout = "number" }

-- SOURCES without what has a name: formats by connection.
local function formats_of(sources)
  local list = {}
  for key, value in pairs(sources) do
    if type(key) == "table" and key[1] then
      list[key] = formats.of(value)
    elseif NAMED[key] ~= type(value) then
      error("ld.wait takes connections with formats, message = true and timeout = seconds, not "
        .. tostring(key) .. " = " .. tostring(value), 3)
    end
  end
  return list
end

local function check_timeout(seconds)
  if seconds and (seconds ~= seconds or seconds < 0) then
    error("timeout: seconds expected, got " .. tostring(seconds), 3)
  end
end

local function forget_all(reads)
  for conn in pairs(reads) do forget(W, conn[1]) end
end

-- What a read of CONN with FORMAT came to.
local function answer(conn, format, st)
  if st == 0 then return conn, format.values(conn) end
  if st == EOF then return conn, nil end
  await.raise(conn, st, format)
end

-- Record a read for each; or the connection that has its frame already, and the status of its read.
local function record(reads)
  for conn, format in pairs(reads) do
    local st = unpack_leaf(W, conn[1], format.id, OPENS)
    if st ~= AGAIN then return conn, st end
  end
end

--- Wait for the first of SOURCES: { [conn] = format, [other] = format, message = true, timeout = seconds }. Returns
-- what it was: a connection and the values of its frame (nil at its end); or "message", from, message, topic; or
-- "timeout". Messages win ties. The others keep what they have read so far.
---@function ld.wait
---@async
---@param sources table connections with formats, message = true, timeout = seconds
---@return linedancer.Conn|"message"|"timeout" source
---@return any ... what goes with it
---@raise the errors of what is read
return function(sources)
  local self = park.waiting()
  if type(sources) ~= "table" then error("ld.wait takes a table of sources, not a " .. type(sources), 2) end
  local reads = formats_of(sources)
  check_timeout(sources.timeout)
  local box = sources.message and mailbox.box_of(self)
  local till = sources.timeout and tonumber(now(W)) + sources.timeout
  while true do
    if box and box.first <= box.last then return "message", mailbox.take(box) end
    local ready, st = record(reads)
    if ready then
      local format = reads[ready]
      reads[ready] = nil
      forget_all(reads)
      return answer(ready, format, st)
    end
    local left = till and till - tonumber(now(W))
    if left and left <= 0 then
      forget_all(reads)
      return "timeout"
    end
    local source
    if box then box.receiving = true end
    source, st = park.suspend(self, left)
    if box then box.receiving = false end
    forget_all(reads)
    if source ~= 0 then
      local conn = by_slot[source % 2 ^ 24 + 1]
      return answer(conn, reads[conn], st)
    end
    if st ~= 0 then await.raise(self, st) end
  end
end
