local crypto = require("linedancer").crypto
local ld = require "linedancer"
local scratch = require "spec.support.scratch"
local t = require "linedancer.testing"

local hex = crypto.hex

-- FN raises TEXT, and blames its caller.
local function refuses(text, fn, ...)
  local ok, message = pcall(function(...)
    fn(...)
    return true
  end, ...)
  assert.is_false(ok)
  assert.matches(text, message, 1, true)
  assert.matches("crypto_spec.lua:", message, 1, true)
end

describe("crypto.digest", function()
  local function is(algorithm, data, expected) assert.equal(expected, hex(crypto.digest(algorithm, data))) end

  it("is that of RFC 1321 for md5", function()
    is("md5", "", "d41d8cd98f00b204e9800998ecf8427e")
    is("md5", "abc", "900150983cd24fb0d6963f7d28e17f72")
    is("md5", "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
      "57edf4a22be3c955ac49da2e2107b67a")
  end)

  it("is that of FIPS 180 and 202 and of RFC 7693", function()
    is("sha1", "abc", "a9993e364706816aba3e25717850c26c9cd0d89d")
    is("sha224", "abc", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7")
    is("sha256", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    is("sha256", ("a"):rep(1000000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    is("sha384", "abc", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
      .. "8086072ba1e7cc2358baeca134c825a7")
    is("sha512", "abc", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      .. "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f")
    is("sha3-256", "abc", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532")
    is("sha3-512", "abc", "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
      .. "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0")
    is("blake2s256", "abc", "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982")
    is("blake2b512", "abc", "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
      .. "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923")
  end)

  it("takes buffers, blobs and slices for strings", function()
    local abc = crypto.digest("sha256", "abc")
    assert.equal(abc, crypto.digest("sha256", ld.blob "abc"))
    assert.equal(abc, crypto.digest("sha256", ld.buffer():put("ab"):put("c")))
    local run = t.play(function(conn) conn:write(crypto.digest("sha256", conn:slice(3))) end, { "abc" })
    assert.equal(abc, run.sent)
  end)

  it("refuses an algorithm that it does not know, and suggests the nearest", function()
    refuses("unknown algorithm 'sha265' (did you mean 'sha256'?)", crypto.digest, "sha265", "x")
    refuses("did you mean 'sha256'?", crypto.digest, "SHA-256", "x")
    refuses("unknown algorithm 'x' (known: blake2b512, ", crypto.digest, "x", "x")
    refuses("algorithm must be a name, such as \"sha256\", not nothing", crypto.digest, nil, "x")
    refuses("algorithm must be a name, such as \"sha256\", not a table", crypto.hmac, {}, "k", "x")
  end)

  it("refuses what is no bytes", function()
    refuses("data must be bytes (a string, slice, buffer or blob), not nothing", crypto.digest, "md5")
    refuses("data must be bytes (a string, slice, buffer or blob), not a number", crypto.digest, "md5", 5)
    refuses("key must be bytes (a string, slice, buffer or blob), not a boolean", crypto.hmac, "md5", true, "x")
  end)
end)

describe("crypto.hmac", function()
  local function is(algorithm, key, data, expected)
    assert.equal(expected, hex(crypto.hmac(algorithm, key, data)))
  end

  it("is that of RFC 4231 for sha256 and sha512", function()
    is("sha256", ("\11"):rep(20), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    is("sha256", "Jefe", "what do ya want for nothing?",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    is("sha512", "Jefe", "what do ya want for nothing?",
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
      .. "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737")
    is("sha256", ("\170"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
  end)

  it("is that of RFC 2202 for md5 and sha1", function()
    is("md5", ("\11"):rep(16), "Hi There", "9294727a3638bb1c13f48ef8158bfc9d")
    is("sha1", "Jefe", "what do ya want for nothing?", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79")
  end)

  it("takes empty keys and data", function()
    is("sha256", "", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
    is("sha256", ld.blob "Jefe", ld.blob "what do ya want for nothing?",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  end)
end)

describe("crypto.random", function()
  it("gives as many bytes as asked for, never the same twice", function()
    assert.equal("", crypto.random(0))
    assert.equal(1, #crypto.random(1))
    assert.equal(2 ^ 20, #crypto.random(2 ^ 20))
    local seen = {}
    for _ = 1, 100 do
      local bytes = crypto.random(16)
      assert.is_nil(seen[bytes])
      seen[bytes] = true
    end
  end)

  it("refuses a number that is none or too large", function()
    for _, n in ipairs { -1, 1.5, 2 ^ 20 + 1, 0 / 0, math.huge, "8", {} } do
      refuses("a number of bytes from 0 to 1048576 expected, got " .. tostring(n), crypto.random, n)
    end
    refuses("got nil", crypto.random)
  end)
end)

describe("crypto.secret", function()
  it("is the same for a name and another for every name", function()
    assert.equal(32, #crypto.secret "a")
    assert.equal(crypto.secret "a", crypto.secret "a")
    assert.not_equal(crypto.secret "a", crypto.secret "b")
    refuses("name must be bytes", crypto.secret)
  end)

  it("is the same in all workers", function()
    local files = scratch.new()
    local tell = files.write("tell.lua",
      "return function(conn) conn:write(require('linedancer').crypto.secret 'a') end")
    local world = t.world { workers = 2 }
    finally(function()
      world:close()
      files.remove()
    end)
    for worker = 1, 2 do
      assert.equal(crypto.secret "a", world:connect(tell, { worker = worker }):sent())
    end
  end)
end)

describe("crypto.equal", function()
  it("compares bytes of any kind", function()
    assert.is_true(crypto.equal("", ""))
    assert.is_true(crypto.equal("a\0b", "a\0b"))
    assert.is_false(crypto.equal("a\0b", "a\0c"))
    assert.is_false(crypto.equal("a", "ab"))
    assert.is_false(crypto.equal("ab", ""))
    assert.is_true(crypto.equal("ab", ld.blob "ab"))
  end)

  it("refuses to compare with nothing", function()
    refuses("the first argument must be bytes", crypto.equal, nil, "a")
    refuses("the second argument must be bytes", crypto.equal, "a", nil)
  end)
end)

describe("crypto.base64", function()
  local VECTORS = { -- of RFC 4648
    [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=", foobar = "Zm9vYmFy",
    ["\251\255\191"] = "+/+/",
  }

  it("is that of RFC 4648, both ways", function()
    for data, text in pairs(VECTORS) do
      assert.equal(text, crypto.base64(data))
      assert.equal(data, crypto.unbase64(text))
      assert.equal(data, crypto.unbase64(ld.blob(text)))
    end
  end)

  it("comes back from any bytes, in one line", function()
    for size = 0, 200 do
      local data = crypto.random(size)
      local text = crypto.base64(data)
      assert.is_nil(text:find "[^%w+/=]")
      assert.equal(data, crypto.unbase64(text))
    end
  end)

  it("is nil for a text that it does not make", function()
    for _, text in ipairs {
      "Z", "Zg", "Zg=", "Zm9", "Zm9vYg=", "Z===", "====", "=", "=Zg=", "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm9v    ",
      "Zm9-", "Zm_v", "Zm9v\0\0\0\0", "Zh==", "Zm9=", "Z\255==",
    } do
      assert.is_nil(crypto.unbase64(text))
    end
    refuses("text must be bytes", crypto.unbase64, 5)
  end)
end)

describe("crypto.hex", function()
  it("has two small digits for each byte", function()
    assert.equal("", crypto.hex "")
    assert.equal("00ff7f0a", crypto.hex "\0\255\127\n")
    assert.equal("6162", crypto.hex(ld.blob "ab"))
  end)
end)
