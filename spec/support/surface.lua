--- spec.support.surface: what there really is of the public API, by class: sets of the names of functions and fields.
local api = require "linedancer.api"
local bytes = require "linedancer.bytes"
local config = require "linedancer.config"
local errors = require "linedancer.errors"
local handler = require "linedancer.handler"
local ld = require "linedancer"
local shape = require "linedancer.shape"
local suggest = require "linedancer.suggest"
local t = require "linedancer.testing"

local ADDRESS = "10.0.0.1:80"

local M = {}

-- What is there and is for linedancer's own modules, and for which.
M.INTERNAL = {
  ["linedancer.Conn"] = { machine = "linedancer.machine" },
  ["linedancer.Task"] = { machine = "linedancer.machine" },
  ["linedancer.Format"] = { pack_into = "linedancer.bytes" },
  ["linedancer.Channel"] = {
    append = "linedancer.channel.home", greet = "linedancer.channel.home", tell_closed = "linedancer.channel.home",
    is_needed = "linedancer.channel.registry", let_go = "linedancer.channel.registry",
  },
  ["linedancer.testing.World"] = {
    fail = "itself", draw = "itself", told = "itself", step = "itself", begin_running = "itself", guarded = "itself",
    call = "linedancer.testing.peer", open = "linedancer.testing.network", ensure = "linedancer.testing.listener",
    stage = "linedancer.testing.listener",
  },
}

-- Classes whose fields nothing lists at run time, and why.
M.UNLISTED = {
  ["linedancer.Bytes"] = "its methods are those of slices and buffers",
  ["linedancer.Tls"] = "it takes a TLS connection", ["linedancer.Proxy"] = "it takes a proxy",
  ["linedancer.StarttlsOptions"] = "it is known to one function alone",
  ["linedancer.Postpone"] = "it is opaque", ["linedancer.testing.Step"] = "it is opaque",
  ["linedancer.testing.Options"] = "any key is taken", ["linedancer.testing.Expected"] = "any key is taken",
  ["linedancer.testing.OrderOptions"] = "it is known to one function alone",
}

local function names_of(...)
  local names = {}
  for _, source in ipairs { ... } do
    for name in pairs(source) do
      if not tostring(name):find "^_" then names[tostring(name)] = true end
    end
  end
  return names
end

-- The upvalue of FN called NAME.
local function upvalue(fn, name)
  for i = 1, 255 do
    local found, value = debug.getupvalue(fn, i)
    if found == name then return value end
    assert(found, "no upvalue is called " .. name)
  end
end

-- The methods and facts of instances of a class of linedancer.class.
local function instance(x)
  local index = getmetatable(x).__index
  return names_of(upvalue(index, "shared"), upvalue(index, "facts"))
end

-- The keys that FN(...) knows, by where they stand; `hint` are those that it says it knows.
local function known_by(fn, ...)
  local known_keys, hint, found = shape.known_keys, suggest.hint, {}
  shape.known_keys = function(value, known, path)
    found[path] = found[path] or names_of(known)
    return known_keys(value, known, path)
  end
  suggest.hint = function(name, known)
    found.hint = {}
    for _, key in ipairs(known) do found.hint[key] = true end
    return hint(name, known)
  end
  pcall(fn, ...)
  shape.known_keys, suggest.hint = known_keys, hint
  return found
end

local function add_world(classes)
  local world = t.world { seed = 1 }
  local peer = world:connect(function(conn) conn:read(1) end)
  local peers = getmetatable(peer).__index
  classes["linedancer.testing.World"] = names_of(getmetatable(world).__index,
    { workers = world.workers, seed = world.seed })
  classes["linedancer.testing.Peer"] = names_of(upvalue(peers, "methods"), upvalue(peers, "facts"), { id = peer.id })
  classes["linedancer.testing.ConnectOptions"] = known_by(world.connect, world, function() end, {})[""]
  classes["linedancer.testing.Faults"] = known_by(world.fault, world, {})[""]
  world:close()
  classes["linedancer.testing.WorldOptions"] = known_by(function() t.world({}):close() end)[""]
end

local function examine(conn, classes)
  local up = assert(ld.connect(ADDRESS))
  classes["linedancer.Conn"] = names_of(instance(conn), instance(up))
  classes["linedancer.Task"] = instance(conn:spawn(function() end))
  classes["linedancer.FollowOptions"] = known_by(conn.follow, conn, "surface", { unknown = 1 }).hint
  conn:follow "surface"
  classes["linedancer.Place"] = names_of(conn:following())
  local options = known_by(ld.connect, ADDRESS, { tls = {}, pool = {} })
  classes["linedancer.ConnectOptions"], classes["linedancer.TlsOptions"] = options[""], options.tls
end

local function add_conn(classes)
  local world, ok, err = t.world(), nil, nil
  world:accept(ADDRESS, function() end)
  world:connect(function(conn) ok, err = pcall(examine, conn, classes) end)
  world:close()
  assert(ok, err)
end

local function add_config(classes)
  local found = known_by(config.validate, {
    limits = { per_source = {} },
    listen = { {
      "127.0.0.1:0", handler = "handlers/echo.lua", tls = { certificate = "c", key = "k" },
      proxy_protocol = { "10.0.0.0/8" },
    } },
  })
  classes["linedancer.Config"], classes["linedancer.Listener"] = found[""], found["listen[1]"]
  found[""].admin, found[""].cluster = nil, nil -- not in this build
  classes["linedancer.Limits"] = names_of(found.limits, { per_source = true })
  classes["linedancer.PerSource"] = found["limits.per_source"]
  classes["linedancer.ListenerTls"], classes["linedancer.ListenerProxy"] =
    found["listen[1].tls"], found["listen[1].proxy_protocol"]
  local array = { ["linedancer.Listener"] = "[1]", ["linedancer.ListenerProxy"] = "[integer]" }
  for name, key in pairs(array) do classes[name]["1"], classes[name][key] = nil, true end
  classes["linedancer.ListenerTls"]["[integer]"] = true
end

local function add_handler(classes)
  classes["linedancer.Handler"], classes["linedancer.HandlerLimits"] = names_of(handler.KEYS), names_of(handler.LIMITS)
  classes["linedancer.Timeout"] = known_by(handler.define, {
    states = { a = function() end }, timeouts = { a = { idle = 1 } },
  })["timeouts.a"]
end

local function add_bytes(classes)
  classes["linedancer.Slice"], classes["linedancer.Buffer"] = names_of(bytes.methods.slice),
    names_of(bytes.methods.buffer)
  local format = ld.format "B"
  classes["linedancer.Format"] = names_of(getmetatable(format).__index, { source = format.source })
end

local function add_channel(classes)
  local channel = ld.channel "surface"
  classes["linedancer.Channel"] = names_of(getmetatable(channel).__index, { name = channel.name })
  classes["linedancer.ChannelStats"] = names_of(channel:stats(), { home = true }) -- home: of several workers
  classes["linedancer.ChannelOptions"] = known_by(ld.channel, "surface", { unknown = 1 }).hint
end

local function add_values(classes)
  classes["linedancer.Counter"] = names_of(getmetatable(ld.counter "surface").__index, ld.counter "surface")
  classes["linedancer.Error"] = names_of(errors.new("limit", "", { state = "", id = "" },
    { offset = 1, field = 1, limit = "", traceback = "" }))
  local heads = {}
  for _, line in ipairs { "GET / HTTP/1.1", "HTTP/1.1 200 OK" } do
    t.play(function(conn) heads[#heads + 1] = conn:packet "http" end, { line .. "\r\n\r\n" })
  end
  classes["linedancer.HttpHead"] = names_of(heads[1], heads[2])
  local run, play = t.play(function(conn) conn:fail "x" end, {}), t.begin(function(conn) conn:read(1) end, {})
  classes["linedancer.testing.Run"] = names_of(run, getmetatable(run).__index, { state = t.result(play).state })
  play.peer, play.machine, play.run = nil, nil, nil -- for linedancer.testing
  classes["linedancer.testing.Play"] = names_of(play)
end

--- The sets of names, by class.
function M.classes()
  local classes = {
    linedancer = names_of(ld), ["linedancer.log"] = names_of(ld.log), ["linedancer.crypto"] = names_of(ld.crypto),
    ["linedancer.testing"] = names_of(t),
  }
  add_handler(classes)
  add_bytes(classes)
  add_world(classes)
  add_conn(classes)
  add_channel(classes)
  add_values(classes)
  add_config(classes)
  for class, names in pairs(M.INTERNAL) do
    for name, user in pairs(names) do
      assert(classes[class][name], ("%s.%s, for %s, is no more"):format(class, name, user))
      classes[class][name] = nil
    end
  end
  return classes
end

--- The codes of errors that the core has names for.
function M.codes()
  local codes = {}
  for name in pairs(api.status) do
    if type(name) == "string" then codes[name:lower()] = true end
  end
  for _, name in ipairs { "ok", "again", "eof", "moved" } do codes[name] = nil end -- nobody sees them
  return codes
end

return M
