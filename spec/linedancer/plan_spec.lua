local plan = require "linedancer.plan"

describe("plan", function()
  local config = {
    workers = 2, drain = 30, limits = { heartbeat = 0.25 }, log = { level = "warn" }, no_new_privs = true,
    listen = {
      { address = { family = "ipv4", host = "127.0.0.1", port = 7000, text = "127.0.0.1:7000" }, backlog = 5 },
      { address = { family = "unix", path = "/run/x", text = "unix:/run/x" } },
    },
  }
  local nobody, ourselves = { user = "nobody", uid = 65534, gid = 5 }, { user = "", uid = 0, gid = 0 }

  it("is a sequence of strings that any language can read", function()
    assert.equal("1:2,2:30,4:0.25,4:warn,1:0,6:nobody,5:65534,1:5,1:1,1:0,1:2,"
      .. "4:ipv4,9:127.0.0.1,0:,14:127.0.0.1:7000,4:echo,4:7000,1:5,1:0,1:0,"
      .. "4:unix,0:,6:/run/x,11:unix:/run/x,4:line,1:0,4:1024,1:0,1:0,"
      .. "5:/here,3:a,1,1:2,1:a,0:,1:b,5:x,3:y,",
      plan.encode(config, config.listen, { "echo", "line" }, "/here", "a,1", { b = "x,3:y", a = "" }, nobody))
  end)

  it("leaves the number of workers open", function()
    assert.matches("^4:auto,", plan.encode({
      drain = 0, limits = { heartbeat = 1 }, log = { level = "info" }, listen = {},
    }, {}, {}, "", "", {}, ourselves))
  end)

  it("gives a worker the files, the secret and the bundled handlers", function()
    local files = { ["a.lua"] = "return 1", ["b\n.lua"] = ("\0,:9"):rep(1000), empty = "" }
    local text = plan.encode(config, config.listen, { "echo", "line" }, "/here", "\0,1:x", files, ourselves)
    local path, secret, same = plan.decode(text)
    assert.equal("\0,1:x", secret)
    assert.equal("/here", path)
    assert.same(files, same)
    text = plan.encode(config, config.listen, { "echo", "line" }, "", "", {}, nobody)
    assert.same({ "", "", {} }, { plan.decode(text) })
  end)
end)
