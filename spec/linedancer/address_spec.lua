local address = require "linedancer.address"

local function refused(text, pattern)
  local parsed, message = address.parse(text)
  assert.is_nil(parsed)
  assert.matches(pattern, message, 1, true)
end

describe("address", function()
  it("reads IPv4, IPv6 and unix addresses", function()
    local a = address.parse "127.0.0.1:7000"
    assert.same({ "ipv4", "127.0.0.1", 7000, "127.0.0.1:7000" }, { a.family, a.host, a.port, a.text })
    a = address.parse "[2001:db8::1]:1935"
    assert.same({ "ipv6", "2001:db8::1", 1935, "[2001:db8::1]:1935" }, { a.family, a.host, a.port, a.text })
    a = address.parse "unix:/run/x.sock"
    assert.same({ "unix", "/run/x.sock", "unix:/run/x.sock" }, { a.family, a.path, a.text })
    assert.is_nil(a.port)
  end)

  it("takes a port alone as every interface, and localhost as 127.0.0.1", function()
    local a = address.parse ":7000"
    assert.same({ "ipv6", "::", 7000 }, { a.family, a.host, a.port })
    assert.equal("127.0.0.1:7000", address.parse("localhost:7000").text)
  end)

  it("takes every port from 0 to 65535 and no other", function()
    assert.equal(0, address.parse("127.0.0.1:0").port)
    assert.equal(65535, address.parse("[::]:65535").port)
    refused("127.0.0.1:65536", "port 65536 is out of range, 0 to 65535")
    refused(":99999999999999999999", "out of range")
    refused("127.0.0.1:-1", "must be a number from 0 to 65535, not '-1'")
    refused("127.0.0.1:http", "must be a number from 0 to 65535, not 'http'")
    refused("127.0.0.1:0x50", "must be a number")
    refused("127.0.0.1:", "must be a number")
  end)

  it("knows two spellings of one address by their key", function()
    local function key(text) return address.parse(text).key end
    assert.equal(key ":7000", key "[::]:7000")
    assert.equal(key "[0:0:0:0:0:0:0:1]:7000", key "[::1]:7000")
    assert.equal(key "[::ffff:1.2.3.4]:1", key "[::FFFF:102:304]:1")
    assert.equal(key "localhost:7", key "127.0.0.1:07")
    assert.not_equal(key "[::1]:7000", key "[::2]:7000")
    assert.not_equal(key "[1::]:7000", key "[::1]:7000")
  end)

  it("refuses what is no IPv4 address", function()
    for _, host in ipairs { "256.0.0.1", "1.2.3", "1.2.3.4.5", "010.0.0.1", "1.2.3.", "-1.2.3.4", "[127.0.0.1]" } do
      refused(host .. ":80", "is no IP address")
    end
  end)

  it("refuses what is no IPv6 address", function()
    for _, host in ipairs { "", "1", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8", "g::",
      "::1.2.3", "1.2.3.4::", "fe80::1%eth0", "1:2:3:4:5:6:7:", "::1.2.3.4:5" } do
      refused("[" .. host .. "]:80", "is no IP address")
    end
  end)

  it("says what to write instead", function()
    refused("7000", "write ':7000'")
    refused("127.0.0.1", "lacks the port")
    refused("[::]", "lacks the port")
    refused("::1:7000", "stands in brackets")
    refused("*:7000", "such as :7000")
    refused("example.com:80", "'example.com' is no IP address")
    refused("", "the address is empty")
    refused(nil, "an address is a string")
    refused(7000, "not 7000")
    refused("unix:", "lacks the path")
  end)

  it("refuses a socket path that the kernel would cut", function()
    assert.is_table(address.parse("unix:/" .. ("x"):rep(106)))
    refused("unix:/" .. ("x"):rep(107), "the path has 108 bytes, a socket path at most 107")
    refused("unix:/run/a\0b", "no zero byte")
  end)

  it("puts a relative socket path below the base directory", function()
    assert.equal("/srv/run/x.sock", address.parse("unix:run/x.sock", "/srv").path)
    assert.equal("/run/x.sock", address.parse("unix:/run/x.sock", "/srv").path)
  end)
end)
