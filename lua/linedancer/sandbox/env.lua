--- sandbox/env: the globals of a sandboxed handler.
local source = require "linedancer.handler.source"
local strings = require "linedancer.sandbox.strings"

local M = {}

local raw_getmetatable, raw_setmetatable = getmetatable, setmetatable
local sort = table.sort

local AS_THEY_ARE = {
  "assert", "error", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawset", "select", "tonumber", "type",
  "unpack", "xpcall", "_VERSION",
}
local LIBRARIES = {
  string = {
    "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "rep", "reverse", "sub", "upper",
  },
  table = { "concat", "insert", "maxn", "remove" },
  math = {
    "abs", "acos", "asin", "atan", "atan2", "ceil", "cos", "cosh", "deg", "exp", "floor", "fmod", "frexp", "huge",
    "ldexp", "log", "log10", "max", "min", "modf", "pi", "pow", "rad", "random", "sin", "sinh", "sqrt", "tan", "tanh",
  },
  bit = { "arshift", "band", "bnot", "bor", "bswap", "bxor", "lshift", "rol", "ror", "rshift", "tobit", "tohex" },
  os = { "clock", "date", "difftime", "time" },
  coroutine = { "create", "isyieldable", "resume", "running", "status", "wrap", "yield" },
}

--- What `require` gives besides modules.
M.LIBRARIES = { "string", "table", "math", "bit", "os", "coroutine" }

-- Metatables can be seen and changed only of what the sandbox has given one itself: those of strings, errors and
-- connections are everybody's.
local function metatables()
  local own = raw_setmetatable({}, { __mode = "k" })
  local function get(x)
    return type(x) == "table" and own[x] and raw_getmetatable(x) or nil
  end
  local function set(t, meta)
    if type(t) ~= "table" then error("table expected, got " .. type(t), 2) end
    if raw_getmetatable(t) ~= nil and not own[t] then error("cannot change a protected metatable", 2) end
    own[t] = true
    return raw_setmetatable(t, meta)
  end
  return get, set
end

-- Text in ENV; never bytecode.
local function loaders(env)
  local function text_of(piece)
    if type(piece) ~= "function" then return piece end
    local parts = {}
    for part in piece do
      if type(part) ~= "string" or part == "" then break end
      parts[#parts + 1] = part
    end
    return table.concat(parts)
  end
  local function load(piece, name, mode, into)
    local text = text_of(piece)
    if type(text) ~= "string" then error("string or function expected, got " .. type(piece), 2) end
    if mode ~= nil and mode ~= "t" and mode ~= "bt" then return nil, "attempt to load chunk with wrong mode" end
    if into ~= nil and type(into) ~= "table" then error("environment: table expected, got " .. type(into), 2) end
    return source.compile(text, type(name) == "string" and name or "=(load)", into or env)
  end
  return load, function(text, name) return load(text, name) end
end

-- Without a comparison in Lua nothing could stop it.
local function less(a, b) return a < b end

local function bounded_sort(t, before) return sort(t, before or less) end

--- Globals for a handler whose `require` is REQUIRE and whose `print` is PRINT.
function M.new(require, print)
  local env = {}
  for _, key in ipairs(AS_THEY_ARE) do env[key] = _G[key] end
  for library, keys in pairs(LIBRARIES) do
    env[library] = {}
    for _, key in ipairs(keys) do env[library][key] = _G[library][key] end
  end
  env.table.sort = bounded_sort
  env._G, env.require = env, require
  env.getmetatable, env.setmetatable = metatables()
  env.load, env.loadstring = loaders(env)
  env.tostring, env.print = strings.tostring, print
  env.collectgarbage = function(what)
    if what ~= "count" then error("collectgarbage takes \"count\" in a sandbox", 2) end
    return collectgarbage "count"
  end
  return env
end

return M
