--- linedancer.secret: bytes that all workers of a gateway know, and nobody else: what crypto.secret() is made of.
--
-- The process that plans draws them, and they reach the workers with the plan. Where there is one process only, it
-- draws its own.
local core = require("linedancer.api").core

local M = {}

M.SIZE = 32

local root

--- A new one.
function M.new()
  return core.random(M.SIZE) or error("the system has no random bytes", 0)
end

--- This process's, SIZE bytes.
function M.root()
  root = root or M.new()
  return root
end

--- From now on it is BYTES: before anybody has asked for it.
function M.share(bytes)
  root = bytes
end

return M
