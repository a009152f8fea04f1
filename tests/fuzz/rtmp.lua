--- What the fuzzers of RTMP call, by name, with bytes that a peer may send. See lua_target.h.
local amf0 = require "handlers.rtmp.amf0"
local chunk = require "handlers.rtmp.chunk"
local handler = require "handlers.rtmp"
local handshake = require "handlers.rtmp.handshake"
local ld = require "linedancer"
local link = require "handlers.rtmp.link"
local log = require "linedancer.log"
local media = require "handlers.rtmp.media"
local t = require "linedancer.testing"

for _, level in ipairs { "debug", "info", "warn", "error" } do
  log[level] = function(text, fields)
    -- An `error` of code, not of the peer, is what is looked for.
    if fields and fields.code == "error" then error(text .. ": " .. tostring(fields.error) .. "\n"
      .. tostring(fields.traceback), 0) end
  end
end

local M = {}

-- BYTES in pieces whose sizes they say themselves.
local function pieces(bytes)
  local script, at, i = {}, 1, 1
  while at <= #bytes do
    local size = 1 + (bytes:byte(i) or 0) % 64
    script[#script + 1] = bytes:sub(at, at + size - 1)
    at, i = at + size, i + 1
  end
  return script
end

-- Playing HANDLER, BYTES come to the same whole and in pieces.
local function plays_alike(subject, bytes, opts)
  local whole, path = t.play(subject, { bytes, t.eof }, opts)
  local script = pieces(bytes)
  script[#script + 1] = t.eof
  local parts, other = t.play(subject, script, opts)
  assert(whole.reason == parts.reason, ("%s whole, %s in pieces"):format(tostring(whole.reason), tostring(parts.reason)))
  assert(#path == #other, "another path in pieces")
  for i, step in ipairs(path) do
    for k = 1, 5 do assert(step[k] == other[i][k], "another step in pieces") end
  end
  return whole
end

local reader = { initial = "read", timeouts = { 60 }, states = {
  read = function(conn)
    local kind, time, id, body = chunk.read(conn)
    if not kind then return end
    link.handle(conn, kind, body)
    link.acknowledge(conn)
    if kind == 8 or kind == 9 then media.describe(kind, body) end
    return "message", kind, time, id, body
  end,
  message = function() return "read" end,
} }

--- Chunks from the first on, and the messages about the connection in them.
function M.chunk(bytes)
  plays_alike(reader, bytes, { setup = link.init })
end

local server = { states = { serve = function(conn)
  if handshake.serve(conn) then conn:write(conn:expect(1)) end
end } }

--- What a client sends, from C0 on.
function M.handshake(bytes)
  plays_alike(server, bytes)
end

-- AMF0 that was decoded whole is encoded again, and that is decoded to the same.
local function decodes(bytes)
  local values, problem = amf0.decode(bytes, { depth = 32, nodes = 10000, bytes = 2 ^ 18 })
  for i = 1, values.n do amf0.show(values[i]) end
  return values, problem
end

function M.amf0(bytes)
  local values, problem = decodes(bytes)
  if problem then return end
  local ok, encoded = pcall(amf0.encode, unpack(values, 1, values.n))
  if not ok then return end
  local again, other = decodes(encoded)
  assert(other == nil and again.n == values.n, other)
  assert(amf0.encode(unpack(again, 1, again.n)) == encoded, "encoded otherwise the second time")
end

function M.amf3(bytes)
  decodes("\17" .. bytes)
end

--- What a client says after its handshake.
function M.session(bytes)
  local session = require "handlers.rtmp.session"
  t.play(handler, { bytes, t.advance(1), t.eof }, { state = "read", setup = session.init })
  require("linedancer.task").cancel_all()
  ld.keep("rtmp/desk").task = nil
end

return M
