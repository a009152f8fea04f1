--- What is left of a soak: answers a line "count" with the worker's slot, and what it holds as NAME=NUMBER;
-- "sync" just answers.
--
-- What linedancer's modules keep is in their local variables, which only this test looks at. "sweep" first has channels
-- that nobody uses any more go, which else takes a minute or two.
local core = require "linedancer.core"
local ld = require "linedancer"

local HELD = {
  ["linedancer.id"] = { "here", "ids" },
  ["linedancer.names"] = { "holders", "owners", "owned", "requests" }, ["linedancer.topic"] = { "mine" },
  ["linedancer.message.call"] = { "pending", "calling", "serving", "open" },
  ["linedancer.message.watch"] = { "watchers", "remote", "watching" }, ["linedancer.task"] = { "roots" },
  ["linedancer.channel"] = { "following" }, ["linedancer.channel.home"] = { "tenures" },
  ["linedancer.channel.registry"] = { "known", "active" }, ["linedancer.connect.pool"] = { "idle" },
}

local function upvalue(fn, name, seen)
  if seen[fn] then return end
  seen[fn] = true
  for i = 1, 60 do
    local found, value = debug.getupvalue(fn, i)
    if not found then return end
    if found == name then return value end
    if type(value) == "function" then
      value = upvalue(value, name, seen)
      if value then return value end
    end
  end
end

-- The local variable NAME of MODULE, found through one of its functions.
local function local_of(module, name)
  for _, fn in pairs(require(module)) do
    local value = type(fn) == "function" and upvalue(fn, name, {})
    if value then return value end
  end
  error(("%s has no local variable %s"):format(module, name))
end

-- Alarms but for the sweeps to come.
local function alarms()
  local n, sweep = 0, local_of("linedancer.channel.registry", "sweep")
  for _, alarm in pairs(local_of("linedancer.alarm", "set")) do
    if alarm[1] ~= sweep then n = n + 1 end
  end
  return n
end

local function size(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

local states, orders = {}, {}

function orders.count()
  collectgarbage()
  collectgarbage()
  local parts = { "slot=" .. require("linedancer.bus").slot, "joined=" .. (ld.keep("soak facts").joined or 0) }
  parts[#parts + 1] = "members=" .. #ld.keep "soak"
  parts[#parts + 1] = "alarms=" .. alarms()
  parts[#parts + 1] = "slots=" .. size(core.by_slot)
  parts[#parts + 1] = "kilobytes=" .. math.floor(collectgarbage "count")
  for module, names in pairs(HELD) do
    for _, name in ipairs(names) do
      parts[#parts + 1] = ("%s.%s=%d"):format(module:sub(12), name, size(local_of(module, name)))
    end
  end
  return table.concat(parts, " ")
end



function orders.sync() return "done" end

function orders.sweep()
  local sweep = local_of("linedancer.channel.registry", "sweep")
  sweep()
  sweep()
  return "swept"
end

function states.line(conn)
  local line = conn:read_line()
  if not line then return end
  conn:write(orders[line](), "\n")
  return "line"
end

return { initial = "line", states = states }
