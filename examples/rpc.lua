-- build/linedancer run --listen 127.0.0.1:7015 --handler examples/rpc.lua
-- printf '\0\0\0\1\5sleep\0\0\0\0030.2\0\0\0\2\4echo\0\0\0\2hi' | nc -N 127.0.0.1 7015 | od -An -c
--
-- Many requests in flight on one connection: each is a task, and is answered when it is done, in whatever order.
--
--   request     id:u32 method:s1 params:s4       big-endian; cancel, with the id of one in flight, ends that one
--   response    id:u32 status:u8 result:s4       one for each request; 0 done, 1 failed, 2 busy, 3 cancelled
--
--   open --> request --> request ...     until the peer ends its side; what is in flight is answered first
local ld = require "linedancer"

local REQUEST, RESPONSE = ld.format ">I4 s1{20} s4{65536}", ld.format ">I4 B s4"
local DONE, FAILED, BUSY, CANCELLED = 0, 1, 2, 3

local states, methods = {}, {}

function methods.echo(params) return params end

function methods.sleep(params)
  ld.sleep(tonumber(params) or error("not a number of seconds", 0))
  return "slept"
end

-- ID, which is in flight, gets its answer.
local function answer(conn, id, status, result)
  conn.tasks[id], conn.free = nil, conn.free + 1
  conn:pack(RESPONSE, id, status, result)
end

local function perform(conn, id, method, params)
  if not methods[method] then return answer(conn, id, FAILED, "no method " .. method) end
  local ok, result = pcall(methods[method], params)
  answer(conn, id, ok and DONE or FAILED, tostring(result))
end

local function cancel(conn, id)
  if not conn.tasks[id] then return end -- it has been answered
  conn.tasks[id]:cancel()
  answer(conn, id, CANCELLED, "")
end

function states.open(conn)
  conn.tasks, conn.free = {}, conn.options.in_flight
  return "request"
end

function states.request(conn)
  local id, method, params = conn:unpack(REQUEST)
  if not id then return conn:join() end
  if method == "cancel" then cancel(conn, id)
  elseif conn.tasks[id] then conn:fail("two requests " .. id)
  elseif conn.free == 0 then conn:pack(RESPONSE, id, BUSY, "")
  else conn.tasks[id], conn.free = conn:spawn(perform, conn, id, method, params), conn.free - 1 end
  return "request"
end

return { initial = "open", states = states, options = { in_flight = 100 }, timeouts = { { idle = 60 } } }
