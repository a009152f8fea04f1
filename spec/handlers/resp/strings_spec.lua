local redis = require "spec.support.redis"

describe("resp strings", function()
  local client

  before_each(function() client = redis.client() end)

  local function converse(dialogue) redis.converse(client, dialogue) end

  it("sets, gets and deletes", function()
    converse {
      { "GET k", "$-1" }, { "SET k v", "+OK" }, { "GET k", "$1 v" }, { "EXISTS k k nope", ":2" },
      { "TYPE k", "+string" },
      { "STRLEN k", ":1" }, { "STRLEN nope", ":0" }, { "DEL k nope k", ":1" }, { "GET k", "$-1" },
      { "TYPE k", "+none" },
      { "GETSET k 1", "$-1" }, { "GETSET k 2", "$1 1" }, { "GETDEL k", "$1 2" }, { "GETDEL k", "$-1" },
    }
  end)

  it("obeys SET's options", function()
    converse {
      { "SET k 1 XX", "$-1" }, { "SET k 1 NX", "+OK" }, { "SET k 2 NX", "$-1" }, { "SET k 3 XX GET", "$1 1" },
      { "SET k 4 get", "$1 3" }, { "SET k 5 NX GET", "$1 4" }, { "GET k", "$1 4" }, { "SET new 1 GET", "$-1" },
      { "SET k 5 EX 10", "+OK" }, { "TTL k", ":10" }, { "SET k 6 KEEPTTL", "+OK" }, { "TTL k", ":10" },
      { "SET k 7", "+OK" }, { "TTL k", ":-1" }, { "SET k 8 PX 1500", "+OK" }, { "PTTL k", ":1500" },
      { "SETNX k 9", ":0" }, { "SETNX l 9", ":1" }, { "SETEX k 5 9", "+OK" }, { "TTL k", ":5" },
      { "PSETEX k 700 9", "+OK" }, { "PTTL k", ":700" },
    }
  end)

  it("refuses options that contradict each other, and bad times", function()
    for _, options in ipairs { "NX XX", "EX", "EX 1 PX 1", "EX 1 KEEPTTL", "KEEPTTL EX 1", "NOPE" } do
      assert.equal("-ERR syntax error", client("SET k v " .. options))
    end
    assert.equal("-ERR value is not an integer or out of range", client "SET k v EX 1.5")
    assert.equal("-ERR invalid expire time in 'set' command", client "SET k v EX 0")
    assert.equal("-ERR invalid expire time in 'setex' command", client "SETEX k -1 v")
    assert.equal("$-1", client "GET k")
  end)

  it("counts", function()
    converse {
      { "INCR n", ":1" }, { "INCR n", ":2" }, { "DECR n", ":1" }, { "INCRBY n 41", ":42" }, { "DECRBY n 50", ":-8" },
      { "GET n", "$2 -8" }, { "STRLEN n", ":2" }, { "APPEND n 0", ":3" }, { "INCR n", ":-79" },
      { "MGET n", "*1 $3 -79" },
      { "TYPE n", "+string" }, { "SET n 10", "+OK" }, { "INCR n", ":11" }, { "GETSET n 1", "$2 11" },
      { "SET n 5 GET", "$1 1" }, { "INCR n", ":6" }, { "SET n 5 GET", "$1 6" }, { "INCR n", ":6" },
      { "GETDEL n", "$1 6" },
    }
  end)

  it("counts only in integers written as Redis writes them", function()
    for _, text in ipairs { "x", "1.5", "1.0", "1e3", "0x10", "+1", "01", "-0", " 1", "1 ", "", "12LL", "inf",
    "nan" } do
      client("SET", "n", text)
      assert.equal("-ERR value is not an integer or out of range", client "INCR n", text)
      assert.equal("-ERR value is not an integer or out of range", client("INCRBY", "m", text), text)
    end
  end)

  it("counts exactly below 2^53 and refuses to go beyond", function()
    converse {
      { "SET n 9007199254740990", "+OK" }, { "INCR n", ":9007199254740991" }, { "GET n", "$16 9007199254740991" },
      { "INCR n", "-ERR increment or decrement would overflow" }, { "GET n", "$16 9007199254740991" },
      { "SET n -9007199254740991", "+OK" }, { "DECR n", "-ERR increment or decrement would overflow" },
      { "SET n 9007199254740992", "+OK" }, { "INCR n", "-ERR value is not an integer or out of range" },
      { "INCRBY m 9007199254740993", "-ERR value is not an integer or out of range" },
    }
  end)

  it("keeps a counter's deadline, which SET removes", function()
    converse {
      { "SET n 1 EX 10", "+OK" }, { "INCR n", ":2" }, { "APPEND n 0", ":2" }, { "TTL n", ":10" }, { "SET n 1", "+OK" },
      { "TTL n", ":-1" },
    }
  end)

  it("sets and gets many, the last of a name twice given", function()
    converse {
      { "MSET a 1 b 2 a 3", "+OK" }, { "LPUSH l x", ":1" }, { "MGET a nope l b", "*4 $1 3 $-1 $-1 $1 2" },
    }
  end)

  it("refuses to append beyond the largest bulk", function()
    client = redis.client { options = { max_bulk = 10 } }
    converse {
      { "APPEND k 1234567", ":7" },
      { "APPEND k 8901", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)" }, { "STRLEN k", ":7" },
    }
  end)

  it("does not take a list for a string", function()
    client "LPUSH l x"
    for _, words in ipairs { "GET l", "INCR l", "APPEND l x", "STRLEN l", "GETSET l x", "GETDEL l", "SET l x GET" } do
      assert.equal("-WRONGTYPE Operation against a key holding the wrong kind of value", client(words), words)
    end
    assert.equal("+OK", client "SET l x")
  end)
end)
