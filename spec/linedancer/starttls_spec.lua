-- STARTTLS without sockets: what a handler sees, and what it must refuse.
local core = require("linedancer.api").core
local mail = require "examples.starttls.mail"
local t = require "linedancer.testing"

describe("conn:starttls", function()
  it("goes on over TLS, after what was written has left", function()
    local run, path = t.play(mail, { "EHLO x\r\n", "STARTTLS\r\n", "EHLO x\r\n", "HELP\r\n", "QUIT\r\n" })
    assert.equal("220 localhost ready\r\n250-localhost\r\n250 STARTTLS\r\n220 go ahead\r\n"
      .. "250-localhost\r\n250 HELP\r\n214 TLSv1.3\r\n221 bye\r\n", run.sent)
    assert.equal("done", run.reason)
    assert.equal(6, #path)
  end)

  it("refuses what came before TLS was agreed on", function()
    local run = t.play(mail, { "STARTTLS\r\nHELP\r\n" })
    assert.equal("protocol", run.reason)
    assert.matches("6 bytes came before TLS", tostring(run.error))
    assert.is_nil(run.sent:find("214", 1, true))
  end)

  it("waits until the peer has taken what was written", function()
    local play = t.begin(mail, {})
    t.perform(play, t.stall)
    t.perform(play, "STARTTLS\r\n")
    assert.is_false(core.conn_of(play.peer:handle()).tls)
    t.perform(play, t.resume)
    t.perform(play, "HELP\r\n")
    assert.matches("go ahead\r\n214 TLSv1.3", play.peer:sent())
  end)

  it("is not for hooks, nor twice, and takes only options that it knows", function()
    local function codes(opts)
      local found = {}
      t.play(function(conn)
        for i = 1, 2 do
          local ok, err = pcall(conn.starttls, conn, opts)
          found[i] = ok or err.code or err
        end
      end, { t.eof })
      return found
    end
    assert.same({ true, "protocol" }, codes(nil))
    assert.matches("timeout must be a number above 0", codes { timeout = 0 }[1])
    assert.matches("unknown key 'ca'", codes { ca = "x" }[1])
    local code
    t.play({ states = { main = function(conn) conn:read(1) end }, initial = "main",
      on_message = function(conn) code = select(2, pcall(conn.starttls, conn)).code end }, { t.message "x" })
    assert.equal("hook", code)
  end)
end)
