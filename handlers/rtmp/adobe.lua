--- rtmp/adobe: authmod=adobe, by which some encoders log in, for both sides.
--
-- A connect is refused until its app has the right answer to a challenge; each refusal says what is missing, and the
-- client comes again on a new connection:
--
--   app                             "code=403 need auth; authmod=adobe"
--   app?authmod=adobe&user=U        "authmod=adobe : ?reason=needauth&user=U&salt=S&challenge=C&opaque=O"
--   app?authmod=adobe&user=U&challenge=D&response=R&opaque=O
--
--   R = base64(md5(base64(md5(user salt password)) (O, or C without one) D))
local ld = require "linedancer"

local M = {}

local crypto = ld.crypto
local LIFETIME, OPEN_MAX = 60, 10000 -- seconds; challenges that are open

local open = ld.keep "rtmp/adobe" -- by challenge: { salt =, at = }
local count = 0

local function hash(text) return crypto.base64(crypto.digest("md5", text)) end

local function response_of(user, salt, password, server, client)
  return hash(hash(user .. salt .. password) .. server .. client)
end

local function forget_old()
  count = 0
  for challenge, about in pairs(open) do
    if ld.now() - about.at > LIFETIME or count >= OPEN_MAX / 2 then
      open[challenge] = nil
    else
      count = count + 1
    end
  end
end

-- A text of letters that nobody can guess, fit for a query.
local function token() return crypto.hex(crypto.random(8)) end

local function escape(text)
  return (text:gsub("[^%w_.-]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local REJECT = "[ AccessManager.Reject ] : [ authmod=adobe ] : "

local function ask(user)
  if count >= OPEN_MAX then forget_old() end
  local challenge, salt = token(), token()
  open[challenge] = { salt = salt, at = ld.now() }
  count = count + 1
  return false, ("%s?reason=needauth&user=%s&salt=%s&challenge=%s&opaque=%s"):format(REJECT,
    escape(user), salt, challenge, challenge)
end

-- A challenge is good once.
local function take(challenge)
  local about = open[challenge]
  if not about then return nil end
  open[challenge], count = nil, count - 1
  return ld.now() - about.at <= LIFETIME and about.salt or nil
end

--- Does QUERY, the parameters of a connect's app, say that the client knows PASSWORD of USER? True; or false and the
-- description for the refusal.
function M.check(query, user, password)
  if query.authmod ~= "adobe" or not query.user then
    return false, "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : "
  end
  if not query.response then return ask(query.user) end
  local challenge = query.opaque or ""
  local salt = take(challenge)
  local right = salt and response_of(user, salt, password, challenge, query.challenge or "")
  if right and crypto.equal(query.user, user) and crypto.equal(query.response, right) then return true end
  return false, REJECT .. "?reason=authfailed&opaque=-"
end

local function field(text, name) return text:match("[?&]" .. name .. "=([^&%s]*)") end

--- The query, without its "?", for the next connect of USER after one that was refused with DESCRIPTION; nil when that
-- does not ask for one.
function M.respond(description, user, password)
  if not description:find("authmod=adobe", 1, true) then return nil end
  local head = "authmod=adobe&user=" .. escape(user)
  if description:find("code=403 need auth", 1, true) then return head end
  if field(description, "reason") ~= "needauth" then return nil end
  local salt, challenge = field(description, "salt") or "", field(description, "challenge") or ""
  local opaque, own = field(description, "opaque"), token()
  local response = response_of(user, salt, password, opaque or challenge, own)
  return ("%s&challenge=%s&response=%s%s"):format(head, own, escape(response),
    opaque and "&opaque=" .. escape(opaque) or "")
end

return M
