local amf0 = require "handlers.rtmp.amf0"

local function unhex(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

-- The value of AMF3 bytes within AMF0, and what is wrong with them.
local function decode(hex)
  local values, problem = amf0.decode(unhex("11" .. hex))
  return values[1], problem
end

local VECTORS = {
  "00", "01", "02", "03", "04 00", "04 ffffffff", "05 3ff8000000000000", "06 07 616263", "07 07 616263",
  "08 01 4272000000000000", "09 05 01 04 01 03", "09 03 03 61 02 01 03", "0a 0b 01 03 61 04 05 01",
  "0a 23 03 43 03 61 03 62 04 01 04 02", "0a 07 43 666c65782e6d6573736167696e672e696f2e4172726179436f6c6c656374696f6e "
  .. "09 03 01 04 07", "0b 07 616263", "0c 07 000102", "0d 05 00 ffffffff 00000001", "0e 03 01 ffffffff",
  "0f 03 00 3ff8000000000000", "10 03 00 01 04 01", "11 03 00 04 01 06 03 61",
}

describe("amf3", function()
  it("decodes simple values", function()
    assert.equal(amf0.undefined, decode "00")
    assert.equal(amf0.null, decode "01")
    assert.is_false(decode "02")
    assert.is_true(decode "03")
    assert.equal(1.5, decode "05 3ff8000000000000")
    assert.equal("abc", decode "06 07 616263")
    assert.equal(0x120000000000 / 16, decode("08 01 4272000000000000").time)
    assert.same({ "abc" }, decode "0b 07 616263")
    assert.equal("bytes", amf0.kind(decode "0c 07 000102"))
  end)

  it("decodes integers of 29 bits, with their sign", function()
    for hex, value in pairs {
      ["00"] = 0, ["7f"] = 127, ["8100"] = 128, ["ff7f"] = 16383, ["818000"] = 16384, ["ffff7f"] = 2097151,
      ["80c08000"] = 2097152, ["bfffffff"] = 268435455, ["c0808000"] = -268435456, ["ffffffff"] = -1,
    } do
      assert.equal(value, decode("04" .. hex), hex)
    end
  end)

  it("decodes arrays, with and without names", function()
    assert.same({ 1, true }, decode "09 05 01 04 01 03")
    local mixed = decode "09 03 03 61 02 01 03"
    assert.same({ a = false, ["0"] = true }, mixed)
    assert.equal("ecma", amf0.kind(mixed))
  end)

  it("decodes objects: dynamic, with traits, of a class, and known ones that write themselves", function()
    assert.same({ a = 5 }, decode "0a 0b 01 03 61 04 05 01")
    local typed = decode "0a 23 03 43 03 61 03 62 04 01 04 02"
    assert.same({ a = 1, b = 2 }, typed)
    assert.same({ "a", "b" }, amf0.keys(typed))
    assert.equal("C { a = 1, b = 2 }", amf0.show(typed))
    local flex = decode(VECTORS[15])
    assert.same({ source = { 7 } }, flex)
    assert.equal("class 'X' writes itself", select(2, decode "0a 07 03 58"))
  end)

  it("decodes vectors and dictionaries", function()
    assert.same({ -1, 1 }, decode "0d 05 00 ffffffff 00000001")
    assert.same({ 2 ^ 32 - 1 }, decode "0e 03 01 ffffffff")
    assert.same({ 1.5 }, decode "0f 03 00 3ff8000000000000")
    assert.same({ 1 }, decode "10 03 00 01 04 01")
    assert.same({ [1] = "a" }, decode "11 03 00 04 01 06 03 61")
  end)

  it("follows references to strings, objects and traits", function()
    assert.same({ "abc", "abc" }, decode "09 05 01 06 07 616263 06 00")
    local twice = decode "09 05 01 0a 0b 01 03 61 04 05 01 0a 02"
    assert.equal(twice[1], twice[2])
    local same_traits = decode "09 05 01 0a 23 03 43 03 61 03 62 04 01 04 02 0a 01 04 03 04 04"
    assert.same({ { a = 1, b = 2 }, { a = 3, b = 4 } }, same_traits)
    local circle = decode "09 03 01 09 00"
    assert.equal(circle, circle[1])
    assert.equal("there is no value 3 to refer to", select(2, decode "06 06"))
    assert.equal("there are no traits 1 to refer to", select(2, decode "0a 05"))
  end)

  it("goes on in AMF0 after a value, with the same references", function()
    local values = amf0.decode(unhex "11 06 07 616263 05 11 06 00")
    assert.same({ "abc", amf0.null, "abc", n = 3 }, values)
  end)

  it("bounds depth and values, also those that are only declared", function()
    assert.equal("nested more than 32 deep", select(2, decode(("09 03 01 "):rep(10000))))
    for _, hex in ipairs { "09 ffffffff 01", "0d ffffffff 00", "11 ffffffff 00", "0c ffffffff 00" } do
      assert.truthy(select(2, decode(hex)):find "missing", hex)
    end
    local traits = "0a ffffffff 01"
    assert.truthy(select(2, decode(traits .. ("01"):rep(20000))):find "more than 10000 values")
    -- Lists that hold the one before twice: sharing costs nothing, and walking is bounded.
    local hex = "09 03 01 04 01"
    for i = 0, 29 do hex = "09 07 01 " .. hex .. (" 09 %02x"):format(2 * (30 - i)) .. " 01" end
    local value = decode(hex)
    assert.is_true(#amf0.show(value) < 1500)
  end)

  it("comes to an end for every beginning and every change of what is right", function()
    local all = "\17" .. table.concat((function()
      local list = {}
      for i, hex in ipairs(VECTORS) do list[i] = unhex(hex) end
      return list
    end)(), "\17")
    for size = 0, #all do amf0.decode(all:sub(1, size)) end
    local x = 3
    local function draw(n)
      x = (x * 1103515245 + 12345) % 2 ^ 31
      return math.floor(x / 65536) % n + 1
    end
    for _ = 1, 20000 do
      local at = draw(#all)
      local values = amf0.decode(all:sub(1, at - 1) .. string.char(draw(256) - 1) .. all:sub(at + draw(3) - 1))
      amf0.show(values[values.n])
    end
  end)
end)
