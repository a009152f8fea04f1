--- linedancer.crypto: digests, MACs, random bytes and base64, by OpenSSL.
--
-- DATA is a string, slice, buffer or blob; results are strings. Wrong arguments raise. Algorithms: md5, sha1,
-- sha224, sha256, sha384, sha512, sha3-256, sha3-512, blake2s256, blake2b512.
local api = require "linedancer.api"
local bytes = require "linedancer.bytes"
local secret = require "linedancer.secret"
local suggest = require "linedancer.suggest"

local core = api.core

local ALGORITHMS = {
  md5 = true, sha1 = true, sha224 = true, sha256 = true, sha384 = true, sha512 = true, ["sha3-256"] = true,
  ["sha3-512"] = true, blake2s256 = true, blake2b512 = true,
}

--- The name of a digest.
---@alias linedancer.Algorithm
---| "md5"
---| "sha1"
---| "sha224"
---| "sha256"
---| "sha384"
---| "sha512"
---| "sha3-256"
---| "sha3-512"
---| "blake2s256"
---| "blake2b512"

local MOST_RANDOM = 2 ^ 20

--- Digests, MACs, random bytes and base64, by OpenSSL.
---@class linedancer.crypto

local M = {}

-- X as a string; NAME is what the message calls it.
local function text_of(x, name)
  if type(x) == "string" then return x end
  if bytes.is(x) then return tostring(x) end
  error(("%s must be bytes (a string, slice, buffer or blob), not %s"):format(name, x == nil and "nothing"
    or "a " .. type(x)), 3)
end

local function check_algorithm(name)
  if ALGORITHMS[name] then return end
  if type(name) ~= "string" then
    error("algorithm must be a name, such as \"sha256\", not " .. (name == nil and "nothing" or "a " .. type(name)), 3)
  end
  error(suggest.unknown("algorithm", name, suggest.keys(ALGORITHMS)), 3)
end

-- OpenSSL may be told to do without some algorithms.
local function check_result(result, name)
  if not result then error(("this OpenSSL does without %s"):format(name), 3) end
end

--- The digest of DATA, raw: crypto.hex() makes it readable.
---@function ld.crypto.digest
---@param algorithm linedancer.Algorithm its name
---@param data linedancer.Data any bytes
---@return string digest raw bytes
function M.digest(algorithm, data)
  check_algorithm(algorithm)
  local digest = core.digest(algorithm, text_of(data, "data"))
  check_result(digest, algorithm)
  return digest
end

--- The HMAC (RFC 2104) of DATA under KEY, bytes of any length, raw.
---@function ld.crypto.hmac
---@param algorithm linedancer.Algorithm its name
---@param key linedancer.Data of any length
---@param data linedancer.Data any bytes
---@return string mac raw bytes
function M.hmac(algorithm, key, data)
  check_algorithm(algorithm)
  local mac = core.hmac(algorithm, text_of(key, "key"), text_of(data, "data"))
  check_result(mac, algorithm)
  return mac
end

--- N random bytes, 0 to 1048576, that nobody can predict.
---@function ld.crypto.random
---@param n integer how many
---@return string bytes
function M.random(n)
  if type(n) ~= "number" or not (n >= 0 and n <= MOST_RANDOM and n % 1 == 0) then
    error(("a number of bytes from 0 to %d expected, got %s"):format(MOST_RANDOM, tostring(n)), 2)
  end
  return core.random(n) or error("the system has no random bytes", 2)
end

--- 32 bytes that only this gateway knows, others for each NAME, and all its workers the same ones for its life: to
-- sign what is given to a client that may bring it back to another worker.
---@function ld.crypto.secret
---@param name linedancer.Data what it is for
---@return string bytes 32 of them
function M.secret(name)
  return core.hmac("sha256", secret.root(), text_of(name, "name"))
end

--- Are A and B, both bytes, the same? How long it takes tells nothing of what they hold, only their lengths: for
-- secrets, which == would betray byte by byte.
---@function ld.crypto.equal
---@param a linedancer.Data a secret
---@param b linedancer.Data what it is compared with
---@return boolean equal
function M.equal(a, b)
  return core.equal(text_of(a, "the first argument"), text_of(b, "the second argument"))
end

--- DATA in base64 (RFC 4648, padded, in one line).
---@function ld.crypto.base64
---@param data linedancer.Data any bytes
---@return string text
function M.base64(data)
  return core.base64(text_of(data, "data"))
end

--- The bytes that the base64 TEXT stands for; nil when it is not exactly what base64() makes of them.
---@function ld.crypto.unbase64
---@param text linedancer.Data base64
---@return string? data
function M.unbase64(text)
  text = text_of(text, "text")
  local data = core.unbase64(text)
  if not data or core.base64(data) ~= text then return nil end
  return data
end

--- DATA in hexadecimal, two small digits each.
---@function ld.crypto.hex
---@param data linedancer.Data any bytes
---@return string text
function M.hex(data)
  return core.hex(text_of(data, "data"))
end

return M
