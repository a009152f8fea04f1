local redis = require "spec.support.redis"

describe("resp", function()
  local client

  before_each(function() client = redis.client() end)

  local function converse(dialogue) redis.converse(client, dialogue) end

  it("keeps lists that grow and shrink at both ends", function()
    converse {
      { "RPUSH l b c", ":2" }, { "LPUSH l a", ":3" }, { "LPUSH l y z", ":5" }, { "LLEN l", ":5" },
      { "TYPE l", "+list" },
      { "LRANGE l 0 -1", "*5 $1 z $1 y $1 a $1 b $1 c" }, { "LRANGE l 1 2", "*2 $1 y $1 a" },
      { "LRANGE l -2 100", "*2 $1 b $1 c" }, { "LRANGE l -100 0", "*1 $1 z" }, { "LRANGE l 3 1", "*0" },
      { "LRANGE l 9 10", "*0" }, { "LRANGE nope 0 -1", "*0" }, { "LPOP l", "$1 z" }, { "RPOP l", "$1 c" },
      { "LPOP l 2", "*2 $1 y $1 a" }, { "RPOP l 9", "*1 $1 b" }, { "LPOP l", "$-1" }, { "RPOP l 1", "*-1" },
      { "EXISTS l", ":0" }, { "RPUSH l a b", ":2" }, { "RPOP l 0", "*0" }, { "RPOP l 2", "*2 $1 b $1 a" },
      { "LPOP l -1", "-ERR value is out of range, must be positive" },
      { "LRANGE l x 1", "-ERR value is not an integer or out of range" },
    }
  end)

  it("keeps sets, each member once", function()
    converse {
      { "SADD s a", ":1" }, { "SADD s a", ":0" }, { "SADD s a b c b", ":2" }, { "SCARD s", ":3" }, { "TYPE s", "+set" },
      { "SISMEMBER s b", ":1" }, { "SISMEMBER s x", ":0" }, { "SREM s b x", ":1" }, { "SMEMBERS s", "*2 $1 a $1 c" },
      { "SREM s a c", ":2" }, { "EXISTS s", ":0" }, { "SMEMBERS s", "*0" }, { "SPOP s", "$-1" }, { "SPOP s 2", "*0" },
      { "SREM s a", ":0" }, { "SCARD s", ":0" }, { "SISMEMBER s a", ":0" },
    }
  end)

  it("pops each member of a set once, until the set is gone", function()
    client "SADD s 1 2 3 4 5 6 7 8 9"
    local seen = {}
    for _ = 1, 6 do seen[client "SPOP s"] = true end
    for member in client "SPOP s 5":gmatch "%$1 %d" do seen[member] = true end
    local count = 0
    for _ in pairs(seen) do count = count + 1 end
    assert.equal(9, count)
    assert.equal(":0", client "EXISTS s")
  end)

  it("keeps hashes", function()
    converse {
      { "HSET h f 1", ":1" }, { "HSET h f 2", ":0" }, { "HSET h f 3 g 4", ":1" }, { "HGET h f", "$1 3" },
      { "HGET h x", "$-1" },
      { "HGET nope x", "$-1" }, { "HLEN h", ":2" }, { "HEXISTS h g", ":1" }, { "TYPE h", "+hash" },
      { "HDEL h g x", ":1" },
      { "HGETALL h", "*2 $1 f $1 3" }, { "HDEL h f", ":1" }, { "EXISTS h", ":0" }, { "HGETALL h", "*0" },
      { "HLEN h", ":0" },
      { "HSET h f", "-ERR wrong number of arguments for 'hset' command" },
      { "HSET h f 1 g", "-ERR wrong number of arguments for 'hset' command" },
    }
  end)

  it("keeps sorted sets in order of score, then of bytes", function()
    converse {
      { "ZADD z 2 b 1 a 2 B 3 c", ":4" }, { "ZADD z 2 b", ":0" }, { "ZCARD z", ":4" }, { "TYPE z", "+zset" },
      { "ZRANGE z 0 -1", "*4 $1 a $1 B $1 b $1 c" }, { "ZADD z 0.5 c", ":0" }, { "ZADD z CH 0.25 c 9 d", ":2" },
      { "ZRANGE z 0 1 WITHSCORES", "*4 $1 c $4 0.25 $1 a $1 1" }, { "ZRANGE z -2 -1", "*2 $1 b $1 d" },
      { "ZRANGE z 3 1", "*0" }, { "ZSCORE z c", "$4 0.25" }, { "ZSCORE z x", "$-1" }, { "ZREM z a x", ":1" },
      { "ZPOPMIN z", "*2 $1 c $4 0.25" }, { "ZPOPMIN z 2", "*4 $1 B $1 2 $1 b $1 2" },
      { "ZPOPMIN z 5", "*2 $1 d $1 9" },
      { "EXISTS z", ":0" }, { "ZPOPMIN z", "*0" }, { "ZCARD z", ":0" }, { "ZRANGE z 0 -1", "*0" },
    }
  end)

  it("keeps members of one score in order of their bytes, the shorter first", function()
    converse {
      { "ZADD z 1 b 1 d 1 B 1 c 1 bb 1 \"\" 1 a", ":7" }, { "ZREM z c", ":1" }, { "ZRANGE z 0 -1",
        "*6 $0  $1 B $1 a $1 b $2 bb $1 d" },
    }
  end)

  it("obeys ZADD's flags and refuses bad scores", function()
    converse {
      { "ZADD z XX 1 a", ":0" }, { "EXISTS z", ":0" }, { "ZADD z NX 1 a", ":1" }, { "ZADD z NX 2 a", ":0" },
      { "ZSCORE z a", "$1 1" }, { "ZADD z XX 2 a 3 b", ":0" }, { "ZSCORE z a", "$1 2" }, { "ZSCORE z b", "$-1" },
      { "ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible" },
      { "ZADD z 1 a 2", "-ERR syntax error" }, { "ZADD z NX XX", "-ERR syntax error" },
      { "ZADD z x a", "-ERR value is not a valid float" }, { "ZADD z nan a", "-ERR value is not a valid float" },
      { "ZADD z 0x10 a", "-ERR value is not a valid float" }, { "ZADD z -inf a", ":0" }, { "ZSCORE z a", "$4 -inf" },
      { "ZADD z 1e2 a", ":0" }, { "ZSCORE z a", "$3 100" }, { "ZADD z 0.1 a", ":0" }, { "ZSCORE z a", "$3 0.1" },
    }
  end)

  it("keeps a large sorted set in order", function()
    local expected = {}
    for i = 1, 500 do
      local score = i * 7919 % 1009
      expected[score + 1] = "m" .. score
      client("ZADD", "z", tostring(score), "m" .. score)
      if i % 3 == 0 then
        client("ZREM", "z", "m" .. score)
        expected[score + 1] = nil
      end
    end
    for score = 0, 1009 do
      local member = expected[score + 1]
      if member then
        assert.equal(("*2 $%d %s $%d %d"):format(#member, member, #tostring(score), score), client "ZPOPMIN z")
      end
    end
    assert.equal("*0", client "ZPOPMIN z")
  end)

  it("keeps streams of entries, in order of their ids", function()
    assert.truthy(client "XADD x * a 1":find "^%$%d+ %d+%-0$")
    converse {
      { "DEL x", ":1" }, { "XADD x 1-1 a 1", "$3 1-1" }, { "XADD x 1-2 b 2 c 3", "$3 1-2" },
      { "XADD x 5 d 4", "$3 5-0" },
      { "XLEN x", ":3" }, { "TYPE x", "+stream" },
      { "XRANGE x - +", "*3 *2 $3 1-1 *2 $1 a $1 1 *2 $3 1-2 *4 $1 b $1 2 $1 c $1 3 *2 $3 5-0 *2 $1 d $1 4" },
      { "XRANGE x 1-2 4", "*1 *2 $3 1-2 *4 $1 b $1 2 $1 c $1 3" },
      { "XRANGE x - + COUNT 1", "*1 *2 $3 1-1 *2 $1 a $1 1" },
      { "XRANGE x 1 1", "*2 *2 $3 1-1 *2 $1 a $1 1 *2 $3 1-2 *4 $1 b $1 2 $1 c $1 3" }, { "XRANGE nope - +", "*0" },
      { "XADD x 5 e 5", "-ERR The ID specified in XADD is equal or smaller than the target stream top item" },
      { "XADD x 0-0 e 5", "-ERR The ID specified in XADD must be greater than 0-0" },
      { "XADD x y e 5", "-ERR Invalid stream ID specified as stream command argument" },
      { "XADD x 6 e", "-ERR wrong number of arguments for 'xadd' command" },
      { "XADD x MAXLEN ~ 2 7 f 6", "$3 7-0" }, { "XLEN x", ":2" }, { "XADD nope NOMKSTREAM * a 1", "$-1" },
      { "EXISTS nope", ":0" }, { "XLEN nope", ":0" },
    }
  end)

  it("does not take one type for another", function()
    client "SET string x"
    client "RPUSH list x"
    for _, words in ipairs {
      "LPUSH string x", "RPUSH string x y", "LPOP string", "LPOP string 1", "LLEN string", "LRANGE string 0 1",
      "SADD list x", "SADD list x y", "SREM list x", "SCARD list", "SMEMBERS list", "SPOP list", "SPOP list 1",
      "SISMEMBER list x", "HSET list f v", "HSET list f v g w", "HGET list f", "HDEL list f", "HLEN list",
      "HGETALL list",
      "HEXISTS list f", "ZADD list 1 a", "ZREM list a", "ZCARD list", "ZSCORE list a", "ZPOPMIN list", "ZPOPMIN list 1",
      "ZRANGE list 0 1", "XADD list * a 1", "XLEN list", "XRANGE list - +",
    } do
      assert.equal("-WRONGTYPE Operation against a key holding the wrong kind of value", client(words), words)
    end
    converse { { "GET string", "$1 x" }, { "LRANGE list 0 -1", "*1 $1 x" }, { "DBSIZE", ":2" } }
  end)

  it("uses RESP3's types after HELLO 3, as Redis does", function()
    assert.truthy(client "HELLO 3":find "^%%7 %$6 server %$10 linedancer %$7 version .* %$5 proto :3 ")
    converse {
      { "GET nope", "_" }, { "LPOP nope 1", "_" }, { "HSET h f v", ":1" }, { "HGETALL h", "%1 $1 f $1 v" },
      { "SADD s a", ":1" }, { "SMEMBERS s", "~1 $1 a" }, { "SPOP s 1", "~1 $1 a" }, { "ZADD z 1.5 a 2 b", ":2" },
      { "ZSCORE z a", ",1.5" }, { "ZSCORE z x", "_" }, { "ZRANGE z 0 -1 WITHSCORES", "*2 *2 $1 a ,1.5 *2 $1 b ,2" },
      { "ZPOPMIN z", "*2 $1 a ,1.5" }, { "ZPOPMIN z 1", "*1 *2 $1 b ,2" }, { "CONFIG GET save", "%1 $4 save $0" },
      { "MGET nope", "*1 _" }, { "SET k v NX GET", "_" }, { "RESET", "+RESET" }, { "GET nope", "$-1" },
    }
  end)
end)
