--- handler/source: finds Lua files, reads them as text, and runs them.
--
-- What one process reads can be recorded, and served to another in place of the disk. Knows nothing of what a handler
-- is. Bytecode is refused: LuaJIT does not verify it, so it could do anything.
local shape = require "linedancer.shape"

local IS_DIRECTORY = 21

local M = {}

--- The directory of FILENAME: "a/b" -> "a", "/a" -> "/", "a" -> ".".
function M.directory(filename)
  local dir = filename:match("^(.*)/[^/]*$")
  return dir == "" and "/" or dir or "."
end

--- NAME below directory DIR, or NAME itself when it is absolute or DIR is the current one.
function M.join(dir, name)
  if name:sub(1, 1) == "/" or not dir or dir == "." or dir == "" then return name end
  return (dir:gsub("/+$", "")) .. "/" .. (name:gsub("^%./", ""))
end

local recorded, served -- texts by path, or nil
local scripts = {} -- of a host, by name

-- How the path of a host's script begins: no file is called so.
local SCRIPT = "host:"

--- Have the handler, and the module, NAME be TEXT: true, or nil and a message.
function M.add_script(name, text)
  local path = SCRIPT .. name
  if scripts[path] or package.preload[name] then return nil, ("there is a module '%s' already"):format(name) end
  scripts[path] = text
  package.preload[name] = function(...) return assert(M.compile(text, "=" .. name))(...) end
  return true
end

--- Is NAME such a script?
function M.is_script(name) return scripts[SCRIPT .. name] ~= nil end

--- The text of FILENAME on the disk, whatever is served, or nil and a message.
function M.read_disk(filename)
  local file, err = io.open(filename, "rb")
  if not file then return nil, "cannot open " .. err end
  local text, why = file:read("*a")
  file:close()
  if not text then return nil, ("cannot read %s: %s"):format(filename, why) end
  if recorded then recorded[filename] = text end
  return text
end

--- The text of FILENAME, or nil and a message. What has been recorded is not read again.
function M.read(filename)
  if scripts[filename] then return scripts[filename] end
  if not served then
    local text = recorded and recorded[filename]
    if text then return text end
    return M.read_disk(filename)
  end
  if served[filename] then return served[filename] end
  return nil, ("cannot open %s: it is not among the files that this gateway was started with"):format(filename)
end

--- TEXT compiled, or nil and a message. LuaJIT itself skips a byte order mark and a first line that opens with #, and
-- refuses bytecode behind either.
function M.compile(text, chunkname, env)
  local chunk, message = load(text, chunkname, "t", env or _G)
  if chunk or not (message:find "with wrong mode$" or message == "cannot load malformed bytecode") then
    return chunk, message
  end
  return nil, ("%s: this is Lua bytecode, and only source text is loaded"):format((chunkname:gsub("^[@=]", "")))
end

local OWN = debug.getinfo(1, "S").short_src

-- The error and the part of its traceback that belongs to the file: ours is of no use to its author.
local function explain(err)
  local lines = {}
  for line in debug.traceback("", 2):gmatch("[^\n]+") do
    if line:find(OWN, 1, true) then break end
    if not line:find("in function 'error'", 1, true) then lines[#lines + 1] = line end
  end
  return tostring(err) .. "\n" .. table.concat(lines, "\n")
end

local depth = 0

--- Is a file being run, so that what it defines is not there yet?
function M.loading() return depth > 0 end

--- Run CHUNK: true and its first result, or false and the error with its traceback.
function M.call(chunk, ...)
  local args, n = { ... }, select("#", ...)
  depth = depth + 1
  local ok, result = xpcall(function() return (chunk(unpack(args, 1, n))) end, explain)
  depth = depth - 1
  return ok, result
end

local function served_module(name)
  if not served then return nil end
  local tail = name:gsub("%.", "/")
  for template in package.path:gmatch "[^;]+" do
    local filename = template:gsub("?", (tail:gsub("%%", "%%%%")))
    if served[filename] then return filename end
  end
end

--- The Lua file of module NAME, or nil and where it was looked for: among the files that are served, else on the disk.
function M.find_module(name)
  local filename = served_module(name)
  if filename then return filename end
  return package.searchpath(name, package.path)
end

-- Takes the place of the loader of Lua files. A module that nothing had required when the recording ended is on the
-- disk, if anywhere.
local function load_module(name)
  local filename = served_module(name)
  local text, message = filename and served[filename], nil
  if not filename then
    filename, message = package.searchpath(name, package.path)
    if not filename then return message end
    text, message = M.read_disk(filename)
  end
  local chunk = text
  if text then chunk, message = M.compile(text, "@" .. filename) end
  if not chunk then error(("error loading module '%s' from file '%s':\n\t%s"):format(name, filename, message), 0) end
  return chunk
end

--- Keep every file that is read from now on, and every module that is required, in the table that is returned: texts
-- by path.
function M.record()
  recorded = {}
  package.loaders[2] = load_module
  return recorded
end

--- Read from FILES, a table of texts by path, and nothing else, from now on. Returns the files before that, or nil.
function M.serve(files)
  local before = served
  served = files
  package.loaders[2] = load_module
  return before
end

local function served_kind(filename)
  if served[filename] then return "file" end
  return served[filename:gsub("/+$", "") .. "/init.lua"] and "directory" or nil
end

--- "file" for FILENAME when it can be read, "directory", or nil.
function M.kind(filename)
  if served then return served_kind(filename) end
  local file = io.open(filename, "rb")
  if not file then return nil end
  local _, _, code = file:read(1)
  file:close()
  return code == IS_DIRECTORY and "directory" or "file"
end

local function not_found(spec, tried)
  shape.refuse("handler '%s' was not found; looked for\n  %s", spec, table.concat(tried, "\n  "))
end

local function resolve_path(spec, base_dir)
  local filename = M.join(base_dir, spec)
  local found, tried = M.kind(filename), { filename }
  if found == "file" then return filename end
  if found == "directory" then
    tried[1] = (filename:gsub("/+$", "")) .. "/init.lua"
    if M.kind(tried[1]) == "file" then return tried[1] end
  end
  not_found(spec, tried)
end

--- The file of SPEC, a path below BASE_DIR or a module name; refuses when there is none. Module names are looked up in
-- PATH, an array of directories, then BASE_DIR/handlers, then BUNDLED.
function M.resolve(spec, base_dir, path, bundled)
  if type(spec) ~= "string" or spec == "" then
    shape.refuse("a handler is a module name or the path of a file, not %s", shape.describe(spec))
  end
  if scripts[SCRIPT .. spec] then return SCRIPT .. spec end
  if spec:find("/", 1, true) or spec:find("%.lua$") then return resolve_path(spec, base_dir) end
  if ("." .. spec):gsub("%.[%w_%-]+", "") ~= "" then
    shape.refuse("'%s' is neither a module name (letters, digits, _ - and dots) nor a path with a slash", spec)
  end
  local dirs, tried = {}, {}
  for _, dir in ipairs(path or {}) do dirs[#dirs + 1] = dir end
  dirs[#dirs + 1] = M.join(base_dir, "handlers")
  dirs[#dirs + 1] = bundled
  for _, dir in ipairs(dirs) do
    for _, tail in ipairs { ".lua", "/init.lua" } do
      local filename = M.join(dir, (spec:gsub("%.", "/")) .. tail)
      if M.kind(filename) == "file" then return filename end
      tried[#tried + 1] = filename
    end
  end
  not_found(spec, tried)
end

--- "handlers/tlv.lua" -> "tlv", "handlers/rtmp/init.lua" -> "rtmp".
function M.module_name(filename)
  local stem = filename:gsub("/init%.lua$", ""):gsub("%.lua$", "")
  return stem:match("[^/]+$") or filename
end

--- Let `require` look in DIRS too, behind what it knows already.
function M.search(dirs)
  for _, dir in ipairs(dirs) do
    for _, tail in ipairs { "/?.lua", "/?/init.lua" } do
      local template = (dir:gsub("/+$", "")) .. tail
      if not (";" .. package.path .. ";"):find(";" .. template .. ";", 1, true) then
        package.path = package.path .. ";" .. template
      end
    end
  end
end

-- The directory in which module NAME was found as FILENAME.
local function root(filename, name)
  local stem = filename:gsub("/init%.lua$", ""):gsub("%.lua$", "")
  local tail = name:gsub("%.", "/")
  if stem == tail then return "." end
  if stem:sub(-#tail - 1) ~= "/" .. tail then return M.directory(stem) end
  return #stem == #tail + 1 and "/" or stem:sub(1, -#tail - 2)
end

--- Run the Lua file FILENAME as module NAME, in SPACE (of linedancer.handler.space) when given, or with the globals
-- ENV: true and its result, or false and a message.
--
-- Its submodules can be required below its own directory ("rtmp.chunk") and, as the bundled handlers do, below that
-- directory's name ("handlers.rtmp.chunk"). Those of a private space are for it alone.
function M.run(filename, name, env, space)
  local text, message = M.read(filename)
  if not text then return false, message end
  local chunk
  chunk, message = M.compile(text, (scripts[filename] and "=" or "@") .. filename, space and space.env or env)
  if not chunk then return false, message end
  if scripts[filename] then return M.call(chunk, name) end
  local dir = root(filename, name)
  if not (space and space.private) then M.search { dir, M.directory(dir) } end
  if space then space:add(dir) end
  return M.call(chunk, name)
end

return M
