local network = require "linedancer.network"

describe("network", function()
  it("knows the host of a peer", function()
    assert.equal("1.2.3.4", network.host "1.2.3.4:5")
    assert.equal("::1", network.host "[::1]:1935")
    assert.equal("/run/x.sock", network.host "/run/x.sock")
    assert.equal("", network.host(nil))
  end)

  it("tells whether an address is in a network, to the bit", function()
    for _, case in ipairs {
      { "10.1.2.3:1", "10.0.0.0/8", true }, { "11.1.2.3:1", "10.0.0.0/8", false },
      { "192.168.7.1:1", "192.168.4.0/22", true }, { "192.168.8.1:1", "192.168.4.0/22", false },
      { "1.2.3.4:1", "1.2.3.4", true }, { "1.2.3.5:1", "1.2.3.4", false }, { "1.2.3.4:1", "0.0.0.0/0", true },
      { "[::1]:1", "::1", true }, { "[::2]:1", "::1", false }, { "[fe80::1]:1", "fe80::/10", true },
      { "[ff80::1]:1", "fe80::/10", false }, { "[2001:db8::1]:1", "::/0", true },
      { "[::ffff:10.0.0.1]:1", "10.0.0.0/8", true }, { "10.0.0.1:1", "::1", false },
      { "/run/x.sock", "0.0.0.0/0", false },
    } do
      assert.equal(case[3], network.is_in(case[1], { "172.16.0.0/12", case[2] }), case[1] .. " in " .. case[2])
    end
    assert.is_false(network.is_in("1.2.3.4:1", {}))
  end)

  it("says what is no network", function()
    for _, text in ipairs { "10.0.0.0/33", "10.0.0/8", "::1/129", "", "host", "1.2.3.4/" .. ("9"):rep(20) } do
      assert.has_error(function() network.is_in("1.2.3.4:1", { text }) end,
        ("'%s' is no network such as 10.0.0.0/8 or ::1"):format(text))
    end
  end)
end)
