local core = require("linedancer.api").core
local handler = require "linedancer.handler"
local logged = require "spec.support.logged"
local machine = require "linedancer.machine"
local mailbox = require "linedancer.mailbox"
local versions = require "linedancer.versions"

describe("a connection of a handler that has a newer version", function()
  local LIMITS = { frame = 1000, output = 1000, linger = 1, mailbox = 10 }
  local made

  before_each(function() made = {} end)

  local function make(definition, version)
    definition.timeouts = { 60 }
    local one = machine.new(assert(handler.define(definition, "h")), {}, LIMITS, "l", version)
    made[#made + 1] = one
    return one
  end

  local function supersede(former, one)
    versions.add(one, "l")
    versions.supersede(former, one)
    for _, conn in ipairs(core.conns()) do mailbox.drain(conn, nil) end -- as gateway.commit does: they have news
    return one
  end

  -- A connection to MACHINE that is fed, and what it has been sent.
  local function connect(one)
    versions.add(one, "l")
    local peer = core.open(one.handle)
    peer:begin()
    return peer, core.conn_of(peer:handle())
  end

  local function line_handler(word, more)
    local definition = {
      initial = "line",
      states = {
        line = function(conn)
          local line = conn:read_line()
          if not line then return end
          conn:write(word, " ", line, " ", tostring(conn.version), "\n")
          return "line"
        end,
      },
    }
    for key, value in pairs(more or {}) do definition[key] = value end
    return definition
  end

  it("moves at once when it waits and has read nothing", function()
    local one = make(line_handler "one", 1)
    local peer, conn = connect(one)
    peer:feed "a\n"
    assert.equal("one a 1\n", peer:sent())
    supersede(one, make(line_handler "two", 2))
    core.settle()
    assert.equal(2, conn.version)
    peer:feed "b\n"
    assert.equal("two b 2\n", peer:sent())
    peer:finish "eof"
  end)

  it("ends the frame that it is in the midst of in the old code", function()
    local one = make(line_handler "one", 1)
    local peer, conn = connect(one)
    peer:feed "a"
    supersede(one, make(line_handler "two", 2))
    core.settle()
    assert.equal(1, conn.version)
    peer:feed "b\nc\n"
    assert.equal("one ab 1\ntwo c 2\n", peer:sent())
    peer:finish "eof"
  end)

  it("is upgraded once, also over several versions", function()
    local from = {}
    local function upgrade(conn, version)
      from[#from + 1] = version
      conn.user = (conn.user or "") .. version
    end
    local one = make(line_handler "one", 1)
    local peer, conn = connect(one)
    peer:feed "a"
    local two = supersede(one, make(line_handler("two", { upgrade = upgrade }), 2))
    supersede(two, make(line_handler("three", { upgrade = upgrade }), 3))
    core.settle()
    peer:feed "\nb\nc\n"
    assert.equal("one a 1\nthree b 3\nthree c 3\n", peer:sent())
    assert.same({ 1 }, from)
    assert.equal("1", conn.user)
    peer:finish "eof"
  end)

  it("goes where upgrade says, when states have other names", function()
    local one = make(line_handler "one", 1)
    local peer, conn = connect(one)
    local two = line_handler "two"
    two.states = {
      word = function(c, greeting)
        c:write(greeting, "\n")
        return "rest"
      end,
      rest = function(c) c:read_line() end,
    }
    two.initial, two.upgrade = "word", function() return "word", "hello" end
    supersede(one, make(two, 2))
    core.settle()
    assert.equal("hello\n", peer:sent())
    assert.equal("rest", conn.state)
    peer:finish "eof"
  end)

  it("stays as it was when its upgrade fails, and that is counted", function()
    local one = make(line_handler "one", 1)
    local peer, conn = connect(one)
    conn.kept = "kept"
    local two = make(line_handler("two", { upgrade = function(c)
      c.kept, c.more = "lost", true
      error "no luck"
    end }), 2)
    local lines = logged(function()
      supersede(one, two)
      core.settle()
      peer:feed "a\nb\n"
    end)
    assert.equal("one a 1\none b 1\n", peer:sent())
    assert.same({ "kept", nil, 1 }, { conn.kept, conn.more, conn.version })
    assert.equal(1, two.failures)
    assert.equal(1, #lines)
    assert.equal("upgrade failed", lines[1].text)
    supersede(two, make(line_handler "three", 3))
    peer:feed "c\nd\n"
    assert.equal("three c 3\nthree d 3\n", peer:sent())
    peer:finish "eof"
  end)

  it("stays when the new version has no such state", function()
    local one = make(line_handler "one", 1)
    local peer, conn = connect(one)
    local lines = logged(function()
      supersede(one, make({ states = { other = function() end } }, 2))
      core.settle()
      peer:feed "a\n"
    end)
    assert.equal("one a 1\n", peer:sent())
    assert.equal("line", conn.state)
    assert.matches("there is no state 'line'", lines[1].fields.error, 1, true)
    peer:finish "eof"
  end)

  it("waits for the transition when its state was given values", function()
    local function given(word)
      return {
        initial = "first",
        states = {
          first = function() return "second", word end,
          second = function(conn, value)
            if not conn:read_line() then return end
            conn:write(value, " in ", word, "\n")
            return "second", value
          end,
        },
      }
    end
    local one = make(given "one", 1)
    local peer, conn = connect(one)
    supersede(one, make(given "two", 2))
    core.settle()
    assert.equal(1, conn.version)
    peer:feed "\n\n"
    assert.equal("one in one\none in two\n", peer:sent())
    peer:finish "eof"
  end)

  it("keeps the timeouts that were set for it, by state", function()
    local one = make({ initial = "b", states = { a = function() end, b = function(c) c:read_line() end } }, 1)
    local peer, conn = connect(one)
    conn:timeout("b", 5)
    supersede(one, make({ initial = "b", states = {
      a = function() end, aa = function() end, b = function(c) c:read_line() end,
    } }, 2))
    core.settle()
    assert.equal(2, conn.version)
    core.advance(6)
    assert.equal("timeout", conn[2])
    peer:finish "eof"
  end)

  it("is listed with its version, until nobody is on it", function()
    local one = make(line_handler "one", 1)
    local peer = connect(one)
    peer:feed "a"
    supersede(one, make(line_handler "two", 2))
    local function listed()
      local list = {}
      for _, item in ipairs(versions.list()) do
        local is_ours = item.listener == "l" and (item.current or item.connections > 0)
        if is_ours then list[item.version] = item.connections end
      end
      return list
    end
    assert.equal(1, listed()[1])
    peer:feed "\n"
    assert.is_nil(listed()[1])
    assert.equal(1, listed()[2])
    peer:finish "eof"
  end)
end)
