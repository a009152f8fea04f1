local crypto = require("linedancer").crypto
local ld = require "linedancer"

local function unhex(text)
  return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

describe("crypto", function()
  it("has the digests of RFC 1321, RFC 3174 and FIPS 180-2", function()
    for _, case in ipairs {
      { "md5", "abc", "900150983cd24fb0d6963f7d28e17f72" },
      { "md5", "", "d41d8cd98f00b204e9800998ecf8427e" },
      { "sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d" },
      { "sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
      { "sha256", ("a"):rep(1000000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
    } do
      assert.equal(case[3], crypto.hex(crypto.digest(case[1], case[2])))
    end
  end)

  it("has the HMACs of RFC 4231", function()
    assert.equal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      crypto.hex(crypto.hmac("sha256", ("\11"):rep(20), "Hi There")))
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      crypto.hex(crypto.hmac("sha256", "Jefe", "what do ya want for nothing?")))
    assert.equal("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      crypto.hex(crypto.hmac("sha256", ("\170"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First")))
  end)

  it("takes bytes of every kind", function()
    local expected = crypto.digest("sha256", "abc")
    assert.equal(expected, crypto.digest("sha256", ld.blob "abc"))
    assert.equal(expected, crypto.digest("sha256", ld.buffer():put "a":put "bc"))
  end)

  it("makes random bytes, never the same", function()
    assert.equal(0, #crypto.random(0))
    assert.equal(65536, #crypto.random(65536))
    assert.not_equal(crypto.random(16), crypto.random(16))
  end)

  it("compares", function()
    assert.is_true(crypto.equal("secret", "secret"))
    assert.is_true(crypto.equal("", ""))
    assert.is_false(crypto.equal("secret", "secreT"))
    assert.is_false(crypto.equal("secret", "secrets"))
    assert.is_true(crypto.equal("a\0b", ld.blob "a\0b"))
  end)

  it("has the base64 of RFC 4648, both ways", function()
    for text, expected in pairs {
      [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=", foobar = "Zm9vYmFy",
      [unhex "00ff10"] = "AP8Q",
    } do
      assert.equal(expected, crypto.base64(text))
      assert.equal(text, crypto.unbase64(expected))
    end
    for _, text in ipairs { "Zg", "Zg=", "Z===", "Zg==Zg==", "Zm9$", "====" } do
      assert.is_nil(crypto.unbase64(text), text)
    end
  end)

  it("says what is wrong", function()
    assert.has_error(function() crypto.digest("sha257", "x") end, "no digest is called 'sha257'")
    assert.has_error(function() crypto.hmac("none", "k", "x") end, "no digest is called 'none'")
    assert.has_error(function() crypto.digest("md5", {}) end,
      "bytes expected (a string, slice, buffer or blob), got table")
    assert.has_error(function() crypto.random(-1) end)
    assert.has_error(function() crypto.random(65537) end)
    assert.has_error(function() crypto.equal("x") end)
  end)
end)
