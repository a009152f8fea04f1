--- linedancer.release: what is to be done when a connection or task has ended, besides its own on_close.
local api = require "linedancer.api"
local log = require "linedancer.log"

local M = {}

local W, entangle = api.vm, api.struct.entangle

--- Call FN(conn, reason) once CONN has ended, after its on_close. FN is a function of a module: adding it again changes
-- nothing.
function M.add(conn, fn)
  local list = conn[6]
  if not list then
    list = {}
    conn[6] = list
    entangle(W, conn[1])
  end
  for i = 1, #list do
    if list[i] == fn then return end
  end
  list[#list + 1] = fn
end

--- A function that returns LISTS[conn], { count = 0, [FIELD] = {} } when it is new. ENDED is called as by add().
function M.lister(lists, field, ended)
  return function(conn)
    local list = lists[conn]
    if not list then
      list = { count = 0, [field] = {} }
      lists[conn] = list
      M.add(conn, ended)
    end
    return list
  end
end

--- CONN has ended: for linedancer.machine alone.
function M.run(conn, reason)
  local list = conn[6]
  if not list then return end
  conn[6] = nil
  for i = 1, #list do
    local ok, err = xpcall(list[i], debug.traceback, conn, reason)
    if not ok then log.error("release failed", { error = err }) end
  end
end

return M
