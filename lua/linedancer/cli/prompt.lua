--- cli/prompt: the lines of standard input. On a terminal they can be edited, and are remembered, by libedit, if there
-- is one; else they come as they are.
local ffi = require "ffi"

ffi.cdef [[
int isatty(int fd);
void free(void *p);
char *readline(const char *prompt);
int add_history(const char *line);
void using_history(void);
void stifle_history(int most);
int read_history(const char *path);
int write_history(const char *path);
]]

local M = {}

local STDIN, LINES = 0, 1000 -- lines that are remembered
local FILE = ".linedancer_history"

local function history_file()
  local home = os.getenv "HOME"
  return os.getenv "LINEDANCER_HISTORY" or home and home .. "/" .. FILE
end

-- The lines that EDIT, libedit, reads after PROMPT.
local function edited(edit, prompt)
  local path, last = history_file(), nil
  edit.using_history()
  edit.stifle_history(LINES)
  if path then edit.read_history(path) end
  return function()
    local typed = edit.readline(prompt)
    if typed == nil then return nil end
    local line = ffi.string(typed)
    ffi.C.free(typed)
    if line:find "%S" and line ~= last then
      edit.add_history(line)
      if path then edit.write_history(path) end -- libedit gives it mode 0600
      last = line
    end
    return line
  end
end

--- An iterator over lines, each asked for by PROMPT when there is a terminal.
function M.lines(prompt)
  if ffi.C.isatty(STDIN) == 0 then return io.stdin:lines() end
  local ok, edit = pcall(ffi.load, "libedit.so.2")
  if ok then return edited(edit, prompt) end
  return function()
    io.stdout:write(prompt)
    io.stdout:flush()
    return io.stdin:read()
  end
end

return M
