--- linedancer.crypto: digests, random bytes and comparisons for those who check credentials, by OpenSSL.
--
-- Data may be a string, slice, buffer or blob; results are strings of raw bytes. ALGORITHM is one that OpenSSL knows:
-- "md5", "sha1", "sha256", "sha512"...; another raises an error, as do arguments of the wrong type.
local bytes = require "linedancer.bytes"
local core = require("linedancer.api").core.crypto

local M = {}

local function text(x)
  if type(x) == "string" then return x end
  if not bytes.is(x) then error("bytes expected (a string, slice, buffer or blob), got " .. type(x), 3) end
  return tostring(x)
end

--- The digest of DATA.
function M.digest(algorithm, data)
  return core.digest(algorithm, text(data))
end

--- The HMAC of DATA with KEY. (RFC 2104.)
function M.hmac(algorithm, key, data)
  return core.hmac(algorithm, text(key), text(data))
end

--- N bytes, at most 65,536, that nobody can guess.
function M.random(n)
  return core.random(n)
end

--- Are A and B the same? The time it takes says nothing of where they differ.
function M.equal(a, b)
  return core.equal(text(a), text(b))
end

--- DATA in base64, on one line. (RFC 4648.)
function M.base64(data)
  return core.base64(text(data))
end

--- What TEXT, base64 on one line, stands for; nil when it is none.
function M.unbase64(x)
  x = text(x)
  if not x:find "^[%w+/]*=?=?$" then return nil end
  return core.unbase64(x)
end

--- DATA in hexadecimal digits.
function M.hex(data)
  return (text(data):gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

return M
