--- sandbox/strings: string functions whose time and memory are bounded, and that tell no addresses.
--
-- Methods of strings are the same for all handlers of a worker, ("x"):rep(9) as well as string.rep, so they are
-- replaced for all, once a sandboxed handler is there: patterns are matched by core/bind/pattern.c, which gives up; a
-- string of string.rep has 16 MB at most; string.format has no %p. string.dump is gone.
local core = require("linedancer.api").core

local M = {}

local REP_MAX = 2 ^ 24 -- bytes

local rep, format, find, raw_tostring = string.rep, string.format, string.find, tostring
local PLAIN = { number = true, string = true, boolean = true, ["nil"] = true }

--- What tostring says, without the address that stands for a table, function, coroutine or userdata.
function M.tostring(...)
  local text = raw_tostring(...)
  local x = ...
  if PLAIN[type(x)] then return text end
  return (core.patterns.gsub(text, "^([%w_<>:. ]-):? ?0x%x+$", "%1"))
end

local function bounded_rep(s, n, separator)
  local size = #raw_tostring(s) + (separator and #raw_tostring(separator) or 0)
  if type(n) == "number" and n * size > REP_MAX then error("string.rep: the result would be too long", 2) end
  return rep(s, n, separator)
end

local function plain_format(text, ...)
  if find(text, "p", 1, true) and core.patterns.find(text, "%%[^%a%%]*p") then
    error("string.format: %p is not available", 2)
  end
  local args, n
  for i = 1, select("#", ...) do
    local x = select(i, ...)
    if not PLAIN[type(x)] then
      args, n = args or { ... }, select("#", ...)
      args[i] = M.tostring(x)
    end
  end
  if args then return format(text, unpack(args, 1, n)) end
  return format(text, ...)
end

local former -- those that were replaced, or nil

local function set(functions)
  for name, fn in pairs(functions) do rawset(string, name, fn or nil) end
end

--- Replace them in this Lua state.
function M.install()
  if former then return end
  local bounded = { rep = bounded_rep, format = plain_format, dump = false }
  for name, fn in pairs(core.patterns) do bounded[name] = fn end
  former = {}
  for name in pairs(bounded) do former[name] = string[name] end
  set(bounded)
end

--- Take that back: for tests, which go on without sandboxes.
function M.remove()
  if former then set(former) end
  former = nil
end

return M
