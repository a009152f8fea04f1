--- reload/diff: what a new config, and new files, change.
local keys = require("linedancer.suggest").keys
local shape = require "linedancer.shape"

local M = {}

-- Functions are the config's, which is compared as a file.
local function is_alike(a, b) return a == b or type(a) == "function" and type(b) == "function" end

local LISTENER_KEYS = {
  "handler", "file", "name", "options", "limits", "max_connections", "tls", "proxy_protocol", "sandbox",
}

local function by_address(config)
  local list = {}
  for _, listener in ipairs(config.listen) do
    local text, n = listener.address.text, 1
    while list[text .. (n > 1 and " #" .. n or "")] do n = n + 1 end -- several may ask for any port
    list[text .. (n > 1 and " #" .. n or "")] = listener
  end
  return list
end

local function listener_changes(was, is)
  local changed = {}
  for _, key in ipairs(LISTENER_KEYS) do
    if not shape.same(was[key], is[key], is_alike) then changed[#changed + 1] = key end
  end
  return changed
end

local function add_listeners(changes, former, config)
  local was, is = by_address(former), by_address(config)
  for _, text in ipairs(keys(is)) do
    if not was[text] then changes[#changes + 1] = ("listener %s is added, for %s"):format(text, is[text].handler) end
  end
  for _, text in ipairs(keys(was)) do
    if not is[text] then
      changes[#changes + 1] = ("listener %s is removed; its connections live on"):format(text)
    else
      local changed = listener_changes(was[text], is[text])
      if #changed > 0 then
        changes[#changes + 1] = ("listener %s: %s changed"):format(text, table.concat(changed, ", "))
      end
    end
  end
end

local function add_files(changes, was, is)
  for _, path in ipairs(keys(is)) do
    if not was[path] then
      changes[#changes + 1] = ("file %s is new"):format(path)
    elseif was[path] ~= is[path] then
      changes[#changes + 1] = ("file %s has changed"):format(path)
    end
  end
end

--- What is different in CONFIG, loaded from the texts IS by path, from FORMER, loaded from WAS: an array of texts.
function M.of(former, config, was, is)
  local changes = {}
  for _, key in ipairs { "drain", "limits", "log", "path", "control", "watch", "retire" } do
    if not shape.same(former[key], config[key], is_alike) then changes[#changes + 1] = key .. " changed" end
  end
  add_listeners(changes, former, config)
  add_files(changes, was, is)
  return changes
end

return M
