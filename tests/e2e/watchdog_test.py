#!/usr/bin/python3
"""Code that computes for ever is stopped, whatever it does, and nobody else
notices."""
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import control
from support.client import Bystander, ask, connect, read_all
from support.gateway import until

TURN = 0.1  # seconds

# Each runs for ever, by its name, in a state.
RUNAWAYS = {
    "loop": "while true do end",
    "goto": "::again:: goto again",
    "repeat": "repeat local x = 1 until false",
    "numeric": "for i = 1, math.huge do end",
    "recursion": "local function f() return f() end f()",
    "ipairs": "local t = setmetatable({}, { __index = function() return 1 end "
              "}) while true do for i = 1, 100 do local _ = t[i] end end",
    "allocation": "while true do local t = { {}, {} } end",
    "strings": "local i = 0 while true do i = i + 1 local s = 'x' .. i end",
    "ffi": "local ffi = require 'ffi' local p = ffi.new 'int[16]' "
           "while true do for i = 0, 15 do p[i] = i end end",
    "pcall": "while true do pcall(function() while true do end end) end",
    "pcall error": "while true do pcall(error, 'x') end",
    "xpcall": "while true do xpcall(function() while true do end end, "
              "function() end) end",
    "handler": "xpcall(function() while true do end end, "
               "function() while true do end end)",
    "sort": "while true do pcall(table.sort, { 3, 2, 1 }, function() "
            "while true do end end) end",
    "gsub": "while true do pcall(string.gsub, 'x', '.', function() "
            "while true do end end) end",
    "wrap": "coroutine.wrap(function() while true do end end)()",
    "pcall wrap": "while true do pcall(coroutine.wrap(function() "
                  "while true do end end)) end",
    "resume": "while true do coroutine.resume(coroutine.create(function() "
              "while true do end end)) end",
    "nested": "local function deep(n) coroutine.wrap(function() if n > 0 then "
              "deep(n - 1) end while true do pcall(deep, 0) end end)() end "
              "deep(20)",
    "index": "local t = setmetatable({}, { __index = function() "
             "while true do end end }) while true do pcall(function() "
             "return t.x end) end",
    "tostring": "local t = setmetatable({}, { __tostring = function() "
                "while true do end end }) tostring(t)",
    "deep wrap": "local function deep() coroutine.wrap(function() pcall(deep) "
                 "end)() end while true do pcall(deep) end",
    "deep gsub": "local function deep() string.gsub('x', '.', deep) end "
                 "while true do pcall(deep) end",
    "deep sort": "local function deep() table.sort({ 3, 2, 1 }, deep) end "
                 "while true do pcall(deep) end",
    "ours": "local ld = require 'linedancer' while true do "
            "ld.publish('x', { 1 }) conn:subscribe 'y' conn:unsubscribe 'y' "
            "pcall(conn.fail, conn, 'x') end",
    "load": "loadstring 'while true do end' ()",
}

# The name of a runaway is a line; one that begins with "-" is for a hook.
HANDLER = """
local ld = require "linedancer"
local run = {}
%s
local states = {}
function states.line(conn)
  local line = conn:read_line()
  if not line then return end
  if line:sub(1, 1) == "-" then
    ld.send(conn, line:sub(2))
    conn:read(1)
  elseif line:sub(1, 1) == "!" then
    conn.last_words = line:sub(2)
    error "an error"
  elseif line:sub(1, 1) == "." then
    conn.at_close = line:sub(2)
    return nil
  end
  run[line](conn)
  conn:write("impossible\\n")
  return "line"
end
return { states = states, timeouts = { 60 },
  on_message = function(conn, _, name) run[name](conn) end,
  on_error = function(conn) if conn.last_words then run[conn.last_words](conn) end
    conn:write "last words\\n" end,
  on_close = function(conn) if conn.at_close then run[conn.at_close](conn) end end }
""" % "\n".join(f"run[{name!r}] = function(conn) {text} end"
                for name, text in RUNAWAYS.items())

# In a hook, which cannot be suspended, an error has to be raised; what handles
# that is not interrupted again, but by the end of the process.
UNSTOPPABLE = {"handler"}


class Case(control.Case):
    def gateway(self, handler=HANDLER, **config):
        return self.controlled({"handler": handler}, {"handler": "echo"},
                               limits={"turn": TURN}, **config)

    def cut(self, gateway, name):
        """Have NAME run, on a connection that is then cut."""
        with connect(gateway.address()) as sock:
            began = time.monotonic()
            sock.sendall(name.encode() + b"\n")
            said = read_all(sock)
            return said, time.monotonic() - began

    def stop_all(self, gateway, prefix, names, words):
        """All of NAMES are stopped, and nobody else notices."""
        workers = gateway.workers()
        slowest = 0
        with Bystander(gateway.address(1)) as bystander:
            for name in names:
                with self.subTest(prefix + name):
                    said, seconds = self.cut(gateway, prefix + name)
                    self.assertEqual(said, words)
                    slowest = max(slowest, seconds)
                    bystander.more()
        print(f"{prefix or 'state'}: {len(names)} stopped, the slowest after "
              f"{slowest * 1e3:.0f} ms", file=sys.stderr)
        self.assertEqual(gateway.workers(), workers)


class Watchdog(Case):
    def test_states_are_stopped_whatever_they_do(self):
        gateway = self.gateway()
        self.stop_all(gateway, "", list(RUNAWAYS), b"last words\n")
        found = gateway.matches("connection failed .*code=limit .*"
                                "computed for too long .*traceback=.*line")
        self.assertEqual(len(found), len(RUNAWAYS), gateway.log())

    def test_without_the_compiler_too(self):
        gateway = self.gateway("jit.off()\n" + HANDLER)
        self.stop_all(gateway, "", list(RUNAWAYS), b"last words\n")
        [first, *_] = self.control("eval", code="jit.status()")
        self.assertEqual(first["result"][0], "false")

    def test_hooks_are_stopped(self):
        gateway = self.gateway()
        names = sorted(set(RUNAWAYS) - UNSTOPPABLE)
        self.stop_all(gateway, "-", names, b"last words\n")
        self.stop_all(gateway, "!", names, b"")
        self.stop_all(gateway, ".", names, b"")
        [first, *_] = self.control("eval", code="jit.status()")
        self.assertEqual(first["result"][0], "true")

    def test_the_limit_is_set_while_it_runs(self):
        gateway = self.gateway(HANDLER.replace("run[line](conn)", """
          local till = os.clock() + 0.3
          while os.clock() < till do end
          conn:write "done\\n" """), workers=1)
        self.assertEqual(self.cut(gateway, "x")[0], b"last words\n")
        self.control("set", name="limits.turn", value=0)
        with connect(gateway.address()) as sock:
            self.assertEqual(ask(sock, b"x\n", 5), b"done\n")


if __name__ == "__main__":
    unittest.main()
