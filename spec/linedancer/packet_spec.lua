local logged = require "spec.support.logged"
local quietly = require "spec.support.quietly"
local t = require "linedancer.testing"

-- A handler that writes every packet of MODE as "<packet>".
local function reader(mode)
  return function(conn)
    local packet = conn:packet(mode)
    if not packet then return end
    conn:write("<", packet, ">")
    return "main"
  end
end

local function play(...) return (quietly(...)) end

local function framed(packets)
  return "<" .. table.concat(packets, "><") .. ">"
end

local long = ("L"):rep(300)

-- By mode: what is sent, and the packets that it is.
local good = {
  [1] = { "\2hi\0\1x", { "hi", "", "x" } },
  [2] = { "\0\2hi\0\0\1\44" .. long, { "hi", "", long } },
  [4] = { "\0\0\0\2hi\0\0\0\0", { "hi", "" } },
  ["2le"] = { "\2\0hi\44\1" .. long, { "hi", long } },
  ["4le"] = { "\2\0\0\0hi\0\0\0\0", { "hi", "" } },
  varint = { "\2hi\172\2" .. long, { "hi", long } },
  mqtt = { "\2hi\172\2" .. long, { "hi", long } },
  quic = { "\2hi\65\44" .. long, { "hi", long } },
  line = { "one\n\ntwo\r\n", { "one\n", "\n", "two\r\n" } },
  asn1 = {
    "\4\3abc" .. "\5\0" .. "\48\129\200" .. long:sub(1, 200) .. "\48\130\1\44" .. long .. "\31\129\1\2xy",
    { "\4\3abc", "\5\0", "\48\129\200" .. long:sub(1, 200), "\48\130\1\44" .. long, "\31\129\1\2xy" },
  },
  cdr = {
    "GIOP\1\0\0\0\0\0\0\3abc" .. "GIOP\1\0\1\0\3\0\0\0def" .. "GIOP\1\0\0\1\0\0\0\0",
    { "GIOP\1\0\0\0\0\0\0\3abc", "GIOP\1\0\1\0\3\0\0\0def", "GIOP\1\0\0\1\0\0\0\0" },
  },
  sunrm = { "\128\0\0\3abc\0\0\0\1x", { "\128\0\0\3abc", "\0\0\0\1x" } },
  fcgi = {
    "\1\1\0\1\0\3\2\0abcpp" .. "\1\4\0\1\0\0\0\0", { "\1\1\0\1\0\3\2\0abcpp", "\1\4\0\1\0\0\0\0" },
  },
  tpkt = { "\3\0\0\7abc\3\0\0\4", { "\3\0\0\7abc", "\3\0\0\4" } },
}

describe("conn:packet", function()
  for mode, case in pairs(good) do
    it("cuts " .. mode .. " packets, however they arrive", function()
      logged(t.every_split, reader(mode), { case[1], t.eof }, { sent = framed(case[2]), reason = "done" })
    end)

    it("ends cleanly between " .. mode .. " packets, and is truncated inside one", function()
      logged(t.every_truncation, reader(mode), case[1])
      local last = case[2][#case[2]]
      assert.equal("truncated", play(reader(mode), { case[1]:sub(1, -2), t.eof }).reason, last)
    end)
  end

  it("gives raw bytes as they come", function()
    local run = play(reader "raw", { "ab", "c", t.eof })
    assert.same({ sent = "<ab><c>", reason = "done" }, run)
  end)

  -- Headers that announce more than limits.frame, which is 100 here.
  local oversized = {
    [1] = "\101", [2] = "\0\100", [4] = "\127\255\255\255", ["2le"] = "\200\0", ["4le"] = "\255\255\255\255",
    varint = "\200\1", mqtt = "\200\1", quic = "\127\255", asn1 = "\48\132\255\255\255\255", tpkt = "\3\0\0\101",
    cdr = "GIOP\1\0\0\0\255\255\255\255", sunrm = "\255\255\255\255", fcgi = "\1\1\0\1\0\100\0\0",
    line = ("x"):rep(101),
  }
  for mode, bytes in pairs(oversized) do
    it("refuses a " .. mode .. " packet over limits.frame before it has come", function()
      assert.equal("limit", play(reader(mode), { bytes }, { limits = { frame = 100 } }).reason)
    end)
  end

  local malformed = {
    tpkt = { "\4\0\0\7abc", "\3\0\0\3" }, fcgi = { "\2\1\0\1\0\0\0\0" }, cdr = { "GIOQ\1\0\0\0\0\0\0\0" },
    asn1 = { "\31\129\129\129\129\129\129\129\1", "\4\128", "\4\133\1\1\1\1\1" }, mqtt = { "\255\255\255\255" },
  }
  for mode, cases in pairs(malformed) do
    it("refuses malformed " .. mode .. " packets", function()
      for _, bytes in ipairs(cases) do
        local run = play(reader(mode), { bytes })
        assert.is_nil(run.state)
        assert.is_true(run.error.code == "fail" or run.error.code == "varint")
      end
    end)
  end

  it("knows no other mode", function()
    for _, mode in ipairs { 3, "4be", "", {} } do
      local run = play(function(conn) conn:packet(mode) end, {})
      assert.matches("no packet mode is called", run.error.message)
      assert.matches("packet_spec", run.error.message)
    end
    assert.matches("no packet mode is called nil", play(function(conn) conn:packet() end, {}).error.message)
  end)
end)
