--- sandbox/log: what a sandboxed handler may say in the log: so many lines a second, each so long, with its name.
local api = require "linedancer.api"
local log = require "linedancer.log"
local strings = require "linedancer.sandbox.strings"

local M = {}

local LINES = 50 -- a second
local LENGTH, FIELDS = 1000, 20 -- bytes of a text; number

local W, now = api.vm, api.struct.now

local function short(x) return strings.tostring(x):sub(1, LENGTH) end

local function fields_of(given, name, dropped)
  local told, count = {}, 0
  for key, value in next, type(given) == "table" and given or {} do
    count = count + 1
    if count > FIELDS then break end
    told[short(key)] = short(value)
  end
  told.sandbox, told.dropped = name, dropped > 0 and dropped or nil
  return told
end

--- { debug =, info =, warn =, error = } for the handler called NAME, and a `print`.
function M.new(name)
  local second, lines, dropped = 0, 0, 0

  local function say(level, text, fields)
    local at = math.floor(tonumber(now(W)))
    if at ~= second then second, lines = at, 0 end
    lines = lines + 1
    if lines > LINES then
      dropped = dropped + 1
      return
    end
    log[level](short(text), fields_of(fields, name, dropped))
    dropped = 0
  end

  local own = {}
  for _, level in ipairs { "debug", "info", "warn", "error" } do
    own[level] = function(text, fields) say(level, text, fields) end
  end
  local function print(...)
    local parts = {}
    for i = 1, math.min(select("#", ...), FIELDS) do parts[i] = short((select(i, ...))) end
    say("info", "print", { text = table.concat(parts, "\t") })
  end
  return own, print
end

return M
