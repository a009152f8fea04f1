--- proxy: what comes goes to the backend that BENCH_BACKEND names, and back.
local ld = require "linedancer"

local BACKEND = os.getenv "BENCH_BACKEND"

return function(conn)
  local up, err = ld.connect(BACKEND)
  if not up then conn:fail(tostring(err)) end
  conn:pipe(up)
end
