--- which: says which worker has the connection, and the how-manieth it is there.
--
--   to the client    worker SLOT, connection N LF
local ld = require "linedancer"

local mine = ld.keep "examples/workers/which" -- of this worker, as all that Lua holds

local states = {}

function states.hello(conn)
  mine.count = (mine.count or 0) + 1
  conn:write("worker ", conn.id:match "^%d+", ", connection ", mine.count, "\n")
end

return { initial = "hello", states = states, timeouts = { 5 } }
