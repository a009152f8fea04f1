--- bulk: whoever connects is sent SIZE bytes, as source_raw.c makes them, and then the end.
--
--   send, and the end
local ld = require "linedancer"

local SIZE = 65798144 -- as benchlib/servers.py has it
local PERIOD = 251
local PIECE = PERIOD * 256

local piece = ld.buffer()
local bytes = {}
for i = 0, PERIOD - 1 do bytes[i + 1] = string.char(i) end
piece:put(table.concat(bytes):rep(PIECE / PERIOD))

local states = {}

function states.send(conn)
  for _ = 1, SIZE / PIECE do
    conn:write(piece)
    conn:flush()
  end
end

return { initial = "send", states = states, timeouts = { 60 } }
