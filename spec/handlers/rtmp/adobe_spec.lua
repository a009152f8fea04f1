local adobe = require "handlers.rtmp.adobe"
local ld = require "linedancer"
local t = require "linedancer.testing"

-- The parameters of TEXT, as an app's.
local function query_of(text)
  return require("handlers.rtmp.access").query("live?" .. text)
end

describe("authmod=adobe", function()
  it("has the answer that the formula gives", function()
    local function hash(text) return ld.crypto.base64(ld.crypto.digest("md5", text)) end
    local description = "[ AccessManager.Reject ] : [ authmod=adobe ] : "
      .. "?reason=needauth&user=alice&salt=SALT&challenge=CH&opaque=OP"
    local query = query_of(adobe.respond(description, "alice", "secret"))
    assert.equal(hash(hash "aliceSALTsecret" .. "OP" .. query.challenge), query.response)
    assert.same({ "adobe", "alice", "OP" }, { query.authmod, query.user, query.opaque })
    query = query_of(adobe.respond(description:gsub("&opaque=OP", ""), "alice", "secret"))
    assert.equal(hash(hash "aliceSALTsecret" .. "CH" .. query.challenge), query.response)
    assert.is_nil(query.opaque)
  end)

  it("comes to an end for what asks for nothing", function()
    for _, text in ipairs { "no", "code=403", "[ authmod=adobe ] : ?reason=authfailed", "" } do
      assert.is_nil(adobe.respond(text, "a", "b"))
    end
  end)

  it("takes each challenge once, and not for long", function()
    local world = t.world {}
    world:connect { states = { go = function(conn)
      local function ask()
        local ok, description = adobe.check(query_of "authmod=adobe&user=alice", "alice", "secret")
        assert.is_false(ok)
        return query_of(adobe.respond(description, "alice", "secret"))
      end
      local query = ask()
      assert.is_true(adobe.check(query, "alice", "secret"))
      assert.is_false((adobe.check(query, "alice", "secret")))
      query = ask()
      assert.is_false((adobe.check(query, "alice", "other")))
      query = ask()
      query.user = "bob"
      assert.is_false((adobe.check(query, "alice", "secret")))
      query = ask()
      ld.sleep(61)
      assert.is_false((adobe.check(query, "alice", "secret")))
      conn:write "all"
    end }, timeouts = { 100 } }
    local peer = world.peers[1]
    world:advance(62)
    assert.equal("all", peer:sent())
    world:close()
  end)

  it("keeps only so many challenges", function()
    for _ = 1, 12000 do adobe.check({ authmod = "adobe", user = "x" }, "alice", "secret") end
    local count = 0
    for _ in pairs(ld.keep "rtmp/adobe") do count = count + 1 end
    assert.is_true(count <= 10000)
  end)
end)
