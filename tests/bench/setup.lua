--- setup: what measurements in Lua begin with; for dofile, from the project's root.
local build = os.getenv "BUILD" or "build"
package.path = "./?.lua;./?/init.lua;./lua/?.lua;./lua/?/init.lua;" .. package.path
package.cpath = build .. "/lib/?.so;" .. package.cpath
require("jit.opt").start("maxtrace=8000", "maxmcode=16384")

local ffi = require "ffi"

ffi.cdef "struct bench_time { long s, ns; }; int clock_gettime(int clock, struct bench_time *t);"
local PROCESS_CPU = 2
local time = ffi.new "struct bench_time"

local M = { build = build }

--- Seconds of CPU that this process has used.
function M.cpu()
  ffi.C.clock_gettime(PROCESS_CPU, time)
  return tonumber(time.s) + tonumber(time.ns) * 1e-9
end

local seed = 1

--- A number from 0 to N - 1: different each time, the same in each run.
function M.draw(n)
  seed = (seed * 1103515245 + 12345) % 2 ^ 31
  return math.floor(seed / 65536) % n
end

return M
