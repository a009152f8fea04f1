--- scaffold/disk: makes several files, with their directories, or none.
local source = require "linedancer.handler.source"
local ffi = require "ffi"

ffi.cdef [[
int access(const char *path, int mode);
int mkdir(const char *path, unsigned mode);
char *strerror(int number);
]]

local C = ffi.C

local MODE = 511 -- 0777, less what the umask takes
local NOENT, EXIST = 2, 17

local M = {}

--- Is there a file or a directory at PATH, as far as one can see?
function M.exists(path)
  return C.access(path, 0) == 0
end

-- The error of making directory PATH, or 0.
local function mkdir(path, made)
  if C.mkdir(path, MODE) ~= 0 then return ffi.errno() end
  made[#made + 1] = path
  return 0
end

-- Make directory PATH and those above it, unless they are there; each new one goes to the end of MADE. Returns nil, or
-- a message.
local function make_directory(path, made)
  local number, above = mkdir(path, made), source.directory(path)
  if number == NOENT and above ~= path then
    local message = make_directory(above, made)
    if message then return message end
    number = mkdir(path, made)
  end
  if number == 0 or number == EXIST then return nil end -- what is no directory shows when something is made in it
  return ("cannot make directory %s: %s"):format(path, ffi.string(C.strerror(number)))
end

-- Write TEXT to the new file PATH. Returns nil, or a message.
local function make_file(path, text, made)
  local file, message, number = io.open(path, "wbx") -- x: only if it is not there
  if not file then
    return number == EXIST and path .. " is there already" or "cannot make " .. message
  end
  made[#made + 1] = path
  local ok, why = file:write(text)
  local closed, late = file:close() -- what is buffered is written now
  if ok and closed then return nil end
  return ("cannot write %s: %s"):format(path, why or late)
end

local function make_all(directory, files, made)
  for _, file in ipairs(files) do
    local path = source.join(directory, file.path)
    local message = make_directory(source.directory(path), made) or make_file(path, file.text, made)
    if message then return message end
  end
end

-- A message that says which of FILES are there already, or nil.
local function in_the_way(directory, files)
  local found = {}
  for _, file in ipairs(files) do
    local path = source.join(directory, file.path)
    if M.exists(path) then found[#found + 1] = path end
  end
  if #found == 0 then return nil end
  return ("%s %s there already"):format(table.concat(found, ", "), #found > 1 and "are" or "is")
end

--- Make FILES, an array of { path =, text = }, below DIRECTORY. Returns true; or nil and a message, and then all is as
-- it was: what is there already is never touched.
function M.write(directory, files)
  local made = {}
  local message = in_the_way(directory, files) or make_all(directory, files, made)
  if not message then return true end
  for i = #made, 1, -1 do os.remove(made[i]) end
  return nil, message .. "; nothing has been made"
end

return M
