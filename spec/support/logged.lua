--- logged: what linedancer.log was told while a function ran; nothing of it is printed.
local log = require "linedancer.log"

local LEVELS = { "debug", "info", "warn", "error" }

--- Run FN(...); returns an array of { level, text, fields }. An error of FN passes through.
return function(fn, ...)
  local lines, kept = {}, {}
  for _, level in ipairs(LEVELS) do
    kept[level] = log[level]
    log[level] = function(text, fields) lines[#lines + 1] = { level = level, text = text, fields = fields or {} } end
  end
  local ok, err = pcall(fn, ...)
  for _, level in ipairs(LEVELS) do log[level] = kept[level] end
  if not ok then error(err, 0) end
  return lines
end
