--- resp/request: reads the words of one command.
--
--   *2 CRLF $3 CRLF GET CRLF $1 CRLF k CRLF      an array of bulks; *0 and *-1 are nothing
--   GET "k\x01" CRLF                             inline, as a person types it; "" is nothing
--
-- Up to FEW words come as one frame, more by groups of MANY and singly, each with its largest bulk's size bounded
-- before the bytes are awaited. A frame that fails has consumed nothing: it is read again, word by word, to be
-- answered as Redis words it; so is one that is only larger than limits.frame, of which every word is a frame then.
local M = { FEW = 4 }

local FEW, MANY = M.FEW, 8
local LINE_MAX = 65536
local LINE = "y{" .. LINE_MAX .. "}"

M.LINE, M.LINE_MAX = LINE, LINE_MAX

local frames = {}

--- Formats of one to FEW bulks, the second a slice, and of three the third as well, and of MANY, of at most MAX bytes.
function M.frames(max)
  local known = frames[max]
  if known then return known end
  local text, between = ('sD"\r\n"{%d}'):format(max), ' "\r\n$" '
  known = {}
  for n = 1, MANY do
    local parts = {}
    for i = 1, n do
      local slice = i == 2 and n <= FEW or i == 3 and n == 3
      parts[i] = (slice and "&" or "") .. text
    end
    known[n] = '"$"' .. table.concat(parts, between) .. ' "\r\n"'
  end
  frames[max] = known
  return known
end

--- Answer a protocol error, the last thing that conn hears.
function M.refuse(conn, text)
  conn:write("-ERR Protocol error: " .. text .. "\r\n")
  conn:fail("protocol error: " .. text)
end

local refuse = M.refuse

--- How many words the line HEAD, which begins with *, announces.
function M.count(conn, head)
  local digits = head:match "^%*(-?%d+)$"
  local n = digits and #digits <= 10 and tonumber(digits)
  if not n or n > conn.options.max_words then refuse(conn, "invalid multibulk length") end
  return n
end

local function hold(conn, words, size)
  words.size = (words.size or 0) + size
  if words.size > conn.options.max_request then refuse(conn, "too big request") end
end

--- Word I of a command, by itself. WORDS counts the bytes of those before.
function M.word(conn, words, i)
  local line = conn:expect(LINE)
  local digits = line:match "^%$(%d+)$"
  if line:sub(1, 1) ~= "$" then refuse(conn, ("expected '$', got '%s'"):format(line:sub(1, 1))) end
  local size = digits and #digits <= 10 and tonumber(digits)
  if not size or size > conn.options.max_bulk then refuse(conn, "invalid bulk length") end
  hold(conn, words, size)
  words[i] = conn:expect(size)
  if conn:expect(2) ~= "\r\n" then refuse(conn, "bulk is longer than its length") end
end

-- MANY words from I + 1 on.
local function group(conn, words, i)
  local a, b, c, d, e, f, g, h = conn:expect(conn.frames[MANY])
  words[i + 1], words[i + 2], words[i + 3], words[i + 4] = a, b, c, d
  words[i + 5], words[i + 6], words[i + 7], words[i + 8] = e, f, g, h
  hold(conn, words, #a + #b + #c + #d + #e + #f + #g + #h)
end

--- The words of a command of N, more than FEW. conn.words is where on_error finds those that are read.
function M.many(conn, n)
  local words, i = {}, 0
  conn.words = words
  while i + MANY <= n do
    group(conn, words, i)
    i = i + MANY
  end
  while i < n do
    i = i + 1
    words[i] = conn:expect(conn.frames[1])
    hold(conn, words, #words[i])
  end
  conn.words = false
  return words
end

local ESCAPES = { n = "\n", r = "\r", t = "\t", b = "\b", a = "\a" }

-- The escape that follows the backslash at AT: its byte, and how long it is with the backslash.
local function escape(line, at)
  local hex = line:match("^x(%x%x)", at + 1)
  if hex then return string.char(tonumber(hex, 16)), 4 end
  local c = line:sub(at + 1, at + 1)
  return ESCAPES[c] or c, 2
end

-- The quoted part that opens at AT: its text and where it ends, or nil. A space or the line's end must follow it.
local function quoted(line, at)
  local quote, out = line:sub(at, at), {}
  at = at + 1
  while true do
    local c = line:sub(at, at)
    if c == "" then return nil end
    local size = 1
    if c == quote then
      if line:find("^%S", at + 1) then return nil end
      return table.concat(out), at
    elseif c == "\\" and quote == '"' then
      c, size = escape(line, at)
    elseif c == "\\" and line:sub(at + 1, at + 1) == "'" then
      c, size = "'", 2
    end
    out[#out + 1] = c
    at = at + size
  end
end

-- The word that begins at AT, and the place behind it; nil when a quote is left open.
local function inline_word(line, at)
  local plain, stop = line:match("^([^%s\"']*)()", at)
  if not line:find("^[\"']", stop) then return plain, stop end
  local text, close = quoted(line, stop)
  if not text then return nil end
  return plain .. text, close + 1
end

--- The words of an inline command, or nil when a quote is left open.
function M.split(line)
  local words = {}
  local at = line:find "%S"
  while at do
    local word, stop = inline_word(line, at)
    if not word then return nil end
    words[#words + 1] = word
    at = line:find("%S", stop)
  end
  return words
end

return M
