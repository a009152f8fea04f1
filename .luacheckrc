std = "luajit"
max_line_length = 120
exclude_files = { "build/**" }
files["spec"] = { std = "+busted" }
-- A wait must pass through the coroutines that a handler makes.
files["lua/linedancer/coroutines.lua"] = { globals = { "coroutine" } }
