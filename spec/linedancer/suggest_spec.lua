local suggest = require "linedancer.suggest"

describe("suggest", function()
  local keys = { "handler", "options", "limits", "name", "tls" }

  it("finds the name that a slip of the fingers meant", function()
    for slip, meant in pairs {
      handlr = "handler", ahndler = "handler", handlerr = "handler", hendler = "handler", opitons = "options",
      Limits = "limits", NAME = "name", tsl = "tls",
    } do
      assert.equal(meant, suggest.nearest(slip, keys), slip)
    end
  end)

  it("counts two swapped neighbours as one slip", function()
    assert.equal("ab12", suggest.nearest("ba12", { "xb12zz", "ab12" }))
    assert.equal("tls", suggest.nearest("lts", { "tls" }))
  end)

  it("says nothing where nothing is near", function()
    for _, name in ipairs { "zebra", "x", "", "handlerhandler", ("n"):rep(100000) } do
      assert.is_nil(suggest.nearest(name, keys))
    end
    assert.is_nil(suggest.nearest("io", {}))
    assert.is_nil(suggest.nearest(7, keys))
  end)

  it("never takes a one-letter name for another", function()
    assert.is_nil(suggest.nearest("a", { "b" }))
  end)

  it("prefers the nearer name, then the earlier one", function()
    assert.equal("frame", suggest.nearest("frane", { "crane!", "frame" }))
    assert.equal("cat", suggest.nearest("bat", { "cat", "hat" }))
  end)

  it("words a wrong key with the name that was meant", function()
    assert.equal("unknown key 'handlr' (did you mean 'handler'?)", suggest.unknown("key", "handlr", keys))
  end)

  it("lists what is known when nothing is near and the list is short", function()
    assert.equal("unknown option 'zebra' (known: a, b)", suggest.unknown("option", "zebra", { "a", "b" }))
    local many = {}
    for i = 1, 50 do many[i] = "candidate" .. i end
    assert.equal("unknown option 'zebra'", suggest.unknown("option", "zebra", many))
  end)

  it("can be called for the nearest name", function()
    assert.equal("handler", suggest("handlr", keys))
  end)
end)
