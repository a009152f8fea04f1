--- line: a chat room for everybody who is connected, to whichever worker.
--
--   to the client     name? LF                      again after one that will not do: * NAME is taken LF
--   from the client   NAME LF                       letters, digits, _ and -, at most 20
--                     anything LF                   at most 1000 bytes; CR LF will do
--   to the others     NAME: anything LF             also * NAME has joined LF, * NAME has left LF
--
--   name --> name (at most TRIES times) --> chat --> chat ...     until the client ends its side
--
-- A member holds two names in the gateway: its own, and one of options.members seats. Both are given out in one place
-- for all workers, so no two members are called the same, there are never more than seats, and "N more here" is true.
-- Nobody waits for a slow reader: what it does not read is queued for it alone, and above limits.output it is out. The
-- members of a worker that crashes are gone without a word.
local ld = require "linedancer"

local ROOM, NAME, SEAT = "line/room", "line/name/", "line/seat/"
local NAME_MAX, LINE_MAX, TRIES = 20, 1000, 3

local states = {}

-- The seats that are free.
local function free_seats(conn)
  local free = {}
  for i = 1, conn.options.members do
    if not ld.whereis(SEAT .. i) then free[#free + 1] = SEAT .. i end
  end
  return free
end

-- Take a seat, any, so that many who come at once do not all try the same. Is there one?
local function sit(conn)
  local ok, why
  repeat
    local free = free_seats(conn)
    if #free == 0 then return false end
    ok, why = ld.register(free[math.random(#free)])
  until ok or why ~= "taken"
  return ok
end

-- Take NAME and a seat, and hear the room from then on. Returns what is wrong, or nil.
local function enter(conn, name)
  if #name > NAME_MAX or not name:find "^[%w_-]+$" then
    return ("a name is 1 to %d letters, digits, _ and -"):format(NAME_MAX)
  end
  local ok, why = ld.register(NAME .. name)
  if not ok then return name .. (why == "taken" and " is taken" or " cannot be had now") end
  conn:subscribe(ROOM)
  if sit(conn) then return nil end
  conn:unsubscribe(ROOM)
  ld.unregister(NAME .. name)
  return "the room is full"
end

function states.name(conn, tries)
  conn:write "name?\n"
  local name = conn:read_line(LINE_MAX)
  if not name then return end
  local problem = enter(conn, name)
  if not problem then
    conn.nick = name
    conn:write("* welcome, ", name, ": ", conn.options.members - #free_seats(conn) - 1, " more here\n")
    ld.publish(ROOM, "* " .. name .. " has joined\n")
    return "chat"
  end
  conn:write("* ", problem, "\n")
  tries = (tries or 0) + 1
  if tries == TRIES then conn:fail "no acceptable name" end
  return "name", tries
end

function states.chat(conn)
  local line = conn:read_line(LINE_MAX)
  if not line then return end
  line = line:gsub("%c", "")            -- what a terminal would obey
  if line ~= "" then ld.publish(ROOM, conn.nick .. ": " .. line .. "\n") end
  return "chat"
end

local function hear(conn, from, text)
  if from ~= ld.self() then conn:write(text) end
end

local function leave(conn)
  if conn.nick then ld.publish(ROOM, "* " .. conn.nick .. " has left\n") end
end

return {
  initial = "name",
  states = states,
  options = { members = 1000 },
  limits = { output = 2^18 },
  timeouts = { name = 60, chat = { idle = 3600 } },
  on_message = { chat = hear },
  on_close = leave,
}
