--- framed_slices: frames go back, and their bodies never become strings.
--
--   size:u32 body[size]
--
--   frame --> frame ...
local states = {}

function states.frame(conn)
  local body = conn:unpack(">&s4")
  if not body then return end
  conn:pack(">s4", body)
  return "frame"
end

return { initial = "frame", states = states, timeouts = { 60 } }
