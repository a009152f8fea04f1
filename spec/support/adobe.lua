--- spec.support.adobe: a handler that asks for logins, on any worker of a world: "challenge USER" -> the description.
local adobe = require "handlers.rtmp.adobe"

return function(conn)
  local user = conn:read_line():match "^challenge (%S+)$"
  conn:write(adobe.challenge(user), "\n")
end
