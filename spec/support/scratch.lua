--- scratch: a directory of files that lives as long as one test.
local M = {}

local function shell(command, ...)
  local words = { command }
  for _, word in ipairs { ... } do words[#words + 1] = "'" .. word:gsub("'", "'\\''") .. "'" end
  assert(os.execute(table.concat(words, " ")) == 0)
end

--- A fresh directory; FILES maps names below it to their text. Ends with remove().
function M.new(files)
  local dir = os.tmpname()
  os.remove(dir)
  shell("mkdir", dir)
  local self = { dir = dir }

  --- Write TEXT to NAME below the directory and return the full name.
  function self.write(name, text)
    local filename = dir .. "/" .. name
    shell("mkdir -p", (filename:match "^(.*)/"))
    local file = assert(io.open(filename, "wb"))
    file:write(text)
    file:close()
    return filename
  end

  function self.remove() shell("rm -r", dir) end

  for name, text in pairs(files or {}) do self.write(name, text) end
  return self
end

return M
