--- plan: a config as text for the supervisor, which knows no Lua, with the files that workers are to load.
--
-- A sequence of strings, each as "LENGTH:BYTES,": workers ("auto": one per processor), drain, heartbeat, log level, 1
-- if files are watched; of whoever runs handlers: user ("": stay who we are), uid, gid, 1 if without new privileges, 1
-- if system calls are filtered; the number of listeners, and of each family, host, path, text, handler, port, backlog,
-- the mode of a unix socket's file (0: any), and 1 if it stays while the gateway drains; the directory of the bundled
-- handlers; the secret of the gateway (see linedancer.secret); the number of files, and of each its path and text.
-- core/plan.c reads it.
local BEFORE_LISTENERS = 10

local M = {}

local function add(parts, value)
  local text = type(value) == "number" and ("%.17g"):format(value) or tostring(value)
  parts[#parts + 1] = ("%d:%s,"):format(#text, text)
end

local function add_listener(parts, listener, handler)
  local address = listener.address
  add(parts, address.family)
  add(parts, address.host or "")
  add(parts, address.path or "")
  add(parts, address.text)
  add(parts, handler)
  add(parts, address.port or 0)
  add(parts, listener.backlog or M.BACKLOG)
  add(parts, listener.mode or 0)
  add(parts, listener.exempt and 1 or 0)
end

--- How many clients may wait in a listener's queue, if its config does not say.
M.BACKLOG = 1024

local function add_confinement(parts, config, identity)
  add(parts, identity.user)
  add(parts, identity.uid)
  add(parts, identity.gid)
  add(parts, config.no_new_privs and 1 or 0)
  add(parts, config.seccomp and 1 or 0)
end

--- The plan of CONFIG with LISTENERS; HANDLERS holds the name of each one's handler, HANDLERS_PATH is the directory of
-- the bundled ones, SECRET is the gateway's, FILES what was read, by path, IDENTITY of gateway/confine.
function M.encode(config, listeners, handlers, handlers_path, secret, files, identity)
  local parts, paths = {}, {}
  add(parts, config.workers or "auto")
  add(parts, config.drain)
  add(parts, config.limits.heartbeat)
  add(parts, config.log.level)
  add(parts, config.watch and 1 or 0)
  add_confinement(parts, config, identity)
  add(parts, #listeners)
  for i, listener in ipairs(listeners) do add_listener(parts, listener, handlers[i]) end
  add(parts, handlers_path)
  add(parts, secret)
  for path in pairs(files) do paths[#paths + 1] = path end
  table.sort(paths)
  add(parts, #paths)
  for _, path in ipairs(paths) do
    add(parts, path)
    add(parts, files[path])
  end
  return table.concat(parts)
end

--- What a worker needs of plan TEXT: HANDLERS_PATH, SECRET and FILES, as they were given to encode().
function M.decode(text)
  local at = 1
  local function take()
    local length, start = text:match("^(%d+):()", at)
    at = start + length + 1
    return text:sub(start, start + length - 1)
  end
  for _ = 1, BEFORE_LISTENERS do take() end
  for _ = 1, 9 * take() do take() end
  local handlers_path, secret, files = take(), take(), {}
  for _ = 1, tonumber(take()) do
    local path = take()
    files[path] = take()
  end
  return handlers_path, secret, files
end

return M
