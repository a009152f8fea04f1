--- linedancer.tls: what a listener's `tls` says, and what the core makes of it.
--
--   tls = { certificate = "cert.pem", key = "key.pem" }                    the certificate, followed by those it needs
--   tls = { { certificate =, key = }, { certificate =, key = } }           chosen by the name that a client asks for
--
-- and beside those: alpn = { names, the best first }; client = "optional" or "required", with client_ca = a file of who
-- signs certificates of clients; handshake = seconds that a client has for it (10); on_demand = true: connections are
-- plain until their handler calls conn:starttls(). Paths are as seen from the config.
local core = require("linedancer.api").core
local shape = require "linedancer.shape"
local source = require "linedancer.handler.source"

--- The `tls` of a listener: { certificate =, key = }, or an array of such pairs, chosen by the name that is asked for.
---@class linedancer.ListenerTls
---@field certificate? string file: the certificate, followed by those it needs
---@field key? string file
---@field [integer] { certificate: string, key: string } chosen by name
---@field alpn? string[] protocols, the best first
---@field client? "optional"|"required" certificates of clients; with client_ca
---@field client_ca? string file: who signs certificates of clients
---@field handshake? number seconds that a client has for it (10)
---@field on_demand? boolean plain until the handler calls conn:starttls() (false)

local M = {}

local at, refuse, typed = shape.at, shape.refuse, shape.typed

local PAIR = { certificate = true, key = true }
local REST = { alpn = true, client = true, client_ca = true, handshake = true, on_demand = true }
local CLIENTS = { optional = 1, required = 2 } -- as enum ld_tls_client of core/tls.h
local HANDSHAKE = 10 -- seconds
local SOON = 14 * 86400 -- seconds before a certificate expires

local function keys_of(...)
  local known = {}
  for _, set in ipairs { ... } do
    for key in pairs(set) do known[key] = true end
  end
  return known
end

local function pair_of(value, path, base_dir)
  local pair = {}
  for _, key in ipairs { "certificate", "key" } do
    pair[key] = source.join(base_dir, typed(value[key], "string", at(path, key)))
  end
  return pair
end

local function pairs_of(tls, path, base_dir)
  if tls[1] == nil then
    shape.known_keys(tls, keys_of(PAIR, REST), path)
    return { pair_of(tls, path, base_dir) }
  end
  local known, list = keys_of(REST), {}
  for i, one in ipairs(tls) do
    known[i] = true
    shape.known_keys(typed(one, "table", at(path, i)), PAIR, at(path, i))
    list[i] = pair_of(one, at(path, i), base_dir)
  end
  shape.known_keys(tls, known, path)
  return list
end

--- NAMES, of ALPN, at PATH of some options, as they are on the wire. Refuses what they cannot be.
function M.alpn(names, path)
  local parts = {}
  for i, name in ipairs(typed(names, "table", path)) do
    typed(name, "string", at(path, i))
    if #name == 0 or #name > 255 then refuse("%s must be 1 to 255 bytes", at(path, i)) end
    parts[i] = string.char(#name) .. name
  end
  return table.concat(parts)
end

--- TLS, a listener's, at PATH of its config, in one form; relative to BASE_DIR. Refuses what is wrong.
function M.check(tls, path, base_dir)
  typed(tls, "table", path)
  local checked = { pairs = pairs_of(tls, path, base_dir), handshake = HANDSHAKE }
  if tls.alpn ~= nil then checked.alpn = M.alpn(tls.alpn, at(path, "alpn")) end
  if tls.handshake ~= nil then checked.handshake = shape.positive(tls.handshake, at(path, "handshake")) end
  if tls.on_demand ~= nil then checked.on_demand = typed(tls.on_demand, "boolean", at(path, "on_demand")) end
  if tls.client ~= nil then
    checked.client = CLIENTS[tls.client]
    if not checked.client then refuse("%s must be \"optional\" or \"required\"", at(path, "client")) end
    checked.client_ca = source.join(base_dir, typed(tls.client_ca, "string", at(path, "client_ca")))
  elseif tls.client_ca ~= nil then
    refuse("%s takes client = \"optional\" or \"required\" beside it", at(path, "client_ca"))
  end
  return checked
end

-- The texts of FILES by name, or nil and why one cannot be read.
local function read_all(files)
  local texts = {}
  for name, filename in pairs(files) do
    local text, message = source.read(filename)
    if not text then return nil, message end
    texts[name] = text
  end
  return texts
end

local function terms_of(checked)
  local terms, message = read_all { client_ca = checked.client_ca }
  if not terms then return nil, message end
  terms.pairs, terms.alpn, terms.client = {}, checked.alpn, checked.client
  for i, pair in ipairs(checked.pairs) do
    local texts
    texts, message = read_all(pair)
    if not texts then return nil, message end
    terms.pairs[i] = texts
  end
  return terms
end

--- Have the files of CHECKED, of check(), read while this process may: true, or nil and why they cannot be.
function M.read(checked)
  local terms, message = terms_of(checked)
  return terms and true, message
end

--- What core.listen() takes for CHECKED, of check(), and a warning or nil; or nil and why not.
function M.context(checked)
  local terms, message = terms_of(checked)
  if not terms then return nil, message end
  terms.secret = require("linedancer.crypto").secret "linedancer.tls"
  local context, expires = core.tls_context(terms)
  local name = checked.pairs[1].certificate
  if not context then return nil, ("%s: %s"):format(name, expires) end
  if expires > SOON then return context end
  return context, expires <= 0 and ("%s: a certificate has expired"):format(name)
    or ("%s: a certificate expires in %.1f days"):format(name, expires / 86400)
end

return M
