--- Connections that are nudged while they are in the middle of a frame; each first says how it reads, and its name.
--
--   to the gateway     HOW NAME LF         HOW: frame expect body buffer slice line
--                      >s2 ...             frames, for line: lines; each is answered as ('F', its bytes)
--   from the gateway   >B s2 ...           'F' a frame, 'M' a message, 'T' a timer, 'K' last words: tag, bytes
--
-- A control connection (HOW is "control", no NAME) sends lines and gets the answer ('=', "done" or what is wrong):
--
--   send NAME TEXT     send it a message, which it passes on
--   arm NAME MS TEXT   have it set its named timer, which says TEXT and when it was due, by the monotonic clock
--   stop NAME TEXT     send it a message upon which it says TEXT and closes
--   close NAME TEXT    write TEXT to it and close it, from here
--   find NAME          answer with its id, when it is known
--   quiet              just answer
local ld = require "linedancer"

local members = ld.keep("halfread") -- of this worker, by name
local states, read, orders = {}, {}, {}

local function say(conn, tag, text)
  conn:pack(">c1 s2", tag, text)
end

function states.hello(conn)
  local line = conn:read_line()
  if not line then return end
  local how, name = line:match "^(%S+) ?(%S*)$"
  if how == "control" then return "control" end
  conn.name = name
  members[name] = conn
  ld.register(name, { take = true })
  say(conn, "=", ld.self())
  return how
end

function read.frame(conn)
  return conn:unpack ">s2"
end

function read.expect(conn)
  local size = conn:unpack ">I2"
  return size and conn:expect(size)
end

function read.body(conn)
  local size = conn:unpack ">I2"
  if not size then return end
  local parts = {}
  for slice in conn:body(size) do parts[#parts + 1] = tostring(slice) end
  return table.concat(parts)
end

function read.buffer(conn)
  local size = conn:unpack ">I2"
  return size and tostring(conn:read_into(ld.buffer(), size))
end

function read.slice(conn)
  local size = conn:unpack ">I2"
  return size and tostring(conn:slice(size))
end

function read.line(conn)
  return conn:read_line()
end

for how, reader in pairs(read) do
  states[how] = function(conn)
    local bytes = reader(conn)
    if not bytes then return end
    say(conn, "F", bytes)
    return how
  end
end

function orders.send(id, _, text) return ld.send(id, { tag = "M", text = text }) end

function orders.arm(id, _, text)
  local ms, rest = text:match "^(%d+) (.*)$"
  return ld.send(id, { arm = tonumber(ms), text = rest })
end

function orders.stop(id, _, text) return ld.send(id, { tag = "K", text = text, stop = true }) end

function orders.close(_, name, text)
  local conn = members[name]
  if not conn then return nil, "elsewhere" end
  say(conn, "K", text)
  conn:close "kicked"
  return true
end

function orders.find(id) return id ~= nil, id end
function orders.quiet() return true end

function states.control(conn)
  local line = conn:read_line()
  if not line then return end
  local order, name, text = line:match "^(%S+) ?(%S*) ?(.*)$"
  local id = ld.whereis(name ~= "" and name or "?")
  local ok, why = nil, "gone"
  if id or order == "quiet" then ok, why = orders[order](id, name, text) end
  say(conn, "=", why or ok and "done")
  return "control"
end

local function on_message(conn, _, message)
  if message.arm then
    local seconds = message.arm / 1000
    return conn:timer("nudge", seconds, ("%s %.6f"):format(message.text, ld.now() + seconds))
  end
  say(conn, message.tag, message.text)
  if message.stop then conn:close "kicked" end
end

return {
  initial = "hello", states = states, timeouts = { 600 }, limits = { linger = 1 },
  on_message = on_message,
  on_timer = function(conn, _, text) say(conn, "T", text) end,
  on_close = function(conn)
    if members[conn.name or false] == conn then members[conn.name] = nil end
  end,
}
