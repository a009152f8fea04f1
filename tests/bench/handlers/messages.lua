--- messages: round trips between a connection and a task that echoes, told by its client how many.
--
--   send N LF, call N LF --> SECONDS LF
--
--   order --> order ...
--
-- The task is the other worker's when there are two, else this worker's: each worker has one for either kind, under its
-- slot's name. Both of a trip's messages are numbers, as in peers/messages.erl.
local ld = require "linedancer"

local LINE_MAX, PATIENCE, LOOK_AGAIN = 40, 5, 0.01
local TWO = os.getenv "BENCH_WORKERS" == "2"

local states, trips = {}, {}
local answers = { send = ld.send, call = ld.reply }

local function echo(style, slot)
  local answer = answers[style]
  assert(ld.register(style .. slot))
  while true do
    local from, message = ld.receive()
    answer(from, message)
  end
end

local function slot_of(id)
  return tonumber(id:match "^%d+")
end

-- Other workers may still be starting, so a missing task is waited for.
local function find(name, seconds)
  local until_then = ld.now() + seconds
  local id = ld.whereis(name)
  while not id and ld.now() < until_then do
    ld.sleep(LOOK_AGAIN)
    id = ld.whereis(name)
  end
  return id
end

function trips.send(id, n)
  for i = n, 1, -1 do
    assert(ld.send(id, i))
    local _, message = ld.receive(PATIENCE)
    assert(message == i)
  end
end

function trips.call(id, n)
  for i = n, 1, -1 do
    assert(assert(ld.call(id, i, PATIENCE)) == i)
  end
end

function states.order(conn)
  local line = conn:read_line(LINE_MAX)
  if not line then return end
  local style, count = line:match "^(%a+) (%d+)$"
  if not trips[style] then conn:fail "send N or call N" end
  local slot = slot_of(ld.self())
  if TWO then slot = 3 - slot end
  local id = find(style .. slot, PATIENCE)
  if not id then conn:fail("no task of worker " .. slot) end
  local before = ld.now()
  trips[style](id, tonumber(count))
  conn:write(("%.9f\n"):format(ld.now() - before))
  return "order"
end

local function start()
  for style in pairs(answers) do
    ld.spawn(function() echo(style, slot_of(ld.self())) end)
  end
end

return { initial = "order", states = states, start = start, timeouts = { 120 } }
