--- linedancer.log: one line per event.
--
--   log.warn("slow statement", { conn = conn.id, seconds = 2.5 })
--   2026-01-31T12:00:00.000Z warn  slow statement conn=0.3.1 seconds=2.5
local core = require "linedancer.core"

--- One line per event.
---@class linedancer.log

local M = {}

local function quote(value)
  local ok, text = pcall(tostring, value)
  if not ok or type(text) ~= "string" then text = "?" end
  if text == "" or text:find '[%s"=]' then return '"' .. text:gsub('["\\]', "\\%0") .. '"' end
  return text
end

-- Sorted, so that the same event always looks the same.
local function render(fields)
  local parts = {}
  for name, value in pairs(fields) do parts[#parts + 1] = tostring(name) .. "=" .. quote(value) end
  table.sort(parts)
  return table.concat(parts, " ")
end

for _, level in ipairs { "debug", "info", "warn", "error" } do
  --- Log TEXT with FIELDS (a table, may be nil) at this level.
  ---@function ld.log.debug, ld.log.info, ld.log.warn, ld.log.error
  ---@param text any the event
  ---@param fields? table what there is to know of it, by name
  M[level] = function(text, fields)
    core.log(level, tostring(text), fields and render(fields) or "")
  end
end

return M
