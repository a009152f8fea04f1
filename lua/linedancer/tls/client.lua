--- linedancer.tls.client: TLS on connections that we make, and what conn:starttls() says as a client.
--
--   tls = true                   the certificates that the system trusts, and the host's own name
--   tls = { server_name = "db.example",  who is to be reached, if that is not the host of the address
--           ca = "ca.pem",               whom to trust instead: a file, or the PEM text itself
--           verify = false,              anybody, under any name: safe from those who only listen
--           certificate =, key =,        our own, each a file or PEM text
--           alpn = { "mqtt" } }          protocols, the best first
--
-- What is made of the same terms is used for a minute, then files are read again.
local api = require "linedancer.api"
local shape = require "linedancer.shape"
local source = require "linedancer.handler.source"
local tls = require "linedancer.tls"

--- TEXTS: the options that are files or PEM texts.
local M = { TEXTS = { "ca", "certificate", "key" } }

local core, W, now = api.core, api.vm, api.struct.now

--- Whom to trust, and as who, on connections that we make.
---@class linedancer.TlsOptions
---@field server_name? string who is to be reached, if that is not the host of the address
---@field ca? string whom to trust instead of those that the system trusts: a file, or PEM text
---@field verify? boolean false: anybody, under any name
---@field certificate? string our own, a file or PEM text; with key
---@field key? string of the certificate, a file or PEM text
---@field alpn? string[] protocols, the best first

local KEYS = { server_name = true, ca = true, verify = true, certificate = true, key = true, alpn = true }
local TEXTS = M.TEXTS
local FRESH = 60 -- seconds
local MOST = 64 -- contexts kept

local at, refuse, typed = shape.at, shape.refuse, shape.typed

local kept, order = {}, {} -- by terms: { context =, made = }; terms, the oldest first

local function check_name(name, path)
  typed(name, "string", path)
  if #name == 0 or #name > 253 or name:find "[%z\1-\32/]" then
    refuse("%s must be the name of a host, not %s", path, shape.describe(name))
  end
  return name
end

--- GIVEN, at PATH of some options, in one form: what it says, and terms = a text that is the same for the same
-- context; nil for none. Refuses what is wrong.
function M.check(given, path)
  if not given then return nil end
  if given == true then given = {} end
  shape.known_keys(typed(given, "table", path), KEYS, path)
  local plan = { trusting = given.verify ~= nil and not typed(given.verify, "boolean", at(path, "verify")) }
  if given.server_name then plan.server_name = check_name(given.server_name, at(path, "server_name")) end
  for _, key in ipairs(TEXTS) do
    if given[key] then plan[key] = typed(given[key], "string", at(path, key)) end
  end
  if (plan.certificate == nil) ~= (plan.key == nil) then refuse("%s: certificate and key belong together", path) end
  if given.alpn then plan.alpn = tls.alpn(given.alpn, at(path, "alpn")) end
  plan.terms = table.concat({
    tostring(plan.trusting), plan.ca or "", plan.certificate or "", plan.key or "", plan.alpn or "",
  }, "\0")
  return plan
end

--- Is TEXT what a file would hold, and not its name?
function M.is_pem(text) return text:find("-----BEGIN", 1, true) ~= nil end

-- PEM text itself, or that of the file.
local function text_of(given)
  if not given or M.is_pem(given) then return given end
  return source.read_disk(given)
end

local function make(plan)
  local terms = { trusting = plan.trusting, alpn = plan.alpn }
  for _, key in ipairs(TEXTS) do
    local message
    terms[key], message = text_of(plan[key])
    if message then return nil, message end
  end
  return core.tls_client(terms)
end

local function keep(terms, context)
  if not kept[terms] then
    order[#order + 1] = terms
    if #order > MOST then kept[table.remove(order, 1)] = nil end
  end
  kept[terms] = { context = context, made = now(W) }
end

--- What core.dial() and core.secure() take for PLAN, of check(); or nil and why not.
function M.context(plan)
  local known = kept[plan.terms]
  if known and now(W) - known.made < FRESH then return known.context end
  local context, message = make(plan)
  if context then keep(plan.terms, context) end
  return context, message
end

return M
