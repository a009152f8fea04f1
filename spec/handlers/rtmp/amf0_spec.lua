local amf0 = require "handlers.rtmp.amf0"

local function unhex(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

local object, ecma, array, null = amf0.object, amf0.ecma, amf0.array, amf0.null

-- Bytes, by the book, and what they are.
local VECTORS = {
  { "00 3ff8000000000000", 1.5 }, { "00 0000000000000000", 0 }, { "00 7ff0000000000000", math.huge },
  { "00 c1e0000000000000", -2 ^ 31 }, { "01 01", true }, { "01 00", false }, { "02 0003 616263", "abc" },
  { "02 0000", "" }, { "05", null }, { "06", amf0.undefined }, { "0d", amf0.unsupported },
  { "03 0003 617070 02 0004 6c697665 0001 62 05 000009", object { { "app", "live" }, { "b", null } } },
  { "03 000009", object {} }, { "08 00000001 0001 61 0100 000009", ecma { { "a", false } } },
  { "0a 00000002 05 0101", array { null, true } }, { "0a 00000000", array {} },
  { "0b 4272000000000000 ffc4", amf0.date(0x120000000000 / 16, -60) },
  { "10 0001 43 0001 78 05 000009", amf0.typed("C", { { "x", null } }) },
}

local function same(a, b)
  if amf0.kind(a) ~= amf0.kind(b) then return false end
  if type(a) ~= "table" then return a == b or a ~= a and b ~= b end
  for key, value in pairs(a) do
    if not same(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

describe("amf0", function()
  it("decodes and encodes each kind of value", function()
    for _, case in ipairs(VECTORS) do
      local bytes = unhex(case[1])
      local values, problem = amf0.decode(bytes)
      assert.is_nil(problem)
      assert.equal(1, values.n)
      assert.is_true(same(case[2], values[1]), case[1] .. ": " .. amf0.show(values[1]))
      assert.equal(bytes, amf0.encode(values[1]))
    end
  end)

  it("decodes a NaN of any form to one that is harmless", function()
    for _, hex in ipairs { "7ff8000000000000", "fff8000000000000", "ffffffffffffffff", "fffe800000000001" } do
      local value = amf0.decode(unhex("00" .. hex))[1]
      assert.equal("number", type(value))
      assert.is_true(value ~= value)
    end
  end)

  it("keeps the order of keys, the count of an array, and all bytes of what it decoded", function()
    local bytes = unhex "08 00000063 0001 7a 05 0001 61 05 0001 6d 03 0001 79 05 0001 78 05 000009 000009"
    local value = amf0.decode(bytes)[1]
    assert.same({ "z", "a", "m" }, amf0.keys(value))
    assert.equal(bytes, amf0.encode(value))
  end)

  it("has long strings, also of what it encodes", function()
    local long = ("x"):rep(65536)
    assert.equal("\12\0\1\0\0" .. long, amf0.encode(long))
    assert.equal("\2\255\255" .. ("x"):rep(65535), amf0.encode(("x"):rep(65535)))
    assert.equal(long, amf0.decode(amf0.encode(long))[1])
  end)

  it("takes an array whose end is missing where the body ends", function()
    local values, problem = amf0.decode(unhex "08 00000002 0001 61 0101")
    assert.is_nil(problem)
    assert.is_true(values[1].a)
  end)

  it("follows references, and does not go round in circles", function()
    local values = amf0.decode(unhex "03 0001 61 05 000009 07 0000")
    assert.equal(values[1], values[2])
    local circle = amf0.decode(unhex "03 0001 61 07 0000 000009")[1]
    assert.equal(circle, circle.a)
    assert.truthy(amf0.show(circle):find "a = { a = ")
    assert.has_error(function() amf0.encode(circle) end, "amf0: nested too deep, or within itself")
    assert.same("there is no object 5 to refer to", select(2, amf0.decode(unhex "07 0005")))
  end)

  it("says what is wrong, and keeps what came before", function()
    for hex, problem in pairs {
      ["05 ff"] = "no value begins with 255", ["05 00 3ff8"] = "6 bytes are missing", ["05 02 0005 61"] =
      "4 bytes are missing", ["05 03 0001"] = "1 bytes are missing", ["05 03 0001 61"] = "a value is missing",
      ["05 0a ffffffff 05"] = "a value is missing", ["05 04"] = "no value begins with 4",
      ["05 0c ffffffff 61"] = "4294967294 bytes are missing",
    } do
      local values, found = amf0.decode(unhex(hex))
      assert.equal(problem, found)
      assert.equal(1, values.n)
      assert.equal(null, values[1])
    end
  end)

  it("bounds depth, values and bytes", function()
    local deep = unhex("03 0001 61"):rep(10000)
    assert.equal("nested more than 32 deep", select(2, amf0.decode(deep)))
    assert.equal("nested more than 32 deep", select(2, amf0.decode(unhex("0a 00000001"):rep(10000))))
    assert.is_nil(select(2, amf0.decode(unhex("0a 00000001"):rep(31) .. "\5")))
    assert.equal("more than 10000 values", select(2, amf0.decode(("\5"):rep(10001))))
    assert.equal("262145 bytes, more than 262144", select(2, amf0.decode(("\5"):rep(262145))))
    assert.equal("more than 3 values", select(2, amf0.decode("\5\5\5\5", { depth = 1, nodes = 3, bytes = 9 })))
  end)

  it("comes to an end for every beginning and every change of what is right", function()
    local whole = {}
    for _, case in ipairs(VECTORS) do whole[#whole + 1] = unhex(case[1]) end
    local text = table.concat(whole)
    for size = 0, #text do amf0.decode(text:sub(1, size)) end
    local x = 1
    local function draw(n)
      x = (x * 1103515245 + 12345) % 2 ^ 31
      return math.floor(x / 65536) % n + 1
    end
    for _ = 1, 20000 do
      local at = draw(#text)
      local changed = text:sub(1, at - 1) .. string.char(draw(256) - 1) .. text:sub(at + draw(3) - 1)
      local values = amf0.decode(changed)
      amf0.show(values[values.n])
    end
  end)

  it("encodes what it decoded, whatever it is", function()
    local x = 7
    local function draw(n)
      x = (x * 1103515245 + 12345) % 2 ^ 31
      return math.floor(x / 65536) % n
    end
    local function random(depth)
      local kind = draw(depth > 4 and 6 or 10)
      if kind == 0 then return draw(1000) / 8 - 20 end
      if kind == 1 then return draw(2) == 0 end
      if kind == 2 then return ("s"):rep(draw(20)) end
      if kind == 3 then return null end
      if kind == 4 then return amf0.undefined end
      if kind == 5 then return amf0.date(draw(1e6), draw(100) - 50) end
      local parts = {}
      for i = 1, draw(4) do
        local value = random(depth + 1)
        if kind == 6 then parts[i] = value else parts[i] = { "k" .. draw(1000) .. "." .. i, value } end
      end
      if kind == 6 then return array(parts) end
      return kind == 7 and object(parts) or kind == 8 and ecma(parts) or amf0.typed("T" .. draw(9), parts)
    end
    for _ = 1, 500 do
      local bytes = amf0.encode(random(0), random(0))
      local values, problem = amf0.decode(bytes)
      assert.is_nil(problem)
      assert.equal(bytes, amf0.encode(values[1], values[2]))
    end
  end)

  it("refuses to encode what it cannot", function()
    assert.has_error(function() amf0.encode(print) end, "amf0: a function cannot be encoded")
    assert.has_error(function() amf0.encode(object { { ("x"):rep(65536), 1 } }) end,
      "amf0: a name has at most 65535 bytes")
    assert.has_error(function() amf0.encode { [{}] = 1 } end, "amf0: a property is called by a string, not a table")
  end)

  it("shows a value as one short line", function()
    assert.equal('{ app = "live", n = 1.5, list = { null, true }, at = date 7 }', amf0.show(object {
      { "app", "live" }, { "n", 1.5 }, { "list", array { null, true } }, { "at", amf0.date(7) } }))
    local parts = {}
    for i = 1, 1000 do parts[i] = { "key" .. i, ("\n\0"):rep(100) } end
    local text = amf0.show(object(parts))
    assert.is_true(#text < 1500)
    assert.is_nil(text:find "%c")
  end)
end)
