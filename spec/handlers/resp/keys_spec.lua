local glob = require "handlers.resp.glob"
local ld = require "linedancer"
local redis = require "spec.support.redis"

describe("resp keys", function()
  local client

  before_each(function() client = redis.client() end)

  local function converse(dialogue) redis.converse(client, dialogue) end

  it("expire when their time has come, and not before", function()
    converse {
      { "SET k v", "+OK" }, { "TTL k", ":-1" }, { "TTL nope", ":-2" }, { "PTTL nope", ":-2" }, { "EXPIRE k 10", ":1" },
      { "EXPIRE nope 10", ":0" }, { "TTL k", ":10" },
    }
    redis.wait(client, 9.9)
    assert.equal("$1 v", client "GET k")
    redis.wait(client, 0.2)
    converse {
      { "GET k", "$-1" }, { "EXISTS k", ":0" }, { "TTL k", ":-2" }, { "DEL k", ":0" }, { "KEYS *", "*0" },
      { "DBSIZE", ":0" },
    }
  end)

  it("expire whatever their type, and may be made anew", function()
    converse { { "LPUSH l x", ":1" }, { "PEXPIRE l 100", ":1" } }
    redis.wait(client, 1)
    converse { { "LLEN l", ":0" }, { "TYPE l", "+none" }, { "SADD l x", ":1" }, { "TTL l", ":-1" } }
  end)

  it("do not expire after PERSIST, or a later EXPIRE", function()
    converse {
      { "SET k v EX 10", "+OK" }, { "PERSIST k", ":1" }, { "PERSIST k", ":0" }, { "PERSIST nope", ":0" },
      { "TTL k", ":-1" },
      { "SET m v EX 10", "+OK" }, { "EXPIRE m 100", ":1" },
    }
    redis.wait(client, 20)
    converse { { "GET k", "$1 v" }, { "GET m", "$1 v" }, { "TTL m", ":80" } }
  end)

  it("go at once when their time is past", function()
    converse { { "SET k v", "+OK" }, { "EXPIRE k 0", ":1" }, { "EXISTS k", ":0" } }
    converse { { "SET k v EX 10", "+OK" }, { "EXPIRE k -1", ":1" }, { "DBSIZE", ":0" } }
    converse { { "SET k v", "+OK" }, { "EXPIRE k x", "-ERR value is not an integer or out of range" } }
  end)

  it("that nobody asks for are removed by later commands, a few at a time", function()
    for i = 1, 100 do client("SET", "old" .. i, "v", "PX", "100") end
    redis.wait(client, 1)
    local db = ld.keep "resp".databases[0]
    assert.equal(100, db.count)
    client "SET new v"
    assert.equal(81, db.count)
    for i = 1, 4 do client("SET", "new" .. i, "v") end
    assert.same({ 5, 0, 0 }, { db.count, db.expiring, db.heap_size })
  end)

  it("do not grow the memory of deadlines by being given new ones", function()
    local db = ld.keep "resp".databases[0]
    for _ = 1, 1000 do client "SET k v EX 1000" end
    assert.is_true(db.heap_size < 100)
    for _ = 1, 1000 do client "EXPIRE k 1000" end
    assert.is_true(db.heap_size < 100)
    redis.wait(client, 1001)
    assert.equal("$-1", client "GET k")
  end)

  it("are found by pattern", function()
    client "MSET one 1 two 2 three 3"
    assert.equal("*1 $3 one", client "KEYS o*")
    assert.equal("*2 $3 two $5 three", (client "KEYS t*":gsub("%$5 three %$3 two", "$3 two $5 three")))
    assert.equal("*0", client "KEYS z*")
  end)

  it("belong to one of 16 databases", function()
    converse {
      { "SET k 0", "+OK" }, { "SELECT 15", "+OK" }, { "GET k", "$-1" }, { "SET k 15", "+OK" }, { "DBSIZE", ":1" },
      { "SELECT 0", "+OK" }, { "GET k", "$1 0" }, { "SELECT 16", "-ERR DB index is out of range" },
      { "SELECT -1", "-ERR DB index is out of range" }, { "SELECT x", "-ERR value is not an integer or out of range" },
      { "FLUSHDB", "+OK" }, { "DBSIZE", ":0" }, { "SELECT 15", "+OK" }, { "DBSIZE", ":1" }, { "FLUSHALL ASYNC", "+OK" },
      { "DBSIZE", ":0" }, { "FLUSHALL NOPE", "-ERR syntax error" },
    }
  end)

  it("are counted whatever replaces and removes them", function()
    converse {
      { "MSET a 1 b 2 c 3", "+OK" }, { "SET a 2 EX 5", "+OK" }, { "LPUSH l x", ":1" }, { "LPOP l", "$1 x" },
      { "DBSIZE", ":3" }, { "UNLINK a b", ":2" }, { "DBSIZE", ":1" },
    }
  end)
end)

describe("resp glob", function()
  local function check(pattern, matching, others)
    for _, text in ipairs(matching) do assert.is_true(glob.match(pattern, text), pattern .. " and " .. text) end
    for _, text in ipairs(others) do assert.is_false(glob.match(pattern, text), pattern .. " and " .. text) end
  end

  it("matches literally, any one, any number", function()
    check("abc", { "abc" }, { "ab", "abcd", "", "xbc" })
    check("a?c", { "abc", "a?c", "a\0c" }, { "ac", "abbc" })
    check("*", { "", "a", "a\nb" }, {})
    check("a*c", { "ac", "abc", "acc", "abcac" }, { "a", "acb" })
    check("*a*b*", { "ab", "xaxbx" }, { "ba", "a" })
    check("", { "" }, { "a" })
    check("a.c%d", { "a.c%d" }, { "abc1" })
  end)

  it("matches classes, ranges and what is not in them", function()
    check("h[ae]llo", { "hello", "hallo" }, { "hillo", "hllo" })
    check("h[^e]llo", { "hallo" }, { "hello" })
    check("[a-c]", { "a", "b", "c" }, { "d", "" })
    check("[c-a]", { "b" }, { "d" })
    check("[a\\]]", { "a", "]" }, { "\\" })
    check("[a-", { "a", "-" }, { "b" })
  end)

  it("takes an escaped character for itself", function()
    check("\\*", { "*" }, { "a", "\\*" })
    check("a\\", { "a\\" }, { "a" })
    check("\\[a]", { "[a]" }, { "a" })
  end)

  it("needs no time worth noticing for many stars", function()
    assert.is_false(glob.match(("a*"):rep(50) .. "b", ("a"):rep(5000)))
  end)
end)
