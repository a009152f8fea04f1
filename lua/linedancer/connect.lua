--- linedancer.connect: outgoing connections.
--
-- Such a connection has no coroutine of its own: whoever made it reads it. It belongs to the connection or task that
-- made it, ends with that, and has its limits. Names are resolved, and addresses tried, by the core (core/dial.h).
local address = require "linedancer.address"
local api = require "linedancer.api"
local class = require "linedancer.class"
local client = require "linedancer.tls.client"
local conns = require "linedancer.conn"
local deferred = require "linedancer.deferred"
local errors = require "linedancer.errors"
local park = require "linedancer.park"
local pool = require "linedancer.connect.pool"
local proxy_protocol = require "linedancer.proxy_protocol"
local shape = require "linedancer.shape"

local core = api.core

local TIMEOUT = 10 -- seconds
local OPTIONS = { timeout = true, bind = true, source = true, pool = true, tls = true, proxy = true }

--- Options of ld.connect().
---@class linedancer.ConnectOptions
---@field timeout? number seconds for everything (10)
---@field bind? string network interface to use
---@field source? string local address, or address:port, to come from
---@field tls? boolean|linedancer.TlsOptions over TLS
---@field proxy? { of: linedancer.Conn, version?: 1|2 } whom it is for, said by the PROXY protocol; not with pool
---@field pool? boolean|{ size?: integer, idle?: number } idle ones kept for an address (16), for how many seconds (60)

local LIMITS = { frame = 2 ^ 20, output = 2 ^ 20, linger = 5, mailbox = 0 }

local M = {}

--- dial(target, machine, parent, done) -> a dial, or nil, code, message; cancel(dial). DONE(conn), or DONE(nil, code,
-- message), is called once, later, within target.timeout. Replaceable: a simulated world has its own.
M.dial, M.cancel = core.dial, core.dial_cancel

local machines = {} -- by limits

-- Made late, when every module has added its methods.
local function make_machine(limits)
  local methods, facts = { release = pool.release }, { reused = pool.reused }
  for name, method in pairs(conns.methods) do methods[name] = method end
  for name, fact in pairs(conns.facts) do facts[name] = fact end
  local machine = {
    name = "client", names = {}, states = {}, options = {}, limits = limits, version = 1, outgoing = true,
  }
  machine.handle = core.machine {
    class = class.new(machine, methods, facts, "conn"), timeouts = {},
    frame = limits.frame, output = limits.output, linger = limits.linger,
  }
  return machine.handle
end

-- The machine of what CONN makes, and its name. A task of its own has no limits for output.
local function machine_of(conn)
  local own = conn.machine.limits
  local limits = LIMITS
  if own.output > 0 then limits = { frame = own.frame, output = own.output, linger = own.linger, mailbox = 0 } end
  local name = ("%d %d %g"):format(limits.frame, limits.output, limits.linger)
  machines[name] = machines[name] or make_machine(limits)
  return machines[name], name
end

-- { version =, of = a connection }: what to say to the other end first.
local function check_proxy(given)
  if given == nil then return nil end
  shape.typed(given, "table", "proxy")
  shape.known_keys(given, { version = true, of = true }, "proxy")
  local version = given.version or 2
  if version ~= 1 and version ~= 2 then
    shape.refuse("proxy.version must be 1 or 2, not %s", shape.describe(version))
  end
  if type(given.of) ~= "table" or not given.of[1] then shape.refuse "proxy.of must be the connection to tell of" end
  return proxy_protocol.head(version, given.of.peer, given.of.local_address)
end

local function check_options(opts)
  shape.typed(opts, "table", "the options of connect")
  shape.known_keys(opts, OPTIONS, "")
  if opts.timeout ~= nil then shape.positive(opts.timeout, "timeout") end
  local device = opts.bind
  if device ~= nil and (type(device) ~= "string" or not device:find "^[^/%s%z]+$" or #device > 15) then
    shape.refuse("bind must be the name of a network interface, such as \"eth0\", not %s; a local address is `source`",
      shape.describe(device))
  end
  local source, message
  if opts.source ~= nil then
    source, message = address.source(opts.source)
    if not source then shape.refuse("%s", message) end
  end
  return {
    timeout = opts.timeout or TIMEOUT, device = device, source = source, pool = pool.options(opts.pool),
    tls = client.check(opts.tls, "tls"), proxy = check_proxy(opts.proxy),
  }
end

-- The plan for OPTS, or nil and a message.
local plan_of = shape.guard(check_options)

-- What the core is to do for TEXT as PLAN says; or nil and an error object.
local function target_of(text, plan)
  local target, message = address.target(text)
  if not target then return nil, errors.new("error", message) end
  local source = plan.source
  if target.path and (source or plan.device) then
    return nil, errors.new("error", ("address '%s': a unix socket has neither source nor bind"):format(text))
  end
  target.timeout, target.device, target.head = plan.timeout, plan.device, plan.proxy
  if source then target.source, target.source_port = source.host, source.port end
  if not plan.tls then return target end
  target.server_name = plan.tls.server_name or target.host
  if not (target.server_name or plan.tls.trusting) then
    return nil, errors.new("error", ("address '%s': tls takes a server_name there"):format(text))
  end
  target.tls, message = client.context(plan.tls)
  if not target.tls then return nil, errors.new("tls", message) end
  return target
end

local function close(conn) conn:close() end

local function dial(self, target, machine)
  local conn, code, message = deferred.wait(self, function(done)
    return M.dial(target, machine, self[1], done)
  end, M.cancel, close)
  if not conn then return nil, errors.new(code, message, self) end
  return conn
end

--- Connect to TEXT, "host:port", "[::1]:80" or "unix:/path", and return the connection; or nil and an error object:
-- dns, refused, unreachable, reset, timeout, tls, limit (no descriptor or port is free, or thousands are being made),
-- error.
-- OPTS: timeout = seconds for everything (10); bind = the network interface to use; source = the local address, or
-- address:port, to come from; tls = true or as of linedancer.tls.client; proxy = { of = conn, version = 1 or 2 } to
-- say first, by the PROXY protocol, whom it is for; pool = true or { size = 16, idle = 60 } to take a connection that
-- conn:release() gave back, if there is one (conn.reused), and to be able to. Waits; raises `hook` where nothing may.
---@function ld.connect
---@async
---@param text string the address
---@param opts? linedancer.ConnectOptions how
---@return linedancer.Conn? conn
---@return linedancer.Error? err
function M.connect(text, opts)
  local self = park.waiting()
  local plan, message = plan_of(opts or {})
  if plan and plan.proxy and plan.pool then plan, message = nil, "proxy and pool exclude each other" end
  if not plan then error("connect: " .. message, 2) end
  if type(text) ~= "string" then
    error("connect: an address such as \"example.com:80\" expected, not " .. shape.describe(text), 2)
  end
  local target, err = target_of(text, plan)
  if not target then return nil, err end
  local machine, name = machine_of(self)
  if not plan.pool then return dial(self, target, machine) end
  local terms = plan.tls and plan.tls.terms .. " " .. (target.server_name or "") or ""
  local key = table.concat({ target.key, plan.device or "", opts.source or "", name, terms }, " ")
  local conn = pool.take(key, self, plan.pool)
  if conn then return conn end
  conn, err = dial(self, target, machine)
  if conn then pool.enrol(conn, key, plan.pool) end
  return conn, err
end

return M
