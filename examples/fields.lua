-- build/linedancer run --listen 127.0.0.1:7006 --handler examples/fields.lua
-- printf '\30\2\0\7\377\376\2hi' | nc -N 127.0.0.1 7006 | od -An -tx1
--
-- Formats with names: bits, a counted array and a conditional field become one table, and go back by the same text.
--
--   reading   version:u4 urgent:u1 reserved:u3, count:u8, so many values:i16, and when urgent a note, s1
--             big-endian; answered by the same with the values sorted
--
--   reading --> reading ...     until the peer ends its side between readings
local ld = require "linedancer"

local READING = ld.format "> version:u4 urgent:u1 reserved:u3 count:B values:@count*(h){100} ?urgent(note:s1{80})"

local states = {}

function states.reading(conn)
  local reading = conn:unpack(READING)
  if not reading then return end
  if reading.version ~= 1 then conn:fail("version " .. reading.version) end
  table.sort(reading.values)
  conn:pack(READING, reading)
  return "reading"
end

return { initial = "reading", states = states, timeouts = { reading = 60 } }
