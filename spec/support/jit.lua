-- A busted helper: LINEDANCER_JIT says which half of LuaJIT runs the specs,
-- its compiler ("on", the default) or its interpreter alone ("off").
local jit = require "jit"

local choice = os.getenv("LINEDANCER_JIT") or "on"
assert(choice == "on" or choice == "off", "LINEDANCER_JIT is neither on nor off: " .. choice)
jit[choice]()
assert(jit.status() == (choice == "on"), "this LuaJIT cannot turn its compiler " .. choice)
