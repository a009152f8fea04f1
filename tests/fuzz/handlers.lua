--- What the fuzzers of handlers call, by name, with bytes that peers may send. See support/play.lua.
local http = require "handlers.rtmp.http"
local play = require "tests.fuzz.support.play"
local store = require "handlers.resp.store"
local t = require "linedancer.testing"

local M = {}

function M.echo(input)
  play.alike(require "handlers.echo", input)
end

function M.greeter(input)
  play.alike(require "handlers.greeter", input)
end

rawset(_G, "collectgarbage", function() return 1 end) -- INFO says how much memory there is

local function empty_store()
  store.kept.databases, store.kept.clients, store.kept.last_client = {}, {}, 0
  math.randomseed(1)
end

function M.resp(input)
  play.alike(require "handlers.resp", input, { limits = { frame = 2 ^ 16 } }, empty_store)
end

--- Requests for files, for what there is, and for streams: of those nobody publishes any.
function M.http(input)
  play.alike(http, input, { options = { stats = true, http_wait = 0, files = { ["/"] = "dev" } } })
end

-- Those whose answers do not depend on when what came.
local EXAMPLES = { "fields", "packets", "pubsub", "recover", "tlv", "upload" }

--- One of the examples: the second byte says which.
function M.examples(input)
  local which = (input:byte(2) or 0) % #EXAMPLES + 1
  play.alike(require("examples." .. EXAMPLES[which]), input:sub(1, 1) .. input:sub(3))
end

-- What two members of a room hear, when one after the other says what is in PIECES, an array for each.
local function chat(pieces)
  local world, members, heard = t.world { options = { members = 3 } }, {}, {}
  for i = 1, 2 do members[i] = world:connect(require "handlers.line") end
  for i, member in ipairs(members) do
    for _, piece in ipairs(pieces[i]) do member:send(piece) end
    member:finish()
  end
  for i, member in ipairs(members) do
    heard[2 * i - 1], heard[2 * i] = member:sent(), member.reason
    play.check(member.error)
  end
  world:close()
  return heard
end

--- Two members of a chat: what the first says, and after a zero byte the second.
function M.line(input)
  local how, one, two = input:match "^(.?)(%Z*)%z?(.*)$"
  local first, first_pieces = play.cut(how .. one)
  local second, second_pieces = play.cut(how .. two)
  play.same(chat { { first }, { second } }, chat { first_pieces, second_pieces }, { 1, 2, 3, 4 })
end

local FINISH = { ["\254"] = "finish", ["\255"] = "reset", ["\253"] = "stall", ["\252"] = "resume" }

-- A client and an upstream do what BYTES say: what they send, and whether both lived on.
local function pass(world, ends, bytes)
  local said, whole = { "", "" }, true
  for op, piece in bytes:gmatch "(.)([^\n]*)\n?" do
    local place = op:byte() % 2 + 1
    local who, does = ends[place], FINISH[piece:sub(1, 1)]
    if does == "finish" or does == "reset" then whole = false end
    if does then who[does](who) elseif whole then
      who:send(piece)
      said[place] = said[place] .. piece
    end
    world:run()
  end
  return said, whole
end

--- A line is for the client or the upstream, as its first byte is even or odd: to say, or what FINISH has.
function M.proxy(input)
  local world, ends = t.world {}, {}
  world:accept("up:80", function(peer) ends[2] = peer end)
  ends[1] = world:connect(require "handlers.proxy", { options = { upstream = "up:80" } })
  world:run()
  local said, whole = pass(world, ends, input)
  for _, one in ipairs(ends) do one:resume() end
  local got = { ends[2]:sent(), ends[1]:sent() }
  for i = 1, 2 do
    local expected = whole and said[i] or said[i]:sub(1, #got[i])
    if got[i] ~= expected then error(("%q was passed on as %q"):format(said[i], got[i]), 0) end
  end
  play.check(ends[1].error)
  world:close()
end

return M
