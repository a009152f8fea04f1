--- A handler that does all that a connection can do, as its client says, three bytes at a time: any bytes will do.
--
-- A frame is >B B B: which of `ops`, and two numbers for it. Ops wait, fail, end their own connection or another, and
-- leave things behind that are released with their owner.
--
--   unix     the path of a unix listener of this handler, to connect to
local ld = require "linedancer"
local outward = require "soak_outward"
local tasks = require "soak_tasks"

local members = ld.keep "soak" -- those who are there now, in an array
local states, ops = {}, {}

local TOPICS, CHANNELS, NAMES = 8, 4, 64
local BIG = ("0123456789abcdef"):rep(4096)

local function member(a, b)
  return members[(a * 256 + b) % math.max(#members, 1) + 1]
end

local function id_of(a)
  return ld.whereis("n" .. a % NAMES)
end

local function topic_of(a, b)
  return ("t/%d/%d"):format(a % TOPICS, b % TOPICS)
end

local function pattern_of(a, b)
  if b % 4 == 0 then return "t/+/" .. a % TOPICS end
  if b % 16 == 1 then return "t/#" end
  return topic_of(a, b)
end

local function channel_of(a)
  return ld.channel("c" .. a % CHANNELS, { bytes = 100000, items = 100, merge = a % CHANNELS == 0 and 0.01 or 0 })
end

local function message_of(a, b)
  local kind = a % 8
  if kind == 0 then return { kick = true } end
  if kind == 1 then return { move = b } end
  if kind == 2 then return { blob = ld.blob(BIG:sub(1, b * 64)) } end
  if kind == 3 then return { later = true } end
  if kind == 4 and b < 16 then return { boom = true } end
  return { number = a, deep = { deeper = { b, "x" } }, text = BIG:sub(1, b * 16) }
end

-- Messages, names, topics, channels.

function ops.send(_, a, b)
  local id = id_of(a)
  if id then ld.send(id, message_of(b, a)) end
end

function ops.send_here(_, a, b)
  local to = member(a, b)
  if to then ld.send(to, message_of(b, a), "topic") end
end

function ops.call(_, a, b)
  local id = id_of(a)
  if id then ld.call(id, { question = b }, 0.001 * b) end
end

function ops.watch(_, a, b)
  local id = b % 2 == 0 and id_of(a) or member(a, b)
  if id then ld.watch(id) end
end

function ops.unwatch(_, a, b)
  local id = b % 2 == 0 and id_of(a) or member(a, b)
  if id then ld.unwatch(id) end
end

function ops.register(_, a, b) ld.register("n" .. a % NAMES, { take = b % 2 == 0 }) end
function ops.unregister(_, a) ld.unregister("n" .. a % NAMES) end
function ops.subscribe(conn, a, b) conn:subscribe(pattern_of(a, b)) end
function ops.publish(_, a, b) ld.publish(topic_of(a, b), message_of(b, a)) end

function ops.unsubscribe(conn, a, b)
  if b < 64 then conn:unsubscribe() else conn:unsubscribe(pattern_of(a, b)) end
end

function ops.follow(conn, a, b)
  conn:follow(channel_of(a), { lag = b % 2 == 0 and b * 100 or nil, policy = ({ "skip", "drop", "close" })[b % 3 + 1] })
end

function ops.unfollow(conn) conn:unfollow() end
function ops.blob(_, a, b) channel_of(a):publish(BIG:sub(1, b * 32 + 1), b % 5 == 0) end

function ops.preamble(_, a, b)
  if b % 4 == 0 then channel_of(a):close() else channel_of(a):preamble(BIG:sub(1, b)) end
end

-- Time.

function ops.timer(conn, a, b) conn:timer("t" .. a % 3, a < 200 and b / 1000 or nil, b) end
function ops.receive(_, _, b) ld.receive(b / 10000) end
function ops.sleep(_, _, b) ld.sleep(b / 10000) end

function ops.wait(conn, a, b)
  return ld.wait { [conn] = a % 2 == 0 and "B" or "s1", message = a % 3 == 0, timeout = b / 10000 }
end

-- Reading and writing.

function ops.much(conn, _, b)
  if conn.unsent < 2 ^ 19 then conn:write(BIG:sub(1, b * 200)) end
end

function ops.flush(conn) conn:flush() end

function ops.slice(conn, a, b)
  local slice = conn:slice(b % 16)
  conn:write(slice)
  local to = member(b, a)
  if to then ld.send(to, { blob = slice:keep() }) end
end

function ops.into(conn, a, b)
  local buffer = conn:read_into(ld.buffer(), b < 250 and b % 32 or a * 64)
  if a % 3 > 0 then conn:write(buffer) end
  if a % 3 == 1 then channel_of(b):publish(buffer) end
end

function ops.body(conn, a, b)
  for piece in conn:body(b < 250 and a % 32 or a * b) do conn:write(piece) end
end

function ops.skip(conn, a, b) conn:skip(b < 250 and a % 32 or a * b) end
function ops.peek(conn, a) conn:peek(a % 8 == 0 and "s1" or 10) end
function ops.try(conn, a) conn:try(a % 2 == 0 and "s1" or ">s4") end

-- Ends.

function ops.quick() return "quick" end

function ops.done(_, _, b)
  if b < 80 then return "end" end
end

function ops.half(conn, _, b)
  if b < 80 then conn:shutdown() end
end

function ops.fail(conn, a, b)
  if b > 80 then return end
  if a % 4 == 0 then conn:fail "as told" end
  if a % 4 == 1 then error("as told") end
  if a % 4 == 2 then return "nowhere" end
  conn:unpack ">'never'"
end

function ops.kill(_, a, b)
  local other = member(a, b)
  if not other then return end
  if b % 3 == 0 then
    other:write "last words\n"
    other:close "killed"
  elseif b % 3 == 1 then
    other:reset()
  else
    ld.send(other, { kick = true })
  end
end

local list = {}
for _, more in ipairs { ops, tasks.ops, outward.ops } do
  for name, op in pairs(more) do list[#list + 1] = { name, op } end
end
table.sort(list, function(x, y) return x[1] < y[1] end)

local facts = ld.keep "soak facts" -- joined: how many came; tcp: where

local function join(conn)
  members[#members + 1], conn.place = conn, #members + 1
  facts.joined = (facts.joined or 0) + 1
  facts.tcp = facts.tcp or conn.local_address:match "^127.*"
end

local function leave(conn)
  if not conn.place then return end
  local last = table.remove(members)
  if last ~= conn then members[conn.place], last.place = last, conn.place end
end

function states.frame(conn)
  if not conn.place then join(conn) end
  local which, a, b = conn:unpack ">B B B"
  if not which then return end
  local result = list[which % #list + 1][2](conn, a, b)
  if result == "end" then return end
  if result == "quick" or result == "nowhere" then return result end
  return "frame"
end

function states.quick(conn)
  conn:read(1000)
  return "frame"
end

local function on_message(conn, from, message, topic)
  if topic then conn:write(topic) end
  if message.question then
    if message.question % 3 == 0 then ld.reply(from, message) end
    if message.question % 3 == 1 then conn:timer("answer", message.question / 10000, from) end
  elseif message.kick then
    conn:write "last words\n"
    conn:close "kicked"
  elseif message.later and conn.state == "frame" then
    return ld.postpone
  elseif message.move then
    return message.move % 2 == 0 and "quick" or "frame"
  elseif message.boom then
    error "as told"
  elseif message.blob then
    conn:write(message.blob)
  end
end

local function on_timer(conn, name, value)
  if name == "answer" then
    ld.reply(value, "late")
  elseif value > 250 then
    return "quick"
  else
    conn:write(name)
  end
end

return {
  initial = "frame", states = states,
  options = { unix = "" },
  timeouts = { 30, quick = { idle = 0.02, total = 0.1 }, frame = { idle = 1, total = 5 } },
  limits = { frame = 2 ^ 18, output = 2 ^ 20, mailbox = 50, linger = 0.2 },
  on_message = on_message, on_timer = on_timer, on_close = leave,
  on_error = function(conn, err)
    if err.code == "timeout" and conn.state == "quick" then return "frame" end
    if err.code == "error" and conn.place and conn.place % 2 == 0 then return "frame" end
  end,
}
