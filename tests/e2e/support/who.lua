--- Lines that tell which process answers: "who" -> its pid, "spin" -> never returns, "shout N" -> logs N bytes,
-- "bye" -> itself and the end, others -> themselves.
local ld = require "linedancer"

local function pid()
  local file = assert(io.open "/proc/self/stat")
  local number = file:read "*n"
  file:close()
  return number
end

local states = {}

function states.line(conn)
  local line = conn:read_line()
  if not line then return end
  local bytes = line:match "^shout (%d+)$"
  if line == "spin" then
    while true do end
  elseif line == "who" then
    line = tostring(pid())
  elseif bytes then
    ld.log.info(("x"):rep(tonumber(bytes)))
  end
  conn:write(line .. "\n")
  if line ~= "bye" then return "line" end
end

return { initial = "line", states = states, timeouts = { 60 } }
