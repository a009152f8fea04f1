local t = require "linedancer.testing"
local access = require "handlers.rtmp.access"
local quietly = require "spec.support.quietly"

describe("rtmp names", function()
  local function split(app, url, path)
    local found, name, query = access.split(app, url, path)
    if not found then return nil, name end
    local parts = {}
    for key, value in pairs(query) do parts[#parts + 1] = key .. "=" .. value end
    table.sort(parts)
    return found, name, table.concat(parts, "&")
  end

  it("have parameters, slashes and empty parts in all the places that clients put them", function()
    for _, case in ipairs {
      { "live", nil, "x", "live", "x", "" },
      { "live?a=1&b=2", nil, "x", "live", "x", "a=1&b=2" },
      { "live", nil, "x?a=1&b=2", "live", "x", "a=1&b=2" },
      { "live?a=1", "rtmp://h/live?a=0&u=5", "x?a=3", "live", "x", "a=3&u=5" },
      { "live/", nil, "/x/", "live", "x", "" },
      { "/live//sub", nil, "deep//x", "live/sub", "deep/x", "" },
      { "live/key", nil, "", "live", "key", "" },
      { "live/sub/key?a=1", nil, "?b=2", "live/sub", "key", "a=1&b=2" },
      { "", nil, "x", "", "x", "" },
      { "live", nil, "x?token=a%20b%2Bc+d&flag", "live", "x", "flag=&token=a b+c d" },
    } do
      assert.same({ case[4], case[5], case[6] }, { split(case[1], case[2], case[3]) }, case[1] .. " " .. case[3])
    end
  end)

  it("are refused when they are none", function()
    assert.same({ nil, "the stream has no name" }, { split("live", nil, "") })
    assert.same({ nil, "the stream has no name" }, { split("", nil, "?a=1") })
    assert.same({ nil, "the stream's name has more than 200 bytes" }, { split("live", nil, ("x"):rep(196)) })
    assert.same({ nil, "the stream's name has control characters" }, { split("live", nil, "a\nb") })
    assert.same({ nil, "the stream's name has control characters" }, { split("live", nil, "a\0b") })
  end)

  it("have at most so many parameters", function()
    local text = {}
    for i = 1, 200 do text[i] = "k" .. i .. "=1" end
    local _, _, query = access.split("live", nil, "x?" .. table.concat(text, "&"))
    local count = 0
    for _ in pairs(query) do count = count + 1 end
    assert.equal(64, count)
  end)
end)

describe("rtmp access", function()
  local OPTIONS = {
    on_connect = access.anybody, on_publish = access.anybody, on_play = access.anybody, on_done = access.anybody,
    publish_allow = {}, publish_deny = {}, play_allow = {}, play_deny = {}, publish_token = "", play_token = "",
    token_name = "token", hook_timeout = 2,
  }

  -- What access says of a request with these fields, under these options, as "verdict reason app/name".
  local function asks(options, fields, script)
    local handler = {
      options = OPTIONS,
      states = {
        ask = function(conn)
          local request = { what = "publish", app = "live", name = "x", query = {}, peer = "10.0.0.9:5" }
          for key, value in pairs(fields or {}) do request[key] = value end
          local verdict, reason = access.may(conn, request)
          if type(verdict) == "table" then verdict = "to " .. verdict.redirect end
          conn:write(tostring(verdict), " ", reason or "-", " ", access.stream(request))
        end,
      },
    }
    return quietly(handler, script or {}, { options = options }).sent
  end

  it("lets everybody do all by default", function()
    assert.equal("true - live/x", asks())
    assert.equal("true - live/x", asks({}, { what = "play" }))
  end)

  it("goes by the address", function()
    assert.equal("true - live/x", asks { publish_allow = { "10.0.0.0/8" } })
    assert.equal("false not from this address live/x", asks { publish_allow = { "11.0.0.0/8" } })
    assert.equal("false not from this address live/x", asks { publish_deny = { "10.0.0.9" } })
    assert.equal("false not from this address live/x",
      asks { publish_allow = { "10.0.0.0/8" }, publish_deny = { "10.0.0.9" } })
    assert.equal("true - live/x", asks({ publish_deny = { "10.0.0.9" } }, { what = "play" }))
  end)

  it("goes by a token", function()
    assert.equal("false wrong token live/x", asks { publish_token = "secret" })
    assert.equal("false wrong token live/x", asks({ publish_token = "secret" }, { query = { token = "Secret" } }))
    assert.equal("true - live/x", asks({ publish_token = "secret" }, { query = { token = "secret" } }))
    assert.equal("true - live/x", asks({ play_token = "p", token_name = "k" }, { what = "play", query = { k = "p" } }))
  end)

  it("asks the user's hook, which may wait, and tells it all", function()
    local seen
    local hook = function(request)
      seen = request
      require("linedancer").sleep(1)
      return true
    end
    assert.equal("", asks({ on_publish = hook }))
    assert.equal("true - live/x", asks({ on_publish = hook }, nil, { t.advance(1) }))
    assert.same({ what = "publish", app = "live", name = "x", query = {}, peer = "10.0.0.9:5" }, seen)
  end)

  it("does what the hook says", function()
    for _, case in ipairs {
      { { true }, "true - live/x" }, { { false, "no seats" }, "false no seats live/x" },
      { { false }, "false not allowed live/x" }, { {}, "false not allowed live/x" },
      { { { name = "other/y" } }, "true - other/y" }, { { { redirect = "rtmp://b/live/x" } },
        "to rtmp://b/live/x - live/x" }, { { {} }, "false not allowed live/x" },
    } do
      assert.equal(case[2], asks { on_publish = function() return unpack(case[1]) end })
    end
  end)

  it("takes an error, or silence, for a no", function()
    assert.equal("false the hook failed live/x", asks { on_publish = function() error "x" end })
    local silent = { on_publish = function() require("linedancer").sleep(60) end }
    assert.equal("", asks(silent, nil, { t.advance(1.9) }))
    assert.equal("false no answer in time live/x", asks(silent, nil, { t.advance(2) }))
  end)
end)
