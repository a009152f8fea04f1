-- build/linedancer run --listen 127.0.0.1:7004 --handler examples/packets.lua
-- printf '4\n\0\0\0\2hi' | nc -N 127.0.0.1 7004 | od -An -c
--
-- Packet modes, as gen_tcp has them: the first line picks one, each packet is answered by its size in decimal.
--
--   mode     one of the names in MODES, LF         answered by "ok LF"
--   packet   as the mode says                      answered by its size, LF
--
--   mode --> packet --> packet ...                 until the peer ends its side between packets
local MODES = { ["1"] = 1, ["2"] = 2, ["4"] = 4, ["2le"] = "2le", varint = "varint", line = "line", tpkt = "tpkt" }

local states = {}

function states.mode(conn)
  local name = conn:read_line(16)
  if not name then return end
  if not MODES[name] then conn:fail("no mode " .. name) end
  conn:write "ok\n"
  return "packet", name
end

function states.packet(conn, name)
  local packet = conn:packet(MODES[name])
  if not packet then return end
  conn:write(#packet, "\n")
  return "packet", name
end

return {
  initial = "mode",
  states = states,
  limits = { frame = 2^16 },
  timeouts = { mode = 5, packet = { idle = 60 } },
}
