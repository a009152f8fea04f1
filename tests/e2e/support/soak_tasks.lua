--- The part of the soak's handler about tasks.
local ld = require "linedancer"

local M = { ops = {} }

local CHUNK = ("task"):rep(4096)
local kinds = {}

function kinds.sleeper(conn, b)
  ld.sleep(b / 2000)
  conn:write "slept"
end

function kinds.failing() error "as told" end
function kinds.listener(_, b) ld.receive(b / 5000) end

function kinds.parent(conn, b)
  local child = conn:spawn(kinds.sleeper, conn, b)
  child:join()
end

function kinds.orphan(conn, b)
  ld.spawn(kinds.sleeper, conn, b)
end

function kinds.reader(conn)
  conn:unpack "s1" -- busy, or it takes a frame away
end

function kinds.writer(conn, b)
  if conn.unsent < 2 ^ 19 then conn:write(CHUNK:sub(1, b * 64)) end
  conn:flush()
end

function kinds.caller(_, b)
  local id = ld.whereis("n" .. b % 64)
  if id then ld.call(id, { question = b }, b / 1000) end
end

function kinds.named(_, b)
  ld.register("n" .. b % 64, { take = true })
  ld.receive(b / 2000)
end

local names = {}
for name in pairs(kinds) do names[#names + 1] = name end
table.sort(names)

local function kind(a) return kinds[names[a % #names + 1]] end

function M.ops.spawn(conn, a, b) conn.last_task = conn:spawn(kind(a), conn, b) end
function M.ops.spawn_free(conn, a, b) ld.spawn(kind(a), conn, b) end
function M.ops.join(conn) conn:join() end

function M.ops.cancel(conn)
  if conn.last_task then conn.last_task:cancel() end
end

function M.ops.message_task(conn, a)
  if conn.last_task then ld.send(conn.last_task, { a }) end
end

function M.ops.every(conn, a, b)
  local times, task = 0, nil
  task = ld.every(0.001 * (a % 16 + 1), function()
    times = times + 1
    if b % 4 == 0 then conn:write "." end
    if times > b % 8 then task:cancel() end
  end)
end

return M
