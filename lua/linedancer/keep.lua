--- linedancer.keep: tables that outlive reloads.
local M = {}

local kept = {}

--- The table called NAME, which outlives reloads and is shared by all versions and handlers of this worker.
---@function ld.keep
---@param name string what it is called
---@return table kept
function M.of(name)
  local t = kept[name]
  if not t then
    t = {}
    kept[name] = t
  end
  return t
end

--- Empty all of them: for tests, as handlers that are loaded hold them.
function M.clear()
  for _, t in pairs(kept) do
    for key in pairs(t) do t[key] = nil end
  end
end

return M
