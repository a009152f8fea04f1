--- linedancer.class: the metatables of connections and tasks, one for each machine.

---@class linedancer.Conn
---@field options table of the handler, as the config gives them; the same table for all connections of a listener
---@field version integer which version of the code it runs, 1 for the first
---@field handler string name of the handler

local M = {}

--- The metatable of MACHINE's instances, which have METHODS, FACTS (functions, called when asked for) and fields of the
-- handler's own. NAME is what messages call them. What instances share and the methods are in one table, so that one
-- lookup finds either.
function M.new(machine, methods, facts, name)
  local shared = { machine = machine, options = machine.options, version = machine.version, handler = machine.name }
  for key, method in pairs(methods) do shared[key] = method end
  return {
    machine = machine,
    __name = "linedancer." .. name,
    __index = function(conn, key)
      local value = shared[key]
      if value ~= nil then return value end
      local fact = facts[key]
      if fact then return fact(conn) end
    end,
    __newindex = function(conn, key, value)
      if shared[key] ~= nil or facts[key] then
        error(("%s.%s is linedancer's own: choose another name"):format(name, key), 2)
      end
      rawset(conn, key, value)
    end,
    __tostring = function(conn) return name .. " " .. conn.id end,
  }
end

return M
