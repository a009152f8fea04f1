--- rtmp/relay: streams that come from other servers, and streams that go to them.
--
-- A pull plays a stream elsewhere and publishes it here: when somebody wants to see it, until nobody has for a while,
-- or all the time. A push publishes elsewhere what is published here. Both connect again when they are cut off, after
-- 1, 2, 4 ... 30 seconds, and at once count from 1 again when that went well.
--
-- Options: pull = { ["app/name"] = url }, push = { ["app/name"] = url or { url... } }. "app/*" stands for all names of
-- an app, and a * in the URL for the name.
local ld = require "linedancer"
local client = require "handlers.rtmp.client"
local desk = require "handlers.rtmp.desk"
local stream = require "handlers.rtmp.stream"

local M = {}

local FIRST, LONGEST, HEALTHY = 1, 30, 10 -- seconds: pauses; how long a connection lasts that went well
local LOOK, SILENCE = 1, 15 -- seconds between looks; without a message, after which a server is given up

local pulls, pushes = ld.keep "rtmp/pulls", ld.keep "rtmp/pushes" -- tasks, by stream, and by stream and URL

-- What TABLE, an option, says for stream NAME: a value, with the stream's own name in place of a *.
local function look_up(map, name)
  local value = map[name]
  if value then return value end
  local app, rest = name:match "^(.*)/([^/]+)$"
  value = app and map[app .. "/*"]
  if type(value) == "string" then return (value:gsub("%*", (rest:gsub("%%", "%%%%")))) end
  local list
  for i, url in ipairs(value or {}) do
    list = list or {}
    list[i] = url:gsub("%*", (rest:gsub("%%", "%%%%")))
  end
  return list
end

-- Pauses that grow, with some chance in them so that many do not come back at once.
local function pauses()
  local seconds = FIRST
  return function(lasted)
    if lasted >= HEALTHY then seconds = FIRST end
    ld.sleep(seconds * (0.75 + 0.5 * math.random()))
    seconds = math.min(2 * seconds, LONGEST)
  end
end

-- Read UP in a task of its own, calling FN(kind, time, body), and tell SELF, an id, when that is over.
local function read_all(up, self, fn)
  return ld.spawn(function()
    local ok, err = pcall(function()
      for kind, time, _, body in client.messages(up) do fn(kind, time, body) end
    end)
    ld.send(self, { over = ok and "ended" or tostring(err) })
  end)
end

-- Hear messages until the reader is over, or FN(message, from), called for each and once a second, returns a reason.
local function attend(fn)
  while true do
    local from, message = ld.receive(LOOK)
    if message and message.over then return message.over end
    local reason = fn(message, from)
    if reason then return reason end
  end
end

-- Nobody has viewed stream NAME for options.pull_idle seconds? A function that tells.
local function idleness(name, options)
  local seen = ld.now()
  return function()
    if options.pull_idle == 0 or desk.viewers(name) > 0 then seen = ld.now() end
    return ld.now() - seen > options.pull_idle
  end
end

-- Hear what is for the owner of PULL.publication, or for that of none yet: why it is over, or nil.
local function hear(pull, from, message)
  if message.begin then
    pull.publication = stream.open(pull.name, pull.options, { publisher = pull.shown, protocol = "pull" })
    ld.reply(from, pull.publication ~= nil)
    return not pull.publication and "published by another" or nil
  elseif message.rtmp == "kick" then
    return "kicked"
  elseif pull.publication and select(2, stream.hear(pull.publication, from, message)) == "taken" then
    return "taken over"
  end
end

-- Play PULL.url and publish it as PULL.name, from the first message on, until it ends: why it did, and whether nobody
-- wants it any more.
local function pull_once(pull, is_idle)
  local up, problem = client.view(pull.url)
  if not up then return tostring(problem) end
  ld.log.info("pulling", { stream = pull.name, url = pull.shown })
  local self, idle = ld.self(), false
  local reader = read_all(up, self, function(kind, time, body)
    if not pull.publication and not ld.call(self, { begin = true }) then error("published by another", 0) end
    pull.publication:message(kind, time, body)
  end)
  local reason = attend(function(message, from)
    local over = message and hear(pull, from, message)
    if over then return over end
    if ld.now() - up.last > SILENCE then return "silent" end
    idle = is_idle()
    return idle and "no viewers" or nil
  end)
  reader:cancel()
  up.conn:close()
  if pull.publication then pull.publication:close(reason ~= "ended" and not idle) end
  pull.publication = nil
  return reason, idle
end

local function pull_always(name, url, options)
  local pause, is_idle = pauses(), idleness(name, options)
  local pull = { name = name, url = url, options = setmetatable({ takeover = false }, { __index = options }) }
  pull.shown = client.public(url)
  while true do
    local began = ld.now()
    if not stream.is_live(name) then
      local reason, idle = pull_once(pull, is_idle)
      ld.log.info("pull ended", { stream = name, url = pull.shown, reason = reason })
      if idle then break end
    end
    if is_idle() then break end
    pause(ld.now() - began)
  end
end

local function begin(tasks, key, fn, ...)
  local running = tasks[key]
  if running then return end
  tasks[key] = ld.spawn(function(...)
    local ok, err = pcall(fn, ...)
    tasks[key] = nil
    if not ok then error(err, 0) end
  end, ...)
end

--- Somebody wants stream NAME: if OPTIONS say that it comes from elsewhere, and nobody publishes it, it is got.
function M.demand(name, options)
  local url = look_up(options.pull, name)
  if not url or stream.is_live(name) then return end
  begin(pulls, name, pull_always, name, url, options)
end

--- Get the streams that OPTIONS want all the time.
function M.pull_all(options)
  if options.pull_idle > 0 then return end
  for name, url in pairs(options.pull) do
    if not name:find("*", 1, true) then begin(pulls, name, pull_always, name, url, options) end
  end
end

-- Is stream NAME published in this worker, or was it until a moment ago, and nowhere else? A function that tells.
local function presence(name, options)
  local seen = ld.now()
  return function()
    if stream.find(name) then
      seen = ld.now()
    elseif stream.is_live(name) then
      return false
    end
    return ld.now() - seen <= options.grace
  end
end

-- Publish stream NAME at URL until it is over, or the server: why.
local function push_once(name, url, options, is_present)
  local up, problem = client.open(url)
  if not up then return tostring(problem) end
  local ok
  ok, problem = client.publish(up)
  if not ok then
    up.conn:close()
    return tostring(problem)
  end
  ld.log.info("pushing", { stream = name, url = client.public_target(url) })
  local reader = read_all(up, ld.self(), function() end)
  stream.follow(up.conn, name, options, { format = "publish", id = up.id })
  local sent, moved = 0, ld.now()
  local reason = attend(function()
    if not is_present() then return "the stream has ended" end
    local place = up.conn:following()
    if not place or place.behind == 0 or place.sent ~= sent then sent, moved = place and place.sent, ld.now() end
    if ld.now() - moved > options.stall then return "stalled" end
  end)
  reader:cancel()
  up.conn:unfollow()
  client.finish(up)
  return reason
end

local function push_always(name, url, options)
  local pause, is_present = pauses(), presence(name, options)
  while is_present() do
    local began = ld.now()
    local reason = push_once(name, url, options, is_present)
    ld.log.info("push ended", { stream = name, url = client.public_target(url), reason = reason })
    if not is_present() then break end
    pause(ld.now() - began)
  end
end

--- PUBLICATION has begun: publish it wherever OPTIONS say, until it is over.
function M.push_all(publication, options)
  local urls = look_up(options.push, publication.name)
  if type(urls) == "string" then urls = { urls } end
  for _, url in ipairs(urls or {}) do
    begin(pushes, publication.name .. " " .. url, push_always, publication.name, url, options)
  end
end

return M
