-- build/linedancer run --listen 127.0.0.1:7007 --handler examples/recover.lua
-- printf '1+2\nwhat?\n3+4\n' | nc -N 127.0.0.1 7007
--
-- Going on after an error: a read that fails consumes nothing, and on_error may name the state to go on in.
--
--   sum    digits + digits LF          answered by their sum, LF
--   skip   the rest of a bad line      answered by "? what was wrong" LF
--
--   sum --> sum ...                    until the peer ends its side between lines
--       --> skip --> sum               when a line is no sum
local LINE_MAX = 100

local states = {}

function states.sum(conn)
  local a, b = conn:unpack 'D"+"{9} D"\n"{9}'
  if not a then return end
  conn:write(a + b, "\n")
  return "sum"
end

function states.skip(conn, why)
  conn:read_line(LINE_MAX)
  conn:write("? ", why, "\n")
  return "sum"
end

local BAD_LINE = { mismatch = true, limit = true }

return {
  initial = "sum",
  states = states,
  limits = { frame = LINE_MAX + 2 },
  timeouts = { { idle = 60 } },
  on_error = function(_, err)
    if err.state == "sum" and BAD_LINE[err.code] then return "skip", err.message end
  end,
}
