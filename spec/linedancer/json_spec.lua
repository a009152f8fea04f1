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

  local function decoded(text)
    local ok, value = json.decode(text)
    assert.is_true(ok, value)
    return value
  end

  it("is read back", function()
    local values = { "a", "", 1, -1.5, 0.001, true, false, {}, { 1, { 2, {} } }, { b = { c = false }, a = "é" } }
    for _, value in ipairs(values) do
      assert.same(value, decoded(json.encode(value)))
      assert.same(value, decoded(" \n" .. json.encode(value):gsub(",", " ,\t"):gsub(":", " : ") .. "\r "))
    end
    assert.same({ 1, 3 }, decoded "[1,null,3]")
    assert.is_nil(decoded "null")
  end)

  it("is read with every escape", function()
    assert.equal('"\\/\b\f\n\r\tAé€😀', decoded [["\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00"]])
  end)

  it("is refused where it is wrong, with the place", function()
    for text, message in pairs {
      [""] = "a value expected at byte 1", ["{"] = "a name expected at byte 2", ['{"a"}'] = "':' expected at byte 5",
      ["[1"] = "',' or ']' expected at byte 3", ["[1,]"] = "a value expected at byte 4", ['"a'] = "the end of a string",
      ['"\1"'] = "the end of a string expected at byte 2", ['"\\x"'] = "an escape expected at byte 3",
      ['"\\u12"'] = "four digits expected at byte 3", ["1 2"] = "nothing more expected at byte 3",
      ["nul"] = "a value expected at byte 1", ["-"] = "a value expected", ["{1:2}"] = "a name expected at byte 2",
      [("["):rep(65)] = "more than 64 levels at byte 65",
    } do
      local ok, problem = json.decode(text)
      assert.is_false(ok, text)
      assert.matches(message, problem, 1, true)
    end
  end)

  it("is read or refused, and no more, at every cut and with every byte changed", function()
    local text = json.encode { a = { 1, "x\n", { b = true } }, c = "é" }
    for at = 1, #text do
      json.decode(text:sub(1, at - 1))
      for _, c in ipairs { "\0", '"', "\\", "[", "}", "1", "\255" } do
        assert.is_boolean((json.decode(text:sub(1, at - 1) .. c .. text:sub(at + 1))))
      end
    end
  end)
end)
