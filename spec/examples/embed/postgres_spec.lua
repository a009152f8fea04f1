package.path = "examples/embed/postgres/?.lua;" .. package.path

local gate = require "examples.embed.postgres.gate"
local keep = require "linedancer.keep"
local t = require "linedancer.testing"

local UPSTREAM = "127.0.0.1:5432"

local function u32(n)
  return string.char(math.floor(n / 2 ^ 24) % 256, math.floor(n / 2 ^ 16) % 256, math.floor(n / 256) % 256, n % 256)
end

local function message(kind, body) return kind .. u32(#body + 4) .. body end

local function startup(text) return u32(#text + 9) .. u32(196608) .. text .. "\0" end

local HELLO = startup "user\0ann\0database\0shop\0"
local SSL, GSS = u32(8) .. u32(80877103), u32(8) .. u32(80877104)
local OK = message("R", u32(0))
local READY, IN_TRANSACTION, IN_FAILED = message("Z", "I"), message("Z", "T"), message("Z", "E")
local WELCOME = OK .. message("S", "a\0b\0") .. message("K", u32(7) .. u32(8)) .. READY
local SYNC = message("S", "")
local LIMITED = "too many statements: the limit of this user is exceeded"

local function query(text) return message("Q", text .. "\0") end
local function parse(name, text) return message("P", name .. "\0" .. text .. "\0\0\0") end
local function bind(portal, name, value)
  return message("B", portal .. "\0" .. name .. "\0\0\0\0\1" .. u32(#value) .. value .. "\0\0")
end
local function execute(portal) return message("E", portal .. "\0" .. u32(0)) end
local function complete(tag) return message("C", tag .. "\0") end
local function failure(code) return message("E", "SERROR\0VERROR\0C" .. code .. "\0Mno\0\0") end
local function refusal(severity, code, text)
  return message("E", ("S%s\0V%s\0C%s\0M%s\0\0"):format(severity, severity, code, text))
end

describe("examples/embed/postgres/gate.lua", function()
  local world, server, said

  before_each(function()
    keep.clear()
    said = {}
    world = t.world()
    world:accept(UPSTREAM, function(peer) server = peer end)
  end)
  after_each(function() world:close() end)

  local function on_statement(user, database, _, rows, code)
    said[#said + 1] = ("%s@%s %d %s"):format(user, database, rows, code or "ok")
  end

  local function connect(options)
    local given = { upstream = UPSTREAM, slow = 1e9, on_statement = on_statement }
    for key, value in pairs(options or {}) do given[key] = value end
    return world:connect(gate, { options = given })
  end

  -- A client that the server has let in, and nothing that either has heard so far.
  local function login(options)
    local client = connect(options):send(HELLO)
    assert.equal(HELLO, server:sent())
    server:send(WELCOME)
    assert.equal(WELCOME, client:sent())
    return client
  end

  -- FROM says TEXT in two parts, cut at each place: TO hears EXPECTED (default TEXT), of which nothing is too early.
  local function every_split(from, to, text, expected)
    for cut = 0, #text do
      from:send(text:sub(1, cut)):send(text:sub(cut + 1))
      assert.equal(expected or text, to:sent())
    end
    for i = 1, #text do from:send(text:sub(i, i)) end
    assert.equal(expected or text, to:sent())
  end

  it("reads a startup message however it is split", function()
    for cut = 0, #HELLO do
      local client = connect():send(HELLO:sub(1, cut)):send(HELLO:sub(cut + 1))
      assert.equal(HELLO, server:sent())
      client:reset()
    end
    local nobody = { sent = refusal("FATAL", "28000", "no user name"), reason = "no user" }
    t.every_split(gate, { startup "database\0shop\0", t.eof }, nobody)
    t.every_split(gate, { SSL, GSS, t.eof }, { sent = "NN", reason = "done" })
    t.every_truncation(gate, SSL .. GSS)
  end)

  it("refuses what is no startup message", function()
    local why = "no startup message"
    for _, text in ipairs { u32(7) .. u32(196608), u32(10001) .. u32(196608), u32(9) .. u32(80877103) } do
      local run = t.play(gate, { text })
      assert.equal(why, run.reason)
      assert.truthy(run.sent:find(refusal("FATAL", "08P01", why), 1, true))
    end
    assert.equal("a second request for encryption", t.play(gate, { SSL .. SSL }).reason)
    assert.equal("not version 3 of the protocol", t.play(gate, { u32(9) .. u32(131072) .. "\0" }).reason)
  end)

  it("says in PostgreSQL's way that the server is not there", function()
    world:close()
    world = t.world()
    local client = connect():send(HELLO)
    assert.equal(refusal("FATAL", "57P03", "the database server cannot be reached: refused"), client:sent())
    assert.equal("upstream refused", client.reason)
  end)

  it("passes each question and answer of a login on, and nothing but answers", function()
    local client = connect():send(HELLO)
    server:sent()
    for _, code in ipairs { 10, 11 } do
      local ask = message("R", u32(code) .. "SCRAM-SHA-256\0\0")
      server:send(ask)
      assert.equal(ask, client:sent())
      client:send(message("p", "secret"))
      assert.equal(message("p", "secret"), server:sent())
    end
    server:send(message("R", u32(3)))
    client:sent()
    client:send(query "select 1")
    assert.equal("", server:sent())
    assert.equal("a password expected", client.reason)
  end)

  it("passes a cancel request on, and waits until the server has heard it", function()
    local request = u32(16) .. u32(80877102) .. u32(7) .. u32(8)
    local client = connect():send(request)
    assert.equal(request, server:sent())
    assert.is_nil(client.reason)
    server:finish()
    assert.equal("done", client.reason)
  end)

  it("passes replication on as it is", function()
    local hello = startup "user\0ann\0replication\0database\0"
    local client = connect():send(hello)
    assert.equal(hello, server:sent())
    server:send "anything"
    client:send "at all"
    assert.equal("anything", client:sent())
    assert.equal("at all", server:sent())
  end)

  it("passes what both say on however it is split", function()
    local client = login()
    every_split(client, server, query "select 1" .. SYNC .. message("H", "") .. message("d", "row"))
    every_split(client, server, parse("s", "select $1") .. bind("p", "s", "value") .. message("D", "Pp\0")
      .. execute "p" .. message("C", "Ss\0") .. SYNC)
    every_split(server, client, message("T", "\0\0") .. message("D", "\0\1" .. u32(3) .. "abc") .. complete "SELECT 1"
      .. message("N", "notice\0") .. failure "22012" .. READY)
  end)

  it("counts statements, their rows and errors, in all protocols", function()
    local client = login()
    client:send(query "select 1; insert ..." .. query "select 1/0" .. query "")
    server:send(message("D", ("x"):rep(10000)))
    server:send(complete "SELECT 2" .. complete "INSERT 0 30" .. READY .. failure "22012" .. READY
      .. message("I", "") .. READY)
    client:send(parse("", "select 1") .. bind("", "", "x") .. execute "" .. execute "" .. SYNC)
    server:send(message("1", "") .. message("2", "") .. complete "SELECT 1" .. message("s", "") .. READY)
    assert.same({ "ann@shop 32 ok", "ann@shop 0 22012", "ann@shop 0 ok", "ann@shop 1 ok", "ann@shop 0 ok" }, said)
  end)

  it("knows that the server skips a batch that has failed, up to its sync", function()
    local client = login()
    client:send(parse("", "nonsense") .. bind("", "", "x") .. execute "")
    server:send(failure "42601")
    client:send(execute "" .. query "skipped" .. SYNC .. query "select 2")
    server:send(READY .. complete "SELECT 2" .. READY)
    assert.same({ "ann@shop 0 42601", "ann@shop 2 ok" }, said)
  end)

  it("knows that the server ignores syncs while it takes a copy", function()
    local client = login()
    client:send(parse("", "copy t from stdin") .. bind("", "", "") .. execute "" .. SYNC)
    server:send(message("1", "") .. message("2", "") .. message("G", "\0\0\0"))
    client:send(message("d", "1\n") .. SYNC .. message("c", "") .. SYNC .. query "select 1")
    server:send(complete "COPY 1" .. READY .. complete "SELECT 7" .. READY)
    assert.same({ "ann@shop 1 ok", "ann@shop 7 ok" }, said)
  end)

  it("is in step again at the next sync when the server has left an answer out", function()
    local client = login()
    client:send(execute "" .. SYNC .. query "select 3")
    server:send(READY .. complete "SELECT 3" .. READY)
    assert.same({ "ann@shop 3 ok" }, said)
  end)

  it("has who exceeds the limit wait, in their order", function()
    local client = login { rate = 2, burst = 1 }
    client:send(query "1" .. query "2" .. query "3")
    assert.equal(query "1", server:sent())
    world:advance(0.4)
    assert.equal("", server:sent())
    world:advance(0.2)
    assert.equal(query "2", server:sent())
    world:advance(0.5)
    assert.equal(query "3", server:sent())
  end)

  it("refuses what would have to wait for too long", function()
    local client = login { rate = 1, burst = 1, delay = 1.5 }
    client:send(query "1")
    server:send(complete "SELECT 1" .. READY)
    client:sent()
    local other = login { rate = 1, burst = 1, delay = 0.5 }
    other:send(query "2")
    assert.equal(refusal("ERROR", "53400", LIMITED) .. READY, other:sent())
    assert.equal("", server:sent())
  end)

  it("has the server fail in place of what is refused within a transaction or a batch", function()
    local client = login { rate = 1e-6, burst = 1, over = "error" }
    client:send(query "begin")
    server:sent()
    server:send(complete "BEGIN" .. IN_TRANSACTION)
    client:sent()
    client:send(query "insert ...")
    assert.equal(query "refused by the gateway", server:sent())
    server:send(failure "42601" .. IN_FAILED)
    assert.equal(refusal("ERROR", "53400", LIMITED) .. IN_FAILED, client:sent())
    client:send(query "rollback")
    assert.equal(query "rollback", server:sent())
    server:send(complete "ROLLBACK" .. READY)
    client:sent()
    client:send(parse("", "select 1") .. bind("", "", "x") .. execute "" .. SYNC)
    assert.equal(parse("", "select 1") .. bind("", "", "x") .. execute "refused by the gateway" .. SYNC, server:sent())
    server:send(message("1", "") .. message("2", "") .. failure "34000" .. READY)
    assert.equal(message("1", "") .. message("2", "") .. refusal("ERROR", "53400", LIMITED) .. READY, client:sent())
    assert.same({ "ann@shop 0 ok", "ann@shop 0 53400", "ann@shop 0 ok", "ann@shop 0 53400" }, said)
  end)

  it("takes no more than some thousand messages that the server has not answered", function()
    local client = login()
    client:send(execute(""):rep(5000) .. SYNC)
    assert.equal(execute(""):rep(4097), server:sent())
    server:send(complete("SELECT 1"):rep(4000))
    assert.equal(execute(""):rep(5000 - 4097) .. SYNC, server:sent())
  end)

  it("has who sends too much wait, either way, until the other takes it", function()
    local client = login()
    local questions, answers = query(("q"):rep(1000)):rep(3000), message("D", ("r"):rep(1000)):rep(3000)
    server:stall()
    client:send(questions)
    assert.is_nil(client.reason)
    server:resume()
    assert.equal(#questions, #server:sent())
    client:stall()
    server:send(answers)
    assert.is_nil(client.reason)
    client:resume()
    assert.equal(#answers, #client:sent())
  end)

  it("lets go of who says nothing for too long, but not of who waits for the server", function()
    local client = login { idle = 100 }
    client:send(query "select pg_sleep(1000)")
    world:advance(1000)
    assert.is_nil(client.reason)
    server:send(READY)
    client:sent()
    world:advance(201)
    assert.equal(refusal("FATAL", "57P05", "nothing has been asked for too long"), client:sent())
    assert.equal("idle", client.reason)
  end)

  it("lets go of who stalls in the middle of a message", function()
    local client = login { stall = 30 }
    client:send(message("d", ("x"):rep(100)):sub(1, 50))
    world:advance(29)
    assert.is_nil(client.reason)
    world:advance(2)
    assert.equal("timeout", client.reason)
  end)

  it("adds nothing to a message that the server has cut off", function()
    local client, row = login(), message("D", ("x"):rep(10000))
    server:send(row:sub(1, 6000)):reset()
    assert.equal(row:sub(1, 6000), client:sent())
    assert.equal("server lost", client.reason)
    client = login()
    server:send(row):reset()
    assert.truthy(client:sent():find("C08006\0", 1, true))
  end)

  it("lets the server finish when the client has ended its side", function()
    local client = login()
    client:send(query "select 1"):finish()
    assert.equal(query "select 1", server:sent())
    assert.is_nil(client.reason)
    server:send(complete "SELECT 1" .. READY):finish()
    assert.equal(complete "SELECT 1" .. READY, client:sent())
    assert.is_truthy(client.reason)
  end)

  it("refuses a message that is shorter than its length", function()
    local client = login():send("Q" .. u32(3))
    assert.equal("a message is shorter than its length", client.reason)
  end)
end)
