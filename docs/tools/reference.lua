--- Makes HANDLERS.md and library/ from the doc comments in lua/linedancer: luajit docs/tools/reference.lua [--check]
--
-- With --check nothing is written: it says which are out of date, and exits with 1 if any is.
package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path
local extract = require "reference.extract"
local contents = require "reference.contents"
local markdown = require "reference.markdown"
local meta = require "reference.meta"

local root = arg[0]:gsub("docs/tools/[^/]*$", "")

local function sources()
  local list = {}
  local find = assert(io.popen(("find '%slua/linedancer' -name '*.lua' | LC_ALL=C sort"):format(root)))
  for name in find:lines() do list[#list + 1] = name end
  find:close()
  assert(list[1], "there are no sources")
  return list
end

local function read(name)
  local file = io.open(root .. name, "rb")
  if not file then return nil end
  local text = file:read "*a"
  file:close()
  return text
end

local function write(name, text)
  os.execute(("mkdir -p '%s'"):format((root .. name):match "^(.*)/" or "."))
  local file = assert(io.open(root .. name, "wb"))
  assert(file:write(text))
  file:close()
end

local function main(check)
  local chapters = contents.sort(extract.read(sources()))
  local files, stale = { ["HANDLERS.md"] = markdown(chapters) }, false
  for name, text in pairs(meta(chapters)) do files["library/" .. name] = text end
  for name, text in pairs(files) do
    if read(name) ~= text then
      stale = true
      if check then print(name .. " is out of date: ./dev reference makes it anew") else write(name, text) end
    end
  end
  return check and stale and 1 or 0
end

local ok, result = pcall(main, arg[1] == "--check")
if not ok then print(result) end
os.exit(ok and result or 1)
