--- lines: lines go back, and never become strings.
--
--   text "\n"
--
--   line --> line ...
local states = {}

function states.line(conn)
  local text = conn:unpack("&y")
  if not text then return end
  conn:write(text, "\n")
  return "line"
end

return { initial = "line", states = states, timeouts = { 60 } }
