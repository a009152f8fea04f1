--- rtmp.adobe: authmod=adobe, the login that encoders know, for servers and clients.
--
--   client   connect, app "live"                                                     each on a new connection
--   server   error "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
--   client   connect, app "live?authmod=adobe&user=U"
--   server   error "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=U&salt=S&challenge=C&opaque=O"
--   client   connect, app "live?authmod=adobe&user=U&challenge=D&response=R&opaque=O"
--
--   R = base64(md5(base64(md5(U S password)) O D))      C in the place of O where there is no O
--
-- A challenge is good in any worker, as it is signed, not kept: time:u32 nonce:6 mac:8, in base64. Some clients answer
-- to C even if there is an O, so both are the same. It is good for one login: what was used is kept until it expires.
-- Nothing is escaped in these queries: base64 brings "+", "/" and "=" into the app.
local ld = require "linedancer"

local crypto = ld.crypto

local REJECT = "[ AccessManager.Reject ] : "
local TTL = 30 -- seconds from a challenge to its answer
local MOST_SPENT = 10000 -- logins within TTL, in one worker
local LONGEST = { -- bytes; ffmpeg takes 255 of a description, which has the user in it
  authmod = 20, reason = 40, user = 80, salt = 100, challenge = 100, response = 100, opaque = 300,
}
local TOKEN, TOKEN_SIZE, NONCE, MAC = ld.format ">I4 c6 c8", 18, 6, 8

-- The librtmp that uses GnuTLS sends what lies behind its texts in its memory, too.
local BASE64 = "^[%w+/_.-]*=*"

local M = {
  TTL = TTL,
  --- What a connect without authmod is refused with.
  NEED_AUTH = REJECT .. "[ code=403 need auth; authmod=adobe ] : ",
  --- What an answer that is wrong is refused with.
  FAILED = REJECT .. "[ authmod=adobe ] : ?reason=authfailed",
}

local function md5(text) return crypto.base64(crypto.digest("md5", text)) end

local function response_of(user, salt, password, challenge, own)
  return md5(md5(user .. salt .. password) .. challenge .. own)
end

-- Base64 without what means something in a query.
local function text_of(bytes) return (crypto.base64(bytes):gsub("[+/]", { ["+"] = "-", ["/"] = "_" })) end

local function bytes_of(text) return crypto.unbase64((text:gsub("[-_]", { ["-"] = "+", ["_"] = "/" }))) end

local function mac(user, time, nonce)
  return crypto.hmac("sha256", crypto.secret "rtmp.adobe", ("%d %s %s"):format(time, nonce, user)):sub(1, MAC)
end

local function salt_of(token)
  return text_of(crypto.hmac("sha256", crypto.secret "rtmp.adobe.salt", token):sub(1, 6))
end

--- The parameters of QUERY, what stands behind the "?" of an app, as a table: those of authmod=adobe, by name, that are
-- neither empty nor too long.
function M.params(query)
  local params = {}
  for name, value in query:gmatch "([^&?=]+)=([^&?]*)" do -- some clients put a "?" before what they add
    if name ~= "user" and value:find("%", 1, true) then
      value = value:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end)
    end
    if LONGEST[name] and value ~= "" and #value <= LONGEST[name] then params[name] = params[name] or value end
  end
  return params
end

--- The description that asks USER, a name as it stands in a query, for an answer.
function M.challenge(user)
  local time, nonce = math.floor(ld.now()), crypto.random(NONCE)
  local token = text_of(TOKEN:pack(time, nonce, mac(user, time, nonce)))
  return ("%s[ authmod=adobe ] : ?reason=needauth&user=%s&salt=%s&challenge=%s&opaque=%s"):format(REJECT, user,
    salt_of(token), token, token)
end

-- Is TOKEN a challenge of ours for USER that has not expired?
local function is_good(token, user)
  local bytes = bytes_of(token)
  if not bytes or #bytes ~= TOKEN_SIZE then return false end
  local time, nonce, signature = TOKEN:unpack(bytes)
  local age = ld.now() - time
  return crypto.equal(signature, mac(user, time, nonce)) and age >= 0 and age <= TTL
end

-- The used challenges: those of the last TTL seconds are in `new` or `old`, with few others.
local function spent_ones()
  local spent, now = ld.keep "rtmp.adobe", ld.now()
  if not spent.since or now - spent.since > TTL then
    spent.old, spent.new, spent.count, spent.since = spent.new or {}, {}, 0, now
  end
  return spent
end

--- TOKEN, of verify(), is good for no further login: for other workers to be told.
function M.spend(token)
  local spent = spent_ones()
  if spent.new[token] then return end
  spent.new[token], spent.count = true, spent.count + 1
end

--- Do PARAMS, of params(), answer a challenge for USER, who has PASSWORD (nil: there is no such user)? True and the
-- challenge, which is good for nothing more in this worker; other workers learn of it by spend(). Or nil and the
-- description to refuse the connect with, the same whatever was wrong.
function M.verify(params, user, password)
  local token, own, given = params.opaque, params.challenge, params.response
  if params.authmod ~= "adobe" or not (token and own and given) then return nil, M.FAILED end
  own, given = own:match(BASE64), given:match(BASE64)
  local expected = response_of(user, salt_of(token), password or "", token, own)
  local right = crypto.equal(expected, given) and password ~= nil
  if not right or not is_good(token, user) then return nil, M.FAILED end
  local spent = spent_ones()
  if spent.new[token] or spent.old[token] or spent.count >= MOST_SPENT then return nil, M.FAILED end
  M.spend(token)
  return true, token
end

--- All of a server's side: true and the challenge when QUERY, of the app (nil or "": none), is a login that is right;
-- else nil and the description to refuse the connect with. PASSWORD_OF(user) returns the user's password, or nil.
function M.check(query, password_of)
  local params = M.params(query or "")
  if params.authmod ~= "adobe" or not params.user then return nil, M.NEED_AUTH end
  if not params.response then return nil, M.challenge(params.user) end
  return M.verify(params, params.user, password_of(params.user))
end

--- A client's side: the query to add to the app of the next connect, after the server has refused one with DESCRIPTION;
-- or nil and why there is none. OWN is the client's challenge, for tests.
function M.respond(description, user, password, own)
  if user:find "[&?=%s]" then return nil, "a user's name cannot hold one of & ? = or a space" end
  if not description:find("authmod=adobe", 1, true) then return nil, "not a challenge of authmod=adobe" end
  if description:find("code=403 need auth", 1, true) then return "authmod=adobe&user=" .. user end
  local query = description:match "%?(.*)$"
  local params = M.params(query or "")
  if params.reason ~= "needauth" then
    return nil, "the server does not take this user and password: " .. (params.reason or "no reason")
  end
  if not params.salt or not (params.opaque or params.challenge) then return nil, "a challenge without salt" end
  own = own or crypto.hex(crypto.random(4))
  local response = response_of(user, params.salt, password, params.opaque or params.challenge, own)
  local answer = ("authmod=adobe&user=%s&challenge=%s&response=%s"):format(user, own, response)
  return params.opaque and answer .. "&opaque=" .. params.opaque or answer
end

return M
