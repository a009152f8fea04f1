--- scaffold: the files that a new handler begins with.
--
--   handlers/NAME.lua     the handler; where configs and `require "handlers.NAME"` find it
--   spec/NAME_spec.lua    its spec; where `linedancer test` finds it
--   NAME.conf.lua         a config that serves it on the loopback interface
--   .luarc.json           for lua-language-server; of the directory, so one that is there is kept
--
-- What is in them is in scaffold/KIND.lua, where $NAME stands for the handler's name.
local disk = require "linedancer.scaffold.disk"
local json = require "linedancer.json"
local source = require "linedancer.handler.source"

local M = {}

local LUARC = [=[
{
  "runtime.version": "LuaJIT",
  "runtime.path": ["?.lua", "?/init.lua"],
  "workspace.library": [$LIBRARY, "${3rd}/busted/library", "${3rd}/luassert/library"],
  "workspace.checkThirdParty": false
}
]=]

local function fill(template, values)
  return (template:gsub("%$(%u+)", values))
end

-- { path, text } of each file, the editor's last.
local function files_of(kind, name, library)
  local template, values = require("linedancer.scaffold." .. kind), { NAME = name, LIBRARY = json.encode(library) }
  local function file(path, text) return { path = path, text = fill(text, values) } end
  return {
    file("handlers/" .. name .. ".lua", template.handler),
    file("spec/" .. name .. "_spec.lua", template.spec),
    file(name .. ".conf.lua", template.config),
    file(".luarc.json", LUARC),
  }
end

--- Make the files of a handler: ASKED is { name =, kind = (binary, line or proxy), directory = (nil: this one) },
-- LIBRARY the directory of Linedancer's annotations for editors. Returns the names, below the directory, of the files
-- that were made; or nil and a message, and then nothing has changed.
function M.make(asked, library)
  local files, names = files_of(asked.kind, asked.name, library), {}
  local directory = asked.directory or "."
  if disk.exists(source.join(directory, ".luarc.json")) then files[#files] = nil end
  local ok, message = disk.write(directory, files)
  if not ok then return nil, message end
  for i, file in ipairs(files) do names[i] = file.path end
  return names
end

-- PATH as a word of a shell.
local function word(path)
  if not path:find "[^%w_./-]" then return path end
  return "'" .. path:gsub("'", "'\\''") .. "'"
end

--- What to say of the files called NAMES, which were made as ASKED.
function M.report(asked, names)
  local lines = { "Made:" }
  for _, name in ipairs(names) do lines[#lines + 1] = "  " .. source.join(asked.directory, name) end
  lines[#lines + 1] = "\nTry:"
  if asked.directory then lines[#lines + 1] = "  cd " .. word(asked.directory) end
  for _, command in ipairs { "check", "test", "run" } do
    local file = command == "test" and "spec/$NAME_spec.lua" or "$NAME.conf.lua"
    lines[#lines + 1] = ("  linedancer %s %s"):format(command, fill(file, { NAME = asked.name }))
  end
  return table.concat(lines, "\n") .. "\n"
end

return M
