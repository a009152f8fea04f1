--- resp/reply: writes replies, in RESP2 or, where conn.protocol is 3, in the types of RESP3.
--
--   +OK  -ERR text  :7  $3 abc  *2 ...        both; a line each, a bulk's bytes on a line of their own
--   $-1 or *-1   _       nothing there
--   *2n          %n      a map
--   *n           ~n      a set
--   $3 1.5       ,1.5    a double
local number = require "handlers.resp.number"

local BULK = '"$" sD"\r\n" "\r\n"'
local EIGHT = BULK:rep(8, " ")
local INTEGER = '":" D"\r\n"'
local ARRAY, MAP, SET = '"*" D"\r\n"', '"%" D"\r\n"', '"~" D"\r\n"'
local HELD_MAX = 2 ^ 16 -- bytes of one reply that are queued before its reader has to take some

local M = {}

function M.ok(conn)
  conn:write "+OK\r\n"
end

--- TEXT begins with its code: "ERR no such thing". It becomes one line.
function M.error(conn, text)
  conn:write("-" .. text:gsub("[\r\n]", " ") .. "\r\n")
end

function M.wrong_type(conn)
  conn:write "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n"
end

function M.not_integer(conn)
  conn:write "-ERR value is not an integer or out of range\r\n"
end

function M.overflow(conn)
  conn:write "-ERR increment or decrement would overflow\r\n"
end

function M.syntax(conn)
  conn:write "-ERR syntax error\r\n"
end

function M.integer(conn, n)
  conn:pack(INTEGER, n)
end

--- X is a string or, as INCR leaves it, an integer.
function M.bulk(conn, x)
  if type(x) == "number" then x = ("%d"):format(x) end
  conn:pack(BULK, x)
end

function M.null(conn)
  conn:write(conn.protocol == 3 and "_\r\n" or "$-1\r\n")
end

function M.null_array(conn)
  conn:write(conn.protocol == 3 and "_\r\n" or "*-1\r\n")
end

--- The double X; null for nil.
function M.double(conn, x)
  if not x then return M.null(conn) end
  if conn.protocol ~= 3 then return M.bulk(conn, number.text(x)) end
  conn:write("," .. number.text(x) .. "\r\n")
end

--- The head of an array of N replies, which are to follow.
function M.array(conn, n)
  conn:pack(ARRAY, n)
end

--- The head of a map of N pairs.
function M.map(conn, n)
  if conn.protocol == 3 then conn:pack(MAP, n) else conn:pack(ARRAY, 2 * n) end
end

--- The head of a set of N replies.
function M.set(conn, n)
  conn:pack(conn.protocol == 3 and SET or ARRAY, n)
end

-- Let the reader take what it has been sent before more than HELD_MAX bytes are queued.
local function hold(conn, held)
  if held < HELD_MAX then return held end
  conn:flush()
  return 0
end

--- Items 1 to N, strings, as bulks. The reader may be waited for meanwhile, so ITEMS must be the caller's own.
function M.bulks(conn, items, n)
  local held, i = 0, 1
  while i + 7 <= n do
    local a, b, c, d = items[i], items[i + 1], items[i + 2], items[i + 3]
    local e, f, g, h = items[i + 4], items[i + 5], items[i + 6], items[i + 7]
    local size = #a + #b + #c + #d + #e + #f + #g + #h
    if size > HELD_MAX then break end
    conn:pack(EIGHT, a, b, c, d, e, f, g, h)
    held = hold(conn, held + size + 128)
    i = i + 8
  end
  for at = i, n do
    local item = items[at]
    conn:pack(BULK, item)
    held = hold(conn, held + #item + 16)
  end
end

--- An array of values 1 to N: a string or integer is a bulk, false is null. They may be waited for, as in bulks().
function M.values(conn, values, n)
  local held = 0
  M.array(conn, n)
  for i = 1, n do
    local value = values[i]
    if value then M.bulk(conn, value) else M.null(conn) end
    held = hold(conn, held + (type(value) == "string" and #value or 0) + 16)
  end
end

--- An array of items 1 to N, as bulks() writes them.
function M.list(conn, items, n)
  M.array(conn, n)
  M.bulks(conn, items, n)
end

return M
