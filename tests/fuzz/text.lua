--- What the fuzzers of texts that people write call: addresses, configs, code, JSON.
local address = require "linedancer.address"
local config = require "linedancer.config"
local json = require "linedancer.json"
local lexer = require "linedancer.check.lexer"
local source = require "linedancer.handler.source"

local M = {}

-- What PARSE made of a text is read as the same again from how it is shown.
local function stays(parse, text)
  local one, message = parse(text)
  if not one then
    assert(type(message) == "string" and message ~= "", "refused without a word")
    return
  end
  local again, why = parse(one.text)
  assert(again, why)
  assert(again.key == one.key and again.text == one.text, "another address the second time")
  assert(not one.port or one.port >= 0 and one.port <= 65535 and one.port % 1 == 0, "port")
end

--- An address to listen at, to connect to, and to connect from.
function M.address(text)
  stays(address.parse, text)
  stays(address.target, text)
  local from, message = address.source(text)
  assert(from and from.port >= 0 and from.port <= 65535 or message, "source")
end

local NAMES = {
  "workers", "watch", "retire", "limits", "listen", "control", "admin", "cluster", "path", "log", "drain", "handler",
  "options", "max_connections", "backlog", "tls", "name", "turn", "frame", "output", "connections", "linger",
  "mailbox", "heartbeat", "level", "certificate", "key", "alpn", "client", "client_ca", "handshake",
}
local ATOMS = { "127.0.0.1:0", ":7000", "unix:x", "echo", "handlers/echo.lua", "info", "required", "", 0, 1, -1, 0.5,
  257, 2 ^ 53, 1 / 0, 0 / 0, true, false, print }

local build

-- The table that the bytes from AT on describe, and where they end.
local function build_table(bytes, at, depth)
  local result = {}
  while at <= #bytes and bytes:byte(at) ~= 255 do
    local op, key = bytes:byte(at), #result + 1
    if op >= 128 then key, at = NAMES[op - 127] or op, at + 1 end
    result[key], at = build(bytes, at, depth - 1)
  end
  return result, at + 1
end

function build(bytes, at, depth)
  local op = bytes:byte(at) or 0
  if op < 64 then return ATOMS[op % #ATOMS + 1], at + 1 end
  if op < 96 and depth > 0 then return build_table(bytes, at + 1, depth) end
  return bytes:sub(at + 1, at + op % 16), at + 1 + op % 16
end

-- Is what VALIDATE returned a config, or a message?
local function judge(valid, message)
  if not valid then
    assert(type(message) == "string" and message ~= "", "refused without a word")
    return
  end
  assert(#valid.listen > 0 and valid.limits.frame >= 1 and valid.limits.heartbeat >= 0.1, "a bad config was taken")
  for _, one in ipairs(valid.listen) do
    assert(one.address.key and one.file and one.name, "a bad listener was taken")
  end
end

--- Tables as a config may return them: what config.validate() says.
function M.config(bytes)
  local value = build_table(bytes, 1, 6)
  judge(config.validate(value, ".", "handlers"))
end

-- Texts without these, and with nothing to call, come to their end.
local BUSY = { ["while"] = true, ["repeat"] = true, ["for"] = true, ["goto"] = true, ["function"] = true }

local function is_plain(text)
  for word in text:gmatch "[%w_]+" do
    if BUSY[word] then return false end
  end
  return not text:find "[(:]"
end

--- The text of a config that calls nothing.
function M.load(text)
  if is_plain(text) then judge(config.load_string(text, "@fuzz", ".", "handlers", { env = {} })) end
end

--- Lua that compiles, as `check` reads it.
function M.lexer(text)
  local chunk = source.compile(text, "@fuzz")
  if not chunk then return end
  local tokens = lexer.tokens(text)
  assert(tokens[#tokens].kind == "eof", "no end")
  for i = 2, #tokens do assert(tokens[i].line >= tokens[i - 1].line, "lines go back") end
end

-- What TEXT says, written again.
local function rewritten(text)
  local ok, value = json.decode(text)
  if ok then return json.encode(value) end
  assert(type(value) == "string", "refused without a word")
  return nil, value
end

--- JSON: what was written is read, and stays the same once it is UTF-8.
function M.json(text)
  local first = rewritten(text)
  if not first then return end
  local second = assert(rewritten(first))
  assert(rewritten(second) == second, "another text each time")
end

return M
