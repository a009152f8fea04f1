local t = require "linedancer.testing"
local pubsub = require "examples.pubsub"

describe("examples/pubsub.lua", function()
  it("tells subscribers what is published on topics that their patterns match", function()
    local wire = "sub news/+\nsub weather/#\npub news/today hello\npub news/a/b no\npub weather rain\n"
      .. "pub weather/x/y z\n"
    t.every_split(pubsub, { wire .. "unsub news/+\npub news/today no\n", t.eof },
      { sent = "news/today hello\nweather rain\nweather/x/y z\n", reason = "done" })
    t.every_truncation(pubsub, wire)
  end)

  it("tells others too, also one whose command is half read", function()
    local ann, bob = t.begin(pubsub, {}), t.begin(pubsub, {})
    t.perform(ann, "sub a\npub a one\npu")
    t.perform(bob, "pub a two\n")
    t.perform(ann, "b a three\n")
    assert.equal("a one\na two\na three\n", t.result(ann).sent)
    assert.equal("", t.result(bob).sent)
    t.perform(ann, t.eof)
    t.perform(bob, t.eof)
  end)

  it("tells those in other workers", function()
    local world = t.world { workers = 2 }
    local ann, bob = world:connect(pubsub), world:connect(pubsub, { worker = 2 })
    ann:send "sub a/+\n"
    bob:send "pub a/b far\npub c no\n"
    assert.equal("a/b far\n", ann:sent())
    ann:send "unsub a/+\n"
    bob:send "pub a/b no\n"
    assert.equal("", ann:sent())
    world:close()
  end)

  it("says what is wrong with a pattern or topic", function()
    local run = t.play(pubsub, { "sub a/#/b\npub a/+ text\nunsub a#\nsub a\npub a on\n" })
    local about = {}
    for line in run.sent:gmatch "[^\n]+" do about[#about + 1] = line:match '^! .*"(.+)"' or line end
    assert.same({ "a/#/b", "a/+", "a#", "a on" }, about)
  end)

  it("ends a connection that wants something else", function()
    for _, line in ipairs { "sub", "dance a", "" } do
      assert.equal("sub, unsub or pub, and a topic", t.play(pubsub, { line .. "\n" }).reason)
    end
  end)
end)
