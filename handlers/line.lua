--- line: a chat room for everybody who is connected to this process.
--
--   to the client     name? LF                      again after one that will not do: * NAME is taken LF
--   from the client   NAME LF                       letters, digits, _ and -, at most 20
--                     anything LF                   at most 1000 bytes; CR LF will do
--   to the others     NAME: anything LF             also * NAME has joined LF, * NAME has left LF
--
--   name --> name (at most TRIES times) --> chat --> chat ...     until the client ends its side
--
-- Nobody waits for a slow reader: what it does not read is queued for it alone, and above limits.output it is out.
local ld = require "linedancer"

local NAME_MAX, LINE_MAX, TRIES = 20, 1000, 3

local room = ld.keep "line"
room.members = room.members or {} -- by name
room.count = room.count or 0

local states = {}

local function tell_others(conn, text)
  for _, other in pairs(room.members) do
    if other ~= conn then other:write(text) end
  end
end

-- What is wrong with NAME, or nil.
local function objection(conn, name)
  if #name > NAME_MAX or not name:find "^[%w_-]+$" then
    return ("a name is 1 to %d letters, digits, _ and -"):format(NAME_MAX)
  end
  if room.members[name] then return name .. " is taken" end
  if room.count >= conn.options.members then return "the room is full" end
end

local function join(conn, name)
  room.members[name], room.count = conn, room.count + 1
  conn.nick = name
  tell_others(conn, "* " .. name .. " has joined\n")
  conn:write("* welcome, " .. name .. ": " .. room.count - 1 .. " more here\n")
end

function states.name(conn, tries)
  conn:write "name?\n"
  local name = conn:read_line(LINE_MAX)
  if not name then return end
  local problem = objection(conn, name)
  if not problem then
    join(conn, name)
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
  if line ~= "" then tell_others(conn, conn.nick .. ": " .. line .. "\n") end
  return "chat"
end

local function leave(conn)
  local name = conn.nick
  if not name then return end
  room.members[name], room.count = nil, room.count - 1
  tell_others(conn, "* " .. name .. " has left\n")
end

return {
  initial = "name",
  states = states,
  options = { members = 1000 },
  limits = { output = 2^18 },
  timeouts = { name = 60, chat = { idle = 3600 } },
  on_close = leave,
}
