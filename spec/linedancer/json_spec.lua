local json = require "linedancer.json"

describe("json", function()
  it("is text of plain values", function()
    for text, value in pairs {
      ['"a"'] = "a", ["1"] = 1, ["-1.5"] = -1.5, ["true"] = true, ["[]"] = {}, ["[1,[2]]"] = { 1, { 2 } },
      ['{"a":1,"b":{"c":false}}'] = { b = { c = false }, a = 1 }, ["123456789012"] = 123456789012,
    } do
      assert.equal(text, json.encode(value))
    end
    assert.equal("null", json.encode(nil))
  end)

  it("has no number that is none", function()
    assert.equal("[null,null,null]", json.encode { 0 / 0, math.huge, -math.huge })
  end)

  it("escapes what must be", function()
    assert.equal([["\"\\\n\u0000\u001f\u007f/"]], json.encode "\"\\\n\0\31\127/")
  end)

  it("is UTF-8, whatever peers call themselves", function()
    assert.equal('"é€😀"', json.encode "é€😀")
    assert.equal('"\195\169a\195\191"', json.encode "\233a\255")
    assert.equal('"\195\128\194\128"', json.encode "\192\128")
  end)
end)
