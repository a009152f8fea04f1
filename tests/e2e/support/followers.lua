--- A channel, those who follow it, and who publishes in it. Lines:
--
--   follow                     follow the channel: from now on its blobs come
--   leave                      follow it no more; answered by "left"
--   publish FIRST COUNT SIZE   publish blobs FIRST, FIRST + 1 ... of SIZE bytes, a multiple of 8; each 10th is marked;
--                              answered by "done"
--
-- A blob is a number of 8 digits, and its size in 8, and again and again its number.
local ld = require "linedancer"

local BYTES = 2 ^ 17 -- of the log
local states, orders = {}, {}

local function wall() return ld.channel("wall", { bytes = BYTES }) end

function orders.follow(conn) conn:follow(wall(), { policy = "skip" }) end

function orders.leave(conn)
  conn:unfollow()
  return "left"
end

function orders.publish(_, first, count, size)
  for n = tonumber(first), first + count - 1 do
    wall():publish(("%08d%08d"):format(n, size) .. ("%08d"):format(n):rep(size / 8 - 2), n % 10 == 0)
  end
  return "done"
end

function states.line(conn)
  local line = conn:read_line()
  if not line then return end
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  local answer = orders[words[1]](conn, unpack(words, 2))
  if answer then conn:write(answer, "\n") end
  return "line"
end

return { initial = "line", states = states, timeouts = { 600 } }
