--- quietly: t.play, with what the log is told dropped.
local logged = require "spec.support.logged"
local t = require "linedancer.testing"

--- As t.play: run, path.
return function(...)
  local run, path
  logged(function(...) run, path = t.play(...) end, ...)
  return run, path
end
