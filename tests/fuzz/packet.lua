--- What the fuzzers of conn:packet() call. See support/play.lua.
local play = require "tests.fuzz.support.play"
local shape = require "linedancer.shape"

local M = {}

local MODES = {
  1, 2, 4, "2le", "4le", "varint", "mqtt", "quic", "line", "asn1", "cdr", "sunrm", "fcgi", "tpkt",
}

local function reader(mode)
  return { states = { packet = function(conn)
    local packet = conn:packet(mode)
    if not packet then return end
    conn:write("<", packet, ">")
    return "packet"
  end }, initial = "packet", timeouts = { 60 } }
end

local readers = {}
for i, mode in ipairs(MODES) do readers[i] = reader(mode) end

--- Any mode but http, and raw, which is not cut by what it holds: the second byte says which.
function M.modes(input)
  local which = (input:byte(2) or 0) % #MODES + 1
  play.alike(readers[which], input:sub(1, 1) .. input:sub(3), { limits = { frame = 1000 } })
end

-- A head, and the same again from what was found in it.
local function write_head(conn, head)
  conn:write(head.method or head.status, " ", head.target or head.reason, " ", head.version, "\n")
  local joined = {}
  for _, field in ipairs(head.fields) do
    local key = field[1]:lower()
    joined[key] = joined[key] and joined[key] .. ", " .. field[2] or field[2]
    conn:write(field[1], ":", field[2], "\n")
    assert(not (field[1] .. field[2]):find "[\r\n]" or field[2]:find "\r", "a line break in a field")
  end
  assert(shape.same(joined, head.headers), "headers are not what the fields are")
end

local heads = { states = { head = function(conn)
  local head = conn:packet "http"
  if not head then return end
  write_head(conn, head)
  return "head"
end }, initial = "head", timeouts = { 60 } }

--- Heads of HTTP, one after the other.
function M.http(input)
  play.alike(heads, input, { limits = { frame = 2000 } })
end

return M
