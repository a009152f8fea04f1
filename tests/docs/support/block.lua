--- Runs one Lua block of a page: block.lua SOURCE_TREE FILE PAGE LINE raise|return
-- Prints what it prints; for "raise", what it raises instead, and exits with 0 only then.
local root, file, page, line, expected = unpack(arg)

local here = "./?.lua;./?/init.lua;"
local tree = ("R/lua/?.lua;R/lua/?/init.lua;R/?.lua;R/?/init.lua;R/handlers/?.lua;R/handlers/?/init.lua;")
package.path = here .. tree:gsub("R/", (root:gsub("%%", "%%%%")) .. "/") .. package.path
require "linedancer.core"

--- The text of ERR, without the place in the page if it is a string that begins with one.
local function message(err)
  return (tostring(err):gsub("^" .. page:gsub("%p", "%%%0") .. ":%d+: ", ""))
end

local env = setmetatable({
  ld = require "linedancer", t = require "linedancer.testing", assert = require "luassert",
}, { __index = _G, __newindex = _G })
local text = assert(io.open(file)):read "*a"
local chunk, wrong = loadstring(("\n"):rep(tonumber(line)) .. text, "@" .. page)
if not chunk then
  io.stderr:write(wrong, "\n")
  os.exit(2)
end
local ok, err = xpcall(setfenv(chunk, env), function(err)
  if type(err) == "string" and expected == "return" then return debug.traceback(err, 2) end
  return err
end)
if expected == "raise" then
  io.stdout:write(ok and "nothing was raised" or message(err), "\n")
  os.exit(ok and 3 or 0)
end
if not ok then
  io.stdout:write(tostring(err), "\n")
  os.exit(1)
end
