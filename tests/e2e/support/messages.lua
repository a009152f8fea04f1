--- Connections that send each other numbered messages, and count them. Lines to the gateway, each answered by one:
--
--   who                          its id
--   send ID COUNT SIZE WINDOW    send COUNT messages with SIZE bytes; at most WINDOW (0: any number) of them are on
--                                their way: the receiver acknowledges. Answers how many were refused at once
--   deaf, hear                   leave what comes in the mailbox; take it again
--   report                       of what came: COUNT, and MISSING (0: in order, without a gap), per sender in order of
--                                appearance; UNDELIVERED and of them GONE, of what was sent
local ld = require "linedancer"

local BIG, EVERY = ("big"):rep(50000), 1000 -- longer than a datagram between workers; one in so many
local states, orders = {}, {}

local function note(conn)
  local mine = conn.mine
  if not mine then
    mine = { order = {}, acked = 0, undelivered = 0, gone = 0 }
    conn.mine = mine
  end
  return mine
end

local function message_of(n, text, window)
  return { n = n, text = n % EVERY == 0 and BIG or text, ack = window > 1 and n % math.floor(window / 2) == 0 or nil }
end

-- Wait until fewer than WINDOW of SENT messages are on their way.
local function hold_back(mine, sent, window)
  while window > 0 and sent - mine.acked >= window do
    local _, message = ld.receive()
    if message.acked then mine.acked = message.acked else mine.undelivered = mine.undelivered + 1 end
  end
end

function orders.send(conn, id, count, size, window)
  local mine, refused, text = note(conn), 0, ("x"):rep(tonumber(size))
  count, window, mine.acked = tonumber(count), tonumber(window), 0
  for n = 1, count do
    hold_back(mine, n - 1, window)
    if not ld.send(id, message_of(n, text, window)) then refused = refused + 1 end
  end
  return refused
end

function orders.who() return ld.self() end

function orders.report(conn)
  local mine, parts = note(conn), {}
  for _, from in ipairs(mine.order) do
    parts[#parts + 1] = from.count .. " " .. from.missing
  end
  return ("%d %d %s"):format(mine.undelivered, mine.gone, table.concat(parts, " "))
end

function states.line(conn)
  local line = conn:read_line()
  if not line then return end
  if line == "deaf" then
    conn:write "deaf\n"
    return "deaf"
  end
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  conn:write(tostring(orders[words[1]](conn, unpack(words, 2))), "\n")
  return "line"
end

function states.deaf(conn)
  if not conn:read_line() then return end
  conn:write "hear\n"
  return "line"
end

local function heard(conn, from, message)
  local mine = note(conn)
  if message.undelivered then
    mine.undelivered = mine.undelivered + 1
    if message.why == "gone" then mine.gone = mine.gone + 1 end
    return
  elseif message.acked then
    return
  end
  local sender = mine[from]
  if not sender then
    sender = { count = 0, last = 0, missing = 0 }
    mine[from], mine.order[#mine.order + 1] = sender, sender
  end
  if message.n <= sender.last then conn:fail(("%d came after %d"):format(message.n, sender.last)) end
  if message.n % EVERY == 0 and message.text ~= BIG then conn:fail "a big message is not what was sent" end
  sender.count, sender.missing = sender.count + 1, sender.missing + message.n - sender.last - 1
  sender.last = message.n
  if message.ack then ld.send(from, { acked = message.n }) end
end

return {
  initial = "line", states = states, timeouts = { 600 },
  on_message = { line = heard },
}
