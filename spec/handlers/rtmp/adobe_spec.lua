local adobe = require "handlers.rtmp.adobe"
local keep = require "linedancer.keep"
local ld = require "linedancer"
local t = require "linedancer.testing"

local USER, PASSWORD = "alice", "s3cr3t &?=+/"

local function password_of(user) return user == USER and PASSWORD or nil end

describe("rtmp authmod=adobe", function()
  local now, clock = ld.now, 1000

  before_each(function()
    clock = 1000
    ld.now = function() return clock end
  end)
  after_each(function()
    ld.now = now
    keep.clear()
  end)

  -- The query of a client that knows USER and PASSWORD, and was refused with a challenge for USER.
  local function login(user, password)
    return assert(adobe.respond(adobe.challenge(user or USER), user or USER, password or PASSWORD))
  end

  local function refuses(query, ...)
    local ok, description = adobe.check(query, password_of, ...)
    assert.is_nil(ok)
    assert.equal(adobe.FAILED, description)
  end

  describe("answers", function()
    local SALTED = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=broadcaster&salt=6MnrBnKW"

    it("to the opaque, and without one to the challenge", function()
      -- Computed with Python's hashlib.
      assert.equal("authmod=adobe&user=broadcaster&challenge=a1b2c3d4&response=15YsH7KxjjVJe8pZ9fgobA==&opaque=vbi2V",
        adobe.respond(SALTED .. "&challenge=7C5OrwQg&opaque=vbi2V", "broadcaster", "s3cr3t", "a1b2c3d4"))
      local second = "authmod=adobe&user=broadcaster&challenge=a1b2c3d4&response=weH65JugOw1nlpJhoKIjFA=="
      assert.equal(second, adobe.respond(SALTED .. "&challenge=7C5OrwQg", "broadcaster", "s3cr3t", "a1b2c3d4"))
      assert.equal(second,
        adobe.respond(SALTED .. "&challenge=7C5OrwQg&opaque=", "broadcaster", "s3cr3t", "a1b2c3d4"))
    end)

    it("with its name first", function()
      assert.equal("authmod=adobe&user=u", adobe.respond(adobe.NEED_AUTH, "u", "p"))
      assert.equal("authmod=adobe&user=u", adobe.respond("code=403 need auth; authmod=adobe", "u", "p"))
    end)

    it("to the challenge of a server that says less", function()
      assert.matches("^authmod=adobe&user=u&challenge=%x%x%x%x%x%x%x%x&response=[%w+/]+==$",
        adobe.respond("authmod=adobe ?reason=needauth&user=u&salt=a&challenge=b", "u", "p"))
    end)

    it("with another challenge each time", function()
      local description = adobe.challenge "u"
      assert.not_equal(adobe.respond(description, "u", "p"), adobe.respond(description, "u", "p"))
    end)

    it("nothing when it was refused or does not understand", function()
      local function fails(text, description, user)
        local query, message = adobe.respond(description, user or "u", "p")
        assert.is_nil(query)
        assert.matches(text, message, 1, true)
      end
      fails("the server does not take this user and password: authfailed", adobe.FAILED)
      fails("password: nosuchuser", "[ authmod=adobe ] : ?reason=nosuchuser&opaque=x")
      fails("password: no reason", "authmod=adobe")
      fails("not a challenge of authmod=adobe", "[ AccessManager.Reject ] : [ code=403 need auth; authmod=llnw ] : ")
      fails("not a challenge of authmod=adobe", "")
      fails("a challenge without salt", "authmod=adobe ?reason=needauth&challenge=b")
      fails("a challenge without salt", "authmod=adobe ?reason=needauth&salt=b&challenge=")
      fails("a user's name cannot hold", adobe.NEED_AUTH, "a&b")
    end)
  end)

  describe("of a server", function()
    it("leads to a login in three steps", function()
      local ok, description = adobe.check(nil, password_of)
      assert.is_nil(ok)
      assert.equal("[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ", description)
      ok, description = adobe.check(adobe.respond(description, USER, PASSWORD), password_of)
      assert.is_nil(ok)
      assert.matches("^%[ AccessManager%.Reject %] : %[ authmod=adobe %] : %?reason=needauth&user=alice&salt=[%w_-]+"
        .. "&challenge=([%w_-]+)&opaque=%1$", description)
      assert.is_true((adobe.check(adobe.respond(description, USER, PASSWORD), password_of)))
    end)

    it("asks for a login where there is none", function()
      for _, query in ipairs { "", "token=5", "authmod=llnw&user=alice", "authmod=adobe", "authmod=adobe&user=",
        "user=alice", "authmod=adobe&user=" .. ("x"):rep(81) } do
        assert.same({ nil, adobe.NEED_AUTH }, { adobe.check(query, password_of) })
      end
    end)

    it("asks for something else each time", function()
      local one, other = adobe.params(adobe.challenge(USER)), adobe.params(adobe.challenge(USER))
      assert.not_equal(one.salt, other.salt)
      assert.not_equal(one.challenge, other.challenge)
    end)

    it("fits its challenge into what ffmpeg reads, with the longest name", function()
      assert.is_true(#adobe.challenge(("x"):rep(80)) < 256)
    end)

    it("takes the login among other parameters, escaped or behind a second ?", function()
      assert.is_true((adobe.check("token=5&" .. login() .. "&x=y", password_of)))
      assert.is_true((adobe.check("token=5?" .. login(), password_of)))
      local escaped = login():gsub("response=([^&]*)", function(response)
        return "response=" .. response:gsub("[+/=]", function(c) return ("%%%02X"):format(c:byte()) end)
      end)
      assert.matches("%3D%3D", escaped, 1, true)
      assert.is_true((adobe.check(escaped, password_of)))
    end)

    it("takes the texts of librtmp with what it has behind them", function()
      local query = assert(adobe.respond(adobe.challenge(USER), USER, PASSWORD, "rOH4Qw=="))
      query = query:gsub("(&challenge=[^&]*)", "%1\255CR\2/x"):gsub("(&response=[^&]*)", "%1\1\255Y")
      assert.is_true((adobe.check(query, password_of)))
    end)

    it("refuses a wrong password and a user that it does not know, alike", function()
      refuses(login(USER, "wrong"))
      refuses(login("bob", PASSWORD))
      refuses(login("bob", ""))
    end)

    it("refuses a login for another user than the one who was asked", function()
      local query = assert(adobe.respond(adobe.challenge "bob", USER, PASSWORD))
      refuses(query)
      local ok, description = adobe.verify(adobe.params(login()), "bob", PASSWORD)
      assert.is_nil(ok)
      assert.equal(adobe.FAILED, description)
    end)

    it("takes each challenge once, and not a failure for a use", function()
      local description = adobe.challenge(USER)
      refuses(assert(adobe.respond(description, USER, "wrong")))
      local query = assert(adobe.respond(description, USER, PASSWORD))
      assert.is_true((adobe.check(query, password_of)))
      refuses(query)
      refuses(assert(adobe.respond(description, USER, PASSWORD)))
      for _ = 1, 2 * adobe.TTL + 2 do
        clock = clock + 1
        refuses(query)
      end
    end)

    it("takes no used one until it expires, however many were used meanwhile", function()
      assert.is_true((adobe.check(login(), password_of)))
      clock = 1000 + adobe.TTL
      local query = login()
      assert.is_true((adobe.check(query, password_of)))
      for i = 1, adobe.TTL do
        clock = 1000 + adobe.TTL + i
        assert.is_true((adobe.check(login(), password_of)))
        refuses(query)
      end
    end)

    it("takes none that was used in another worker, once it is told", function()
      local description = adobe.challenge(USER)
      local query = assert(adobe.respond(description, USER, PASSWORD))
      local ok, token = adobe.check(query, password_of)
      assert.is_true(ok)
      keep.clear() -- as another worker is
      adobe.spend(token)
      refuses(query)
    end)

    it("takes a challenge for as long as it is good", function()
      local early, late = login(), login()
      clock = 1000 + adobe.TTL
      assert.is_true((adobe.check(early, password_of)))
      clock = clock + 1
      refuses(late)
    end)

    it("forgets what was used when it has expired", function()
      for i = 1, 500 do
        assert.is_true((adobe.check(login(), password_of)))
        clock = 1000 + i
      end
      local count = 0
      for _, spent in ipairs { ld.keep("rtmp.adobe").old, ld.keep("rtmp.adobe").new } do
        for _ in pairs(spent) do count = count + 1 end
      end
      assert.is_true(count <= 2 * (adobe.TTL + 1))
    end)

    it("refuses a challenge that is not its own", function()
      local foreign = "[ authmod=adobe ] : ?reason=needauth&user=alice&salt=abc&challenge=%s&opaque=%s"
      for _, token in ipairs { "x", ("A"):rep(24), ("A"):rep(23), "!!!!", adobe.params(login()).opaque:reverse() } do
        refuses(assert(adobe.respond(foreign:format(token, token), USER, PASSWORD)))
      end
      local query = login()
      for _, name in ipairs { "opaque", "challenge", "response" } do
        refuses((query:gsub("&" .. name .. "=[^&]*", "&" .. name .. "=abc")))
      end
      refuses((query:gsub("&opaque=.*", "")))
      assert.is_true((adobe.check(query, password_of)))
    end)
  end)

  it("is the same in all workers, whose challenges the others take", function()
    local world = t.world { workers = 2 }
    finally(function() world:close() end)
    ld.now = now
    local desk = "spec.support.adobe"
    local description = world:connect(desk, { worker = 2 }):send("challenge alice\n"):sent():gsub("\n$", "")
    assert.is_true((adobe.check(adobe.respond(description, USER, PASSWORD), password_of)))
  end)
end)
