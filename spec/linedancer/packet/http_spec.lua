local logged = require "spec.support.logged"
local quietly = require "spec.support.quietly"
local t = require "linedancer.testing"

local function play(...) return (quietly(...)) end

-- The head of TEXT, or nil and the run.
local function head_of(text, opts)
  local head
  local run = play(function(conn) head = conn:packet "http" end, { text, t.eof }, opts)
  return head, run
end

describe("packet mode http", function()
  it("reads the head of a request, and leaves the body", function()
    local head, rest
    t.play(function(conn)
      head = conn:packet "http"
      rest = conn:read(4)
    end, { "POST /a?b=c HTTP/1.1\r\nHost: a.example\r\nX-One: 1\r\nx-one:  2 \r\nEmpty:\r\n\r\nbody" })
    assert.same({
      method = "POST", target = "/a?b=c", version = "1.1",
      headers = { host = "a.example", ["x-one"] = "1, 2", empty = "" },
      fields = { { "Host", "a.example" }, { "X-One", "1" }, { "x-one", "2" }, { "Empty", "" } },
    }, head)
    assert.equal("body", rest)
  end)

  it("reads the head of a response", function()
    local head = head_of "HTTP/1.0 404 Not Found\nServer: x\n\n"
    assert.same({ 404, "Not Found", "1.0", "x" }, { head.status, head.reason, head.version, head.headers.server })
    head = head_of "HTTP/1.1 204\r\n\r\n"
    assert.same({ 204, "" }, { head.status, head.reason })
  end)

  it("does not care how it is cut, and is truncated inside", function()
    local text = "\r\nGET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n"
    local function main(conn)
      local head = conn:packet "http"
      if not head then return end
      conn:write(head.method, head.headers.a, head.headers.c)
      return "main"
    end
    t.every_split(main, { text .. text, t.eof }, { sent = "GETbdGETbd", reason = "done" })
    logged(t.every_truncation, main, text .. text)
  end)

  it("refuses what is no head", function()
    for _, text in ipairs {
      "GET\r\n\r\n", "GET / HTTP/1\r\n\r\n", "GET / HTP/1.1\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "\0\1\2\n",
      "GET / HTTP/1.1\r\nNo colon\r\n\r\n", "GET / HTTP/1.1\r\nBad name: x\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n",
      "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", "HTTP/1.1 2x4 OK\r\n\r\n",
    } do
      local head, run = head_of(text)
      assert.is_nil(head, text)
      assert.equal("fail", run.error.code)
    end
  end)

  it("is bounded by limits.frame as a whole, over many lines", function()
    local opts = { limits = { frame = 200 } }
    local line = "Name: value\r\n"
    assert.is_table(head_of("GET / HTTP/1.1\r\n" .. line:rep(10) .. "\r\n", opts))
    local head, run = head_of("GET / HTTP/1.1\r\n" .. line:rep(15) .. "\r\n", opts)
    assert.is_nil(head)
    assert.equal("limit", run.reason)
    assert.equal("limit", select(2, head_of("GET /" .. ("x"):rep(300), opts)).reason)
  end)

  it("bounds the number of fields", function()
    local _, run = head_of("GET / HTTP/1.1\r\n" .. ("a:b\r\n"):rep(201) .. "\r\n")
    assert.matches("too many HTTP fields", run.reason)
  end)

  it("skips no more than limits.frame of empty lines before a head", function()
    local _, run = head_of(("\r\n"):rep(200), { limits = { frame = 200 } })
    assert.equal("limit", run.reason)
  end)
end)
