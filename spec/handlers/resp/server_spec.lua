local redis = require "spec.support.redis"
local number = require "handlers.resp.number"

describe("resp server", function()
  local client

  before_each(function() client = redis.client() end)

  local function converse(dialogue) redis.converse(client, dialogue) end

  it("answers PING and ECHO", function()
    converse {
      { "PING", "+PONG" }, { "PING hi", "$2 hi" }, { "ECHO hi", "$2 hi" },
      { "PING a b", "-ERR wrong number of arguments for 'ping' command" },
    }
  end)

  it("switches protocols by HELLO, and stays as it was when that fails", function()
    assert.truthy(client "HELLO":find "^%*14 .* %$5 proto :2 ")
    converse {
      { "HELLO 4", "-NOPROTO unsupported protocol version" },
      { "HELLO x", "-ERR Protocol version is not an integer or out of range" },
      { "HELLO 3 NOPE", "-ERR Syntax error in HELLO option 'NOPE'" },
      { "HELLO 3 AUTH user password", "-WRONGPASS invalid username-password pair or user is disabled." },
      { "GET nope", "$-1" },
    }
    assert.truthy(client "HELLO 3 SETNAME me":find "proto :3 ")
    converse { { "CLIENT GETNAME", "$2 me" }, { "GET nope", "_" } }
    client "HELLO 2"
    converse { { "GET nope", "$-1" } }
  end)

  it("knows its clients by number and name", function()
    converse {
      { "CLIENT GETNAME", "$-1" }, { "CLIENT SETNAME me", "+OK" }, { "CLIENT GETNAME", "$2 me" },
      { 'CLIENT SETNAME "a b"', "-ERR Client names cannot contain spaces, newlines or special characters." },
      { "CLIENT SETINFO LIB-NAME lib", "+OK" }, { "CLIENT SETINFO NOPE lib", "-ERR Unrecognized option 'NOPE'" },
      { "CLIENT NOPE", "-ERR unknown subcommand 'NOPE'. Try CLIENT HELP." },
      { "CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command" },
    }
    local id = client "CLIENT ID":match "^:(%d+)$"
    assert.truthy(client "CLIENT LIST":find("id=" .. id .. " .* name=me .* db=0 resp=2"))
    assert.truthy(client "INFO clients":find "connected_clients:%d+")
  end)

  it("forgets a client that has left", function()
    local other = redis.client()
    local id = other "CLIENT ID":match "%d+"
    assert.truthy(client "CLIENT LIST":find("id=" .. id .. " ", 1, true))
    other "QUIT"
    require("linedancer.testing").result(other.play)
    assert.falsy(client "CLIENT LIST":find("id=" .. id .. " ", 1, true))
  end)

  it("tells its configuration, and refuses to change it", function()
    converse {
      { "CONFIG GET save", "*2 $4 save $0" }, { "CONFIG GET nope", "*0" },
      { "CONFIG GET DATABASES s*v?", "*4 $9 databases "
        .. "$2 16 $4 save $0" }, { "CONFIG SET appendonly no", "+OK" },
      { "CONFIG SET appendonly yes",
        "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - can't set immutable config" },
      { "CONFIG SET nope 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nope'" },
      { "CONFIG SET save 1 appendonly", "-ERR wrong number of arguments for 'config|set' command" },
    }
  end)

  it("tells which commands there are", function()
    local count = tonumber(client "COMMAND COUNT":match "%d+")
    assert.is_true(count > 60)
    assert.truthy(client "COMMAND":find("^%*" .. count .. " %*6 "))
    converse {
      { "COMMAND INFO get nope", "*2 *6 $3 get :2 *0 :0 :0 :0 *-1" },
      { "COMMAND INFO set", "*1 *6 $3 set :-3 *0 :0 :0 :0" },
      { "COMMAND DOCS get nope", "*2 $3 get *2 $5 group $7 generic" },
    }
  end)

  it("resets a connection", function()
    converse {
      { "SELECT 3", "+OK" }, { "CLIENT SETNAME me", "+OK" }, { "RESET", "+RESET" }, { "CLIENT GETNAME", "$-1" },
      { "SET k v", "+OK" }, { "SELECT 3", "+OK" }, { "DBSIZE", ":0" },
    }
  end)

  it("gives INFO by section", function()
    client "SET k v EX 10"
    assert.equal("$40 # Keyspace db0:keys=1,expires=1", (client "INFO keyspace":gsub("%$%d+", "$40")))
    assert.truthy(client "INFO":find "# Server .*# Clients .*# Memory .*# Keyspace")
    assert.equal("$0", client "INFO nope")
  end)
end)

describe("resp number", function()
  it("writes doubles in as few digits as tell them apart", function()
    for x, text in pairs {
      [1] = "1", [-3] = "-3", [0.1] = "0.1", [1.5] = "1.5", [1 / 3] = "0.3333333333333333", [1e100] = "1e+100",
      [2 ^ 53] = "9007199254740992", [0.1 + 0.2] = "0.30000000000000004", [1 / 0] = "inf", [-1 / 0] = "-inf",
    } do
      assert.equal(text, number.text(x))
      assert.equal(x, number.double(text))
    end
  end)
end)
