--- handler/space: where one version of the handlers' code lives, beside others.
--
-- A space has globals of its own, which begin as ours, and modules of its own: those below its directories, the
-- handlers' own and the config's `path`, are run afresh for it. All others, linedancer's, LuaJIT's and those of C, are
-- the same for all.
local source = require "linedancer.handler.source"

local M = {}

local Space = {}
Space.__index = Space

local LOADING = {} -- in place of a module that is being loaded

-- "./a/b" and "a/b" are the same file.
local function plain(path) return (path:gsub("^%./", "")) end

local function is_ours(name) return name == "linedancer" or name:sub(1, 11) == "linedancer." end

function Space:has(filename)
  filename = plain(filename)
  for _, dir in ipairs(self.dirs) do
    if dir == "" or filename:sub(1, #dir) == dir then return true end
  end
  return false
end

--- What module NAME is in SELF, as below; nil when it has not been loaded. Raises while it is.
function M.known(self, name)
  local known = self.loaded[name]
  if known == LOADING then error(("loop or previous error loading module '%s'"):format(name), 3) end
  return known
end

--- The value of module NAME in FILENAME, run in the globals of SELF, { env =, loaded = }, where it is kept. Raises.
function M.load_module(self, name, filename)
  local text, message = source.read(filename)
  local chunk
  if text then chunk, message = source.compile(text, "@" .. filename, self.env) end
  if not chunk then error(("error loading module '%s' from file '%s':\n\t%s"):format(name, filename, message), 3) end
  self.loaded[name] = LOADING
  local ok, value = pcall(chunk, name)
  if not ok then
    self.loaded[name] = nil
    error(value, 0)
  end
  if value == nil then value = self.loaded[name] ~= LOADING and self.loaded[name] or true end
  self.loaded[name] = value
  return value
end

local function require_in(self, name)
  local known = M.known(self, name)
  if known ~= nil then return known end
  if type(name) ~= "string" or is_ours(name) or package.preload[name] then return require(name) end
  local filename = source.find_module(name)
  if not filename or not self:has(filename) then return require(name) end
  return M.load_module(self, name, filename)
end

--- Run what is below directory DIR afresh.
function Space:add(dir)
  dir = plain(dir)
  if dir == "." then dir = "" elseif dir:sub(-1) ~= "/" then dir = dir .. "/" end
  self.dirs[#self.dirs + 1] = dir
end

--- Let `require` look in DIRS, too, behind what it knows already, and run what is below them afresh.
function Space:search(dirs)
  source.search(dirs)
  for _, dir in ipairs(dirs) do self:add(dir) end
end

--- A space without directories: { env = its globals }.
function M.new()
  local self = setmetatable({ dirs = {}, loaded = {}, env = {} }, Space)
  for key, value in pairs(_G) do self.env[key] = value end
  self.env._G = self.env
  self.env.require = function(name) return require_in(self, name) end
  self.env.package = setmetatable({ loaded = self.loaded }, { __index = package, __newindex = package })
  return self
end

return M
