--- linedancer.traversal: loops over tables that come to their end.
--
-- A loop over pairs() or next has instructions of its own in LuaJIT. When LuaJIT 2.1 of early 2022, Debian 12's, has
-- given up compiling such a loop, it ends it after one element (its issue 827), and later ones may skip an element (its
-- issue 1510). With any other iterator than its own next it makes an ordinary loop of it, when it first comes there. So
-- pairs and next are replaced by functions that do the same: for handlers, too, and in whichever program loads us. A
-- step costs some 20 ns more.
local next_of = next

local M = {}

local function step(t, key) return next_of(t, key) end

local function all(t)
  if type(t) ~= "table" then
    error(("bad argument #1 to 'pairs' (table expected, got %s)"):format(t == nil and "nil" or type(t)), 2)
  end
  return step, t, nil
end

--- Replace them in this Lua state, for good.
function M.install() _G.next, _G.pairs = step, all end

return M
