--- lines_strings: lines go back, each a Lua string on its way.
--
--   text "\n"
--
--   line --> line ...
local states = {}

function states.line(conn)
  local text = conn:read_line()
  if not text then return end
  conn:write(text, "\n")
  return "line"
end

return { initial = "line", states = states, timeouts = { 60 } }
