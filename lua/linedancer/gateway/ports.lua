--- gateway/ports: what the core is told of listeners, when they are opened and when they change.
local log = require "linedancer.log"
local plan = require "linedancer.plan"
local versions = require "linedancer.versions"

local M = {}

local core = require("linedancer.api").core

--- A worker's share of COUNT, so that all of them together have no less.
function M.share(count)
  local _, _, slots = core.worker()
  return count and math.ceil(count / math.max(slots, 1))
end

-- The address with the port that was really bound.
local function bound(address, port)
  if address.family == "unix" then return "unix:" .. address.path end
  return (address.family == "ipv6" and "[%s]:%d" or "%s:%d"):format(address.host, port)
end

-- TLS and PROXY headers: what comes before a handler.
local function add_handshake(terms, part)
  local tls, proxies = part.listener.tls, part.listener.proxy_protocol
  if tls then terms.tls, terms.handshake, terms.on_demand = part.tls, tls.handshake, tls.on_demand end
  if not proxies then return terms end
  terms.proxies, terms.direct = proxies.networks, proxies.direct
  terms.handshake = (terms.handshake and not terms.on_demand and terms.handshake or 0) + proxies.timeout
  return terms
end

-- What core.listen() takes for PART, the INDEX-th listener of its config.
local function terms(part, index)
  local listener = part.listener
  local address = listener.address
  return add_handshake({
    family = address.family, host = address.host, port = address.port, path = address.path, mode = listener.mode,
    backlog = listener.backlog or plan.BACKLOG, machine = part.machine.handle, index = index,
    max = listener.exempt and listener.max_connections or M.share(listener.max_connections), exempt = listener.exempt,
    number = part.number,
  }, part)
end

--- Open the listener of PART, the INDEX-th of its config: true, or nil and a message. In a worker the supervisor has
-- bound the address, and said so.
function M.open(part, index)
  local address = part.listener.address
  local number, port = core.listen(terms(part, index))
  if not number then return nil, ("cannot listen on %s: %s"):format(address.text, port) end
  part.number, part.port = number, port
  if core.role() == "alone" then
    log.info("listening", { address = bound(address, port), handler = part.definition.name })
  end
  return true
end

--- The listener of PART, which is open, has changed.
function M.reopen(part, index) core.relisten(terms(part, index)) end

--- Open all of PARTS.
function M.open_all(parts)
  for i, part in ipairs(parts) do
    local ok, message = M.open(part, i)
    if not ok then return nil, message end
    versions.add(part.machine, part.listener.name)
  end
  return true
end

return M
