--- The part of the soak's handler about connections to others: its own listeners, which do as they are told too.
local ld = require "linedancer"

local M = { ops = {} }

local facts = ld.keep "soak facts"

local function address(conn, a)
  local kind = a % 8
  if kind == 0 then return "127.0.0.1:1" end
  if kind == 1 then return "unix:/nowhere/at/all" end
  if kind < 5 or not facts.tcp then return "unix:" .. conn.options.unix end
  if kind == 5 then return (facts.tcp:gsub("127.0.0.1", "localhost")) end
  return facts.tcp
end

local function connect(conn, a, b)
  return ld.connect(address(conn, a), {
    timeout = b % 16 == 0 and 0.001 or 1, pool = a % 3 == 0 and { size = 4, idle = 0.2 } or nil,
  })
end

-- Have the other end do something: less each time, or connections might lead to connections forever.
local function order(up, a, b)
  up:pack(">B B B", math.floor(b / 2), math.floor(a / 2), math.floor(b / 4))
end

local function talk(up, a, b)
  order(up, a, b)
  up:read(b % 8 + 1)
end

-- Connect, and leave it to end with CONN.
function M.ops.connect(conn, a, b)
  local up = connect(conn, a, b)
  if up then order(up, a, b) end
end

function M.ops.connect_talk(conn, a, b)
  local up = connect(conn, a, b)
  if not up then return end
  pcall(talk, up, a, b)
  if a % 3 == 0 then
    up:release()
  elseif b % 2 == 0 then
    up:close()
  end
end

function M.ops.connect_task(conn, a, b)
  conn:spawn(M.ops.connect_talk, conn, a, b)
end

function M.ops.both(conn, a, b)
  local up = connect(conn, a, b)
  if up then return ld.wait { [conn] = "B", [up] = "s1", message = true, timeout = b / 5000 } end
end

function M.ops.relay(conn, a, b)
  local up = connect(conn, a, b)
  if not up then return end
  if b % 2 == 0 then conn:relay(up, a * 64) else up:relay(conn, a) end
end

function M.ops.pipe(conn, a, b)
  local up = connect(conn, a, b)
  if not up then return end
  if b % 4 == 0 then conn:timer("t0", 0.02, 1) end
  conn:pipe(up)
end

return M
