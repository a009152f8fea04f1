--- rtmp/flv_tail: where the last whole tag of an FLV file ends, which a crash of the system may have torn.
local flv = require "handlers.rtmp.flv"

local M = {}

local HEADER = #flv.header()
local BLOCK = 2 ^ 16
local WINDOW = 2 ^ 25 -- bytes from the end in which a whole tag must be: more than is written at once
local TAG_MAX = 11 + 2 ^ 24 - 1
local CHAIN = 3       -- tags that follow each other are no chance
local KINDS = { [8] = true, [9] = true, [18] = true }

local function number(text, at, n)
  local value = 0
  for i = at, at + n - 1 do value = value * 256 + (text:byte(i) or 0) end
  return value
end

-- A function that returns the number in the four bytes before an offset, by READ(offset, size), in blocks.
local function sizes(read)
  local block, from = "", 0
  return function(at)
    if at - 4 < from or at > from + #block then
      from = math.max(0, at - BLOCK)
      block = read(from, BLOCK)
    end
    return number(block, at - 4 - from + 1, 4)
  end
end

-- Where the tag begins that ends at AT, its size, of SIZE_BEFORE(at), included, and its time; nil when there is none.
local function tag_before(size_before, read, at)
  local size = size_before(at)
  local from = at - 4 - size
  if size < 11 or size > TAG_MAX or from < HEADER then return nil end
  local head = read(from, 11)
  if not KINDS[head:byte(1)] or number(head, 2, 3) + 11 ~= size or number(head, 9, 3) ~= 0 then return nil end
  return from, number(head, 8, 1) * 2 ^ 24 + number(head, 5, 3)
end

-- The time of the tags that end at AT, the latest of a few; nil unless all of them are tags.
local function time_before(size_before, read, at)
  local latest
  for _ = 1, CHAIN do
    if at == HEADER then break end
    local from, time = tag_before(size_before, read, at)
    if not from then return nil end
    latest = math.max(latest or 0, time)
    at = from
  end
  return latest
end

--- Where the last whole tag ends in a file of SIZE bytes that READ(offset, size) reads, and the time of that tag, nil
-- without one. Nil and a reason when that is no FLV file.
function M.find_end(read, size)
  local begin, whole = read(0, HEADER), flv.header()
  if size < HEADER then
    if begin:sub(1, 4) == whole:sub(1, size):sub(1, 4) then return 0 end
    return nil, "it is not an FLV file"
  end
  if begin:sub(1, 4) ~= whole:sub(1, 4) or begin:sub(6) ~= whole:sub(6) then return nil, "it is not an FLV file" end
  local size_before = sizes(read)
  for at = size, math.max(HEADER + 1, size - WINDOW), -1 do
    local time = time_before(size_before, read, at)
    if time then return at, time end
  end
  if size > HEADER + WINDOW then return nil, "no whole tag is near its end" end
  return HEADER
end

return M
