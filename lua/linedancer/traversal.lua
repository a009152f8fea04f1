--- linedancer.traversal: loops over tables that come to their end, and do not crash.
--
-- LuaJIT compiles pairs() and next in ways of their own, and the one of early 2022, Debian 12's, does it wrong twice. A
-- loop that it has given up compiling ends after one element (its issue 827); and where the two values of a compiled
-- next come to lie in each other's registers, it swaps but half of each, and the process dies (`xchg eax, edx` of a
-- pointer). So pairs and next are replaced by a function of C that does the same, for handlers, too, and in whichever
-- program loads us. A step costs some 50 ns more than when compiled.
local M = {}

--- Replace them in this Lua state, for good.
function M.install()
  local next_of = require("linedancer.core").next
  _G.next = next_of
  _G.pairs = function(t)
    if type(t) ~= "table" then
      error(("bad argument #1 to 'pairs' (table expected, got %s)"):format(t == nil and "nil" or type(t)), 2)
    end
    return next_of, t, nil
  end
end

return M
