--- rtmp/access: what a peer asks for, by which name, and whether it may.
--
-- A request is what the user's hooks get, a table of plain values:
--
--   app, name       of the stream, "app/name"; what = "connect", "publish", "play" or "done"
--   query           the parameters of the app, the address and the name, "?a=1&b=2", the name's last
--   peer, id        its address and the connection's id
--   url, agent      what its connect said: tcUrl and flashVer, or what a browser calls itself
--   protocol        "rtmp" or "http"; type = "live", "record" or "append" of a publisher
--
-- A hook runs in a task and may wait. It returns true; or false and a reason; or { redirect = url }; or { name = "app/
-- other" }, the stream that is meant. Anything else is a no, and so is an error, or no answer in time.
local ld = require "linedancer"
local network = require "linedancer.network"

local M = {}

local NAME_MAX, QUERY_MAX = 200, 64 -- bytes; parameters

local addresses = ld.keep "rtmp/addresses" -- of this worker: connections by host

--- CONN is there: is it one of no more than options.max_per_address from its address? M.leave(conn) undoes it.
function M.enter(conn)
  local most, host = conn.options.max_per_address, network.host(conn.peer)
  local count = (addresses[host] or 0) + 1
  if most > 0 and count > most then return false end
  addresses[host], conn.counted = count, host
  return true
end

--- CONN is gone.
function M.leave(conn)
  local host = conn.counted
  if not host then return end
  conn.counted = nil
  addresses[host] = addresses[host] > 1 and addresses[host] - 1 or nil
end

--- The default of the hooks: everybody may.
function M.anybody() return true end

local function decode(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

-- Add the parameters of TEXT, "a=1&b=2", to QUERY.
local function parse_query(text, query)
  local count = 0
  for key, value in text:gmatch "([^&=]+)=?([^&]*)" do
    count = count + 1
    if count > QUERY_MAX then return end
    query[decode(key)] = decode(value)
  end
end

-- PATH without its parameters, which go to QUERY, and without slashes at its ends or doubled.
local function clean(path, query)
  local before, parameters = path:match "^([^?]*)%??(.*)$"
  parse_query(parameters, query)
  return (before:gsub("//+", "/"):gsub("^/", ""):gsub("/$", ""))
end

--- The parameters of APP and URL (tcUrl, may be nil), the app's last.
function M.query(app, url)
  local query = {}
  if url then parse_query(url:match "%?(.*)$" or "", query) end
  parse_query(app:match "%?(.*)$" or "", query)
  return query
end

--- The app, the name and the query that APP, URL (tcUrl, may be nil) and PATH, the name in a publish or play, mean.
-- Either may have parameters and slashes, and a name that is empty is the end of the app. Nil and a reason when that is
-- no name.
function M.split(app, url, path)
  local query = M.query("", url)
  app = clean(app, query)
  local name = clean(path, query)
  if name == "" then app, name = app:match "^(.*)/([^/]+)$" end
  if not name then return nil, "the stream has no name" end
  local full = app == "" and name or app .. "/" .. name
  if #full > NAME_MAX then return nil, ("the stream's name has more than %d bytes"):format(NAME_MAX) end
  if full:find "[%z\1-\31\127]" then return nil, "the stream's name has control characters" end
  return app, name, query
end

--- The stream that REQUEST is about: "app/name".
function M.stream(request)
  return request.app == "" and request.name or request.app .. "/" .. request.name
end

-- ACTION is "publish" or "play".
local function check_address(options, action, peer)
  local denied, allowed = options[action .. "_deny"], options[action .. "_allow"]
  if network.is_in(peer, denied) or #allowed > 0 and not network.is_in(peer, allowed) then
    return false, "not from this address"
  end
  return true
end

local function check_token(options, action, query)
  local token = options[action .. "_token"]
  if token == "" or ld.crypto.equal(query[options.token_name] or "", token) then return true end
  return false, "wrong token"
end

-- In a task: answer the call that brings the request.
local function answer(hook)
  local from, request = ld.receive()
  local ok, verdict, detail = pcall(hook, request)
  if not ok then
    ld.log.error("hook failed", { what = request.what, error = tostring(verdict) })
    verdict, detail = false, "the hook failed"
  end
  ld.reply(from, { verdict, detail })
end

-- What the user's hook for REQUEST.what says: true, false and a reason, or a table.
local function ask(conn, request)
  local hook = conn.options["on_" .. request.what]
  if hook == M.anybody then return true end
  local task = conn:spawn(answer, hook)
  local result, why = ld.call(task, request, conn.options.hook_timeout)
  if not result then
    task:cancel()
    ld.log.warn("hook gave no answer", { conn = conn.id, what = request.what, why = why })
    return false, "no answer in time"
  end
  local verdict, detail = result[1], result[2]
  if verdict == true or type(verdict) == "table" then return verdict end
  return false, type(detail) == "string" and detail or "not allowed"
end

--- Ask the user's on_connect hook: true, or false and a reason, or { redirect = url }. Waits.
function M.connect(conn, request)
  return ask(conn, request)
end

-- Take the name that the hook gave into REQUEST.
local function rename(request, name)
  local app, rest = tostring(name):match "^(.*)/([^/]+)$"
  request.app, request.name = app or "", rest or tostring(name)
end

--- May CONN do what REQUEST.what says, "publish" or "play"? True, and then REQUEST.app and .name are those that the
-- hook has chosen; or false and a reason; or { redirect = url }. Waits.
function M.may(conn, request)
  local options = conn.options
  local ok, reason = check_address(options, request.what, request.peer)
  if ok then ok, reason = check_token(options, request.what, request.query) end
  if not ok then return false, reason end
  local verdict, detail = ask(conn, request)
  if type(verdict) ~= "table" then return verdict, detail end
  if verdict.redirect then return verdict end
  if not verdict.name then return false, "not allowed" end
  rename(request, verdict.name)
  return true
end

--- Tell the user's on_done hook that what REQUEST began is over; REASON says why. Does not wait.
function M.done(conn, request, reason)
  local hook = conn.options.on_done
  if hook == M.anybody then return end
  local copy = {}
  for key, value in pairs(request) do copy[key] = value end
  copy.reason = reason
  ld.spawn(hook, copy)
end

return M
