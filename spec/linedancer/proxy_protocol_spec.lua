-- What is said to the next server, and what a config says of proxies.
local network = require "linedancer.network"
local protocol = require "linedancer.proxy_protocol"

describe("the PROXY protocol", function()
  local V2 = "\r\n\r\n\0\r\nQUIT\n\33"

  it("says whom a connection is for", function()
    assert.equal("PROXY TCP4 1.2.3.4 5.6.7.8 80 443\r\n", protocol.head(1, "1.2.3.4:80", "5.6.7.8:443"))
    assert.equal("PROXY TCP6 ::1 fe80::2 80 443\r\n", protocol.head(1, "[::1]:80", "[fe80::2]:443"))
    assert.equal(V2 .. "\17\0\12\1\2\3\4\5\6\7\8\0\80\1\187", protocol.head(2, "1.2.3.4:80", "5.6.7.8:443"))
    assert.equal(V2 .. "\33\0\36" .. ("\0"):rep(15) .. "\1" .. ("\0"):rep(15) .. "\2\0\80\1\187",
      protocol.head(2, "[::1]:80", "[::2]:443"))
  end)

  it("says that it does not know", function()
    for _, pair in ipairs { { "unix:", "unix:/x" }, { "1.2.3.4:80", "[::1]:80" }, { "memory", "1.2.3.4:80" }, {} } do
      assert.equal("PROXY UNKNOWN\r\n", protocol.head(1, pair[1], pair[2]))
      assert.equal(V2 .. "\0\0\0", protocol.head(2, pair[1], pair[2]))
    end
  end)

  it("takes networks as the core has them", function()
    local before = ("\0"):rep(10) .. "\255\255"
    assert.equal(before .. "\10\0\0\0\104", network.pack "10.0.0.0/8")
    assert.equal(before .. "\10\0\0\0\104", network.pack "10.9.8.7/8")
    assert.equal(before .. "\1\2\3\48\124", network.pack "1.2.3.55/28")
    assert.equal(before .. "\1\2\3\4\128", network.pack "1.2.3.4")
    assert.equal("\254\128" .. ("\0"):rep(14) .. "\10", network.pack "fe80::1/10")
    assert.equal(("\0"):rep(17), network.pack "::/0")
    assert.equal(("\0"):rep(16) .. "\255", network.pack "unix:")
    assert.has_error(function() network.pack "10.0.0.0/33" end)
  end)
end)
