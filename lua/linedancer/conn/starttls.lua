--- linedancer.conn.starttls: a connection that began plain goes on over TLS.
--
-- Of one that a client made, as the server, with the certificates that its listener's `tls` names beside on_demand =
-- true; of one that we made, as the client, with what linedancer.tls.client says. What was read before and is unread
-- was not protected, whoever sent it: it is refused, not mistaken for what comes after.
local api = require "linedancer.api"
local client = require "linedancer.tls.client"
local conns = require "linedancer.conn"
local deferred = require "linedancer.deferred"
local errors = require "linedancer.errors"
local park = require "linedancer.park"
local shape = require "linedancer.shape"

local M = {}

local core, leaf, W = api.core, api.struct, api.vm

--- Options of conn:starttls(); those of TLS are for connections that we made.
---@class linedancer.StarttlsOptions: linedancer.TlsOptions
---@field timeout? number seconds for the handshake (10)

local TIMEOUT = 10 -- seconds

--- secure(handle, context, name, seconds, done), cancel(request): see core/bind/lib_secure.c. Replaceable: there is no
-- socket in a test.
M.secure, M.cancel = core.secure, core.secure_cancel

local simulated = setmetatable({}, { __mode = "k" }) -- facts, by connection

--- From now on no handshake is made, and all succeed: for tests without sockets.
function M.simulate()
  M.secure = function(handle, _, name, _, done)
    simulated[core.conn_of(handle)] = {
      version = "TLSv1.3", cipher = "TLS_AES_256_GCM_SHA384", server_name = name, resumed = false,
    }
    done(true)
    return true
  end
end

--- What conn.tls is.
---@class linedancer.Tls
---@field version string "TLSv1.3"
---@field cipher string "TLS_AES_256_GCM_SHA384"
---@field server_name? string which the client asked for
---@field alpn? string protocol that was agreed on
---@field subject? string of the certificate of the other end
---@field resumed boolean whether an earlier session goes on

--- What TLS has agreed on; false when the connection is plain.
---@class linedancer.Conn
---@field tls linedancer.Tls|false
function conns.facts.tls(self) return core.tls_facts(self[1]) or simulated[self] or false end

local function check(opts, serves)
  local rest = {}
  for key, value in pairs(shape.typed(opts, "table", "the options of starttls")) do rest[key] = value end
  local timeout = rest.timeout == nil and TIMEOUT or shape.positive(rest.timeout, "timeout")
  rest.timeout = nil
  if not serves then return timeout, client.check(rest, "") end
  shape.known_keys(rest, {}, "")
  return timeout
end

local guarded = shape.guard(function(opts, serves)
  local timeout, plan = check(opts, serves)
  return { timeout = timeout, client = plan }
end)

local function refuse(self, code, message) error(errors.new(code, message, self), 0) end

-- Refuse what cannot be secured.
local function examine(self)
  if self.tls then refuse(self, "protocol", "the connection is over TLS already") end
  if self.unread > 0 then
    refuse(self, "protocol", ("%d bytes came before TLS was agreed on"):format(self.unread))
  end
end

local function none() end

--- Wait until all output is gone, and for a TLS handshake then. Unread input raises `protocol`; a handshake that fails
-- raises `tls`, or what else there is to say, and the connection is over. OPTS: timeout = seconds (10), and, on a
-- connection that we made, what linedancer.tls.client lists; server_name, unless verify = false.
---@function conn:starttls
---@async
---@param opts? linedancer.StarttlsOptions how
---@raise protocol, tls, timeout
function conns.methods:starttls(opts)
  local waiter = park.waiting()
  local serves = not self.machine.outgoing
  local plan, message = guarded(opts or {}, serves)
  if not plan then error("starttls: " .. message, 2) end
  if not serves and not plan.client.server_name and not plan.client.trusting then
    error("starttls: server_name is missing: who is to be reached?", 2)
  end
  examine(self)
  self:flush()
  examine(self)
  local context
  if not serves then
    context, message = client.context(plan.client)
    if not context then refuse(self, "tls", message) end
  end
  local ok, code, why = deferred.wait(waiter, function(done)
    return M.secure(self[1], context, not serves and plan.client.server_name or nil, plan.timeout, done)
  end, M.cancel, none)
  if ok then return end
  leaf.close(W, self[1], 0)
  refuse(self, code, why)
end

return M
