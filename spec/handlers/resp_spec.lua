local t = require "linedancer.testing"
local redis = require "spec.support.redis"
local resp = require "handlers.resp"

local command, play = redis.command, redis.play

describe("resp", function()
  local OK = "+OK\r\n" -- what the FLUSHALL of play() is answered by

  -- However TEXT is cut, it is answered by SENT and ends with REASON, or goes on when that is nil.
  local function answers(text, sent, reason, opts)
    local run = { sent = OK .. sent, reason = reason, state = not reason and "command" or nil }
    t.every_split(resp, { command "FLUSHALL" .. text }, run, opts)
  end

  it("answers pipelined commands in order, cut at every byte", function()
    answers(command("SET", "k", "v") .. command("GET", "k") .. "INCR n\r\n" .. command("INCR", "n") .. command "PING"
      .. command("MSET", "a", "1", "b", "2", "c", "3") .. command("MGET", "a", "b", "nope", "c"),
      OK .. "$1\r\nv\r\n:1\r\n:2\r\n+PONG\r\n" .. OK .. "*4\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n")
  end)

  it("keeps any byte in keys and values", function()
    local odd = "\0\r\n$5\r\n\255*1"
    answers(command("SET", odd, "\r\n") .. command("GET", odd) .. command("SET", "", "") .. command("GET", ""),
      OK .. "$2\r\n\r\n\r\n" .. OK .. "$0\r\n\r\n")
  end)

  it("takes commands in any case", function()
    answers(command("sEt", "k", "v") .. command("get", "k") .. "gEt k\r\n",
      OK .. "$1\r\nv\r\n$1\r\nv\r\n")
  end)

  it("ignores empty arrays and empty lines", function()
    answers("*0\r\n*-1\r\n\r\n\n  \r\n" .. command "PING", "+PONG\r\n")
  end)

  it("takes inline commands with quotes and escapes", function()
    answers([[SET "a key" 'it\'s' ]] .. "\r\n" .. [[GET "a\x20key"]] .. "\n" .. [[GET a" key"]] .. "\n"
      .. [[ECHO "\"\\\n\t\xff\q"]] .. "\r\n" .. [[ECHO ab"c d"]] .. "\r\n",
      OK .. "$4\r\nit's\r\n$4\r\nit's\r\n$6\r\n\"\\\n\t\255q\r\n$5\r\nabc d\r\n")
  end)

  it("refuses unbalanced quotes and ends the connection", function()
    for _, line in ipairs { [[GET "a]], [[GET 'a]], [[GET "a"b]], [[GET 'a'b]], [[GET "a\"]], [["]] } do
      answers(line .. "\r\nPING\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n",
        "protocol error: unbalanced quotes in request")
    end
  end)

  describe("given a broken array", function()
    local function refuses(text, why, opts)
      answers(text .. "PING\r\n", "-ERR Protocol error: " .. why .. "\r\n", "protocol error: " .. why, opts)
    end

    it("says what it expected", function()
      refuses("*1\r\n:4\r\n", "expected '$', got ':'")
      refuses("*2\r\n$3\r\nGET\r\n*1\r\n", "expected '$', got '*'")
      refuses("*6\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\ne\r\n+f\r\n", "expected '$', got '+'")
    end)

    it("refuses a count that is no number or too large", function()
      for _, count in ipairs { "x", "", "1x", "--1", "99999999999", "1048577", "1.5", "0x1" } do
        refuses("*" .. count .. "\r\n", "invalid multibulk length")
      end
    end)

    it("refuses a length that is no number", function()
      for _, size in ipairs { "x", "-1", "", "3x", "1.5", "99999999999", "99999999999999999999999" } do
        refuses("*2\r\n$3\r\nGET\r\n$" .. size .. "\r\n", "invalid bulk length")
      end
    end)

    it("refuses an oversized bulk before its bytes, wherever it stands", function()
      local opts = { options = { max_bulk = 10 } }
      local head = "*9\r\n" .. ("$1\r\na\r\n"):rep(7)
      refuses("*2\r\n$3\r\nGET\r\n$11\r\n", "invalid bulk length", opts)
      refuses(head .. "$11\r\n", "invalid bulk length", opts)
      assert.equal("command", play(command("ECHO", ("x"):rep(10)), opts).state)
    end)

    it("refuses a bulk that is not as long as it says", function()
      refuses("*2\r\n$3\r\nGET\r\n$1\r\nab\r\n", "bulk is longer than its length")
    end)

    it("has done what came before", function()
      answers(command("SET", "k", "v") .. command("GET", "k") .. "*1\r\n?\r\n",
        OK .. "$1\r\nv\r\n-ERR Protocol error: expected '$', got '?'\r\n", "protocol error: expected '$', got '?'")
    end)
  end)

  it("takes a command that is over limits.frame as a whole, not in any word", function()
    local opts = { limits = { frame = 100 }, options = { max_bulk = 90 } }
    local value = ("v"):rep(80)
    local text = command("SET", ("k"):rep(80), value) .. command("GET", ("k"):rep(80))
    answers(text, OK .. "$80\r\n" .. value .. "\r\n", nil, opts)
  end)

  it("takes a command of many words of which four are over limits.frame together", function()
    local opts = { limits = { frame = 100 }, options = { max_bulk = 90 } }
    local one, two = ("1"):rep(40), ("2"):rep(40)
    answers(command("MSET", "a", "x", "b", one, "c", two, "d", "y") .. command("MGET", "d", "c", "b", "a"),
      OK .. ("*4\r\n$1\r\ny\r\n$40\r\n%s\r\n$40\r\n%s\r\n$1\r\nx\r\n"):format(two, one), nil, opts)
  end)

  it("refuses a word that is over limits.frame", function()
    local opts = { limits = { frame = 100 }, options = { max_bulk = 200 } }
    answers("*2\r\n$4\r\nECHO\r\n$101\r\n", "-ERR Protocol error: invalid bulk length\r\n", "limit", opts)
  end)

  it("refuses a command whose words are too large together", function()
    local opts = { options = { max_request = 50 } }
    local why = "protocol error: too big request"
    assert.equal(why, play(command("MSET", "a", ("1"):rep(20), "b", ("2"):rep(40)), opts).reason)
    assert.equal("command", play(command("MSET", "a", ("1"):rep(10), "b", ("2"):rep(10)), opts).state)
  end)

  it("refuses an inline command of more than 64 KB", function()
    local run = play("GET " .. ("x"):rep(66000))
    assert.equal(OK .. "-ERR Protocol error: too big inline request\r\n", run.sent)
    assert.equal("limit", run.reason)
    assert.equal("command", play("GET " .. ("x"):rep(65000) .. "\r\n").state)
  end)

  it("is done between commands and truncated inside one, never in error", function()
    t.every_truncation(resp, command("SET", "k", "v") .. command("MSET", "a", "1", "b", "2", "c", "3") .. "PING\r\n")
  end)

  it("answers a client that has ended its side", function()
    local run = t.play(resp, { command "FLUSHALL" .. command("SET", "k", "v") .. command("GET", "k"), t.eof })
    assert.same({ sent = OK .. OK .. "$1\r\nv\r\n", reason = "done" }, run)
  end)

  it("reads on in the same state, with a number of words at hand", function()
    local _, path = play(command("SET", "k", "v"))
    assert.same({ { "open" }, { "command" }, { "command" }, { "command" } }, path)
  end)

  it("says so about commands that it does not know", function()
    answers(command("NOPE", "a", "b\r\nc") .. command "NOPE",
      "-ERR unknown command 'NOPE', with args beginning with: 'a' 'b  c' \r\n"
      .. "-ERR unknown command 'NOPE', with args beginning with: \r\n")
  end)

  it("repeats no more than the beginning of what it does not know", function()
    local run = play(command(("N"):rep(500), ("a"):rep(500), "b"))
    assert.equal(OK .. "-ERR unknown command '" .. ("N"):rep(128) .. "', with args beginning with: '" .. ("a"):rep(128)
      .. "' \r\n", run.sent)
  end)

  it("says so about a wrong number of words", function()
    answers(command "GET" .. command("GET", "a", "b") .. command("SET", "a") .. command("LRANGE", "a", "1")
      .. command("MSET", "a", "b", "c") .. command("INCR", "a", "b", "c", "d"),
      ("-ERR wrong number of arguments for '%s' command\r\n"):rep(6):format("get", "get", "set", "lrange", "mset",
        "incr"))
  end)

  it("ends with QUIT, after its answer, and reads no more", function()
    answers(command "QUIT" .. command "PING", OK, "quit")
  end)

  it("does not carry out a browser's request", function()
    assert.equal("an HTTP request, not a command", play("POST / HTTP/1.1\r\nFLUSHALL\r\n").reason)
    assert.equal("an HTTP request, not a command", play("Host: localhost\r\nFLUSHALL\r\n").reason)
  end)

  it("does not collect replies for a client that does not read", function()
    local value = ("v"):rep(50000)
    local gets = command("GET", "k"):rep(100)
    local run = t.play(resp, { command "FLUSHALL" .. command("SET", "k", value), t.stall, gets, t.resume, t.eof })
    assert.equal(2 * #OK + 100 * (#value + #"$50000\r\n\r\n"), #run.sent)
    assert.equal("done", run.reason)
  end)

  it("ends for good when one reply is over limits.output", function()
    local value = ("v"):rep(2000)
    for _, get in ipairs { command("GET", "k"), command("GETSET", "k", "w"), "GET k\r\n" } do
      local text = command("SET", "k", value) .. get .. command "PING"
      assert.equal("limit", play(text, { limits = { output = 1000 } }).reason)
    end
  end)

  it("writes a reply of many megabytes piece by piece", function()
    local client = redis.client()
    local value, sets = ("v"):rep(100000), {}
    for i = 1, 30 do sets[i] = command("RPUSH", "l", value) end
    t.perform(client.play, table.concat(sets))
    client.play.peer:sent()
    t.perform(client.play, t.stall)
    t.perform(client.play, command("LRANGE", "l", "0", "-1") .. command "PING")
    t.perform(client.play, t.resume)
    local sent = client.play.peer:sent()
    assert.equal(#"*30\r\n" + 30 * (#value + #"$100000\r\n\r\n") + #"+PONG\r\n", #sent)
    assert.equal("+PONG\r\n", sent:sub(-7))
  end)

  it("ends after an hour of silence, and after a minute inside a broken frame's second reading", function()
    assert.equal("timeout", t.play(resp, { "PING\r\n", t.advance(3601) }).reason)
    assert.equal("command", t.play(resp, { "PING\r\n", t.advance(3599), "PING\r\n", t.advance(3599) }).state)
    local opts = { limits = { frame = 50 } }
    local long = command("ECHO", ("x"):rep(48)):sub(1, -10)
    assert.equal("timeout", t.play(resp, { long, t.advance(61) }, opts).reason)
  end)
end)
