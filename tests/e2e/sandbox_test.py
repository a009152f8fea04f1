#!/usr/bin/python3
"""Scripts that somebody else wrote, beside those of ours: what they do to their
worker, and to the clients of others."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import control
from support.client import Bystander, ask, connect, read_all, read_line
from support.gateway import Lua, until

# A line names what to do.
HARM = r"""
local ld = require "linedancer"
local states, held = {}, {}
local harm = {}
function harm.pattern() return (("a"):rep(100000)):find ".-.-.-.-.-.-b" end
function harm.gsub() return (("a"):rep(100000)):gsub(("a*"):rep(20) .. "b", "") end
function harm.loop() while true do end end
function harm.sort()
  local t = {}
  for i = 1, 3e5 do t[i] = (i * 7919) % 1000003 end
  while true do table.sort(t) end
end
function harm.rep() return ("x"):rep(2 ^ 40) end
function harm.memory() local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end end
function harm.caught()
  local t = {}
  while true do pcall(function() while true do t[#t + 1] = ("x"):rep(1e6) .. #t end end) end
end
function harm.table() local t = {} for i = 1, 2 ^ 40 do t[i] = i end end
function harm.buffers(conn)
  local piece = ("x"):rep(1e6)
  for i = 1, 2000 do
    local b = ld.buffer()
    for _ = 1, 10 do b:put(piece) end
    held[#held + 1] = b
    if i % 20 == 0 then ld.sleep(0) end
  end
end
function harm.print() print({}, function() end) end
function harm.exit() return os.exit(1) end
function harm.none(conn) conn:write "fine\n" end
function states.line(conn)
  local name = conn:read_line()
  if not name then return end
  harm[name](conn)
  return "line"
end
return { initial = "line", states = states, timeouts = { 60 } }
"""

KEEPER = """
local ld = require "linedancer"
ld.keep "ours".secret = "hunter2"
return function(conn)
  conn.secret = "hunter2"
  conn:subscribe "#"
  while conn:read_line() do conn:write "still here\\n" end
end
"""

SPY = """
local ld = require "linedancer"
return function(conn)
  local line = conn:read_line()
  if not line then return end
  local chunk, message = loadstring("local conn, ld = ... " .. line)
  local ok, result = pcall(chunk or error, chunk and conn or message, ld)
  conn:write(tostring(result), "\\n")
end
"""


class Case(control.Case):
    def tenants(self, **limits):
        return self.controlled(
            {"handler": HARM, "sandbox": True}, {"handler": "echo"},
            {"handler": KEEPER}, {"handler": SPY, "sandbox": True}, workers=1,
            limits=limits, log={"level": "debug"})


class Harm(Case):
    def test_a_script_that_does_harm_loses_its_connection(self):
        gateway = self.tenants(memory=100 * 2**20)
        with Bystander(gateway.address(1)):
            for name in ("pattern", "gsub", "loop", "sort", "rep", "memory",
                         "caught", "table", "exit"):
                with self.subTest(name):
                    sock = self.start(connect(gateway.address()))
                    sock.sendall(name.encode() + b"\n")
                    self.assertEqual(read_all(sock), b"")
                    other = self.start(connect(gateway.address()))
                    other.sendall(b"none\n")
                    self.assertEqual(read_line(other), b"fine\n")
        self.assertEqual(gateway.log().count("worker started"), 1)
        for code in ("limits.turn", "limits.memory", "pattern too complex"):
            gateway.await_line(code)

    def test_memory_that_is_not_luas_counts(self):
        gateway = self.tenants(memory=200 * 2**20, turn=5)
        with Bystander(gateway.address(1)):
            sock = self.start(connect(gateway.address()))
            sock.sendall(b"buffers\n")
            self.assertEqual(read_all(sock), b"")
            gateway.await_line("memory limit reached")
            gateway.await_line("code=nomem|not enough memory|code=limit")
        self.assertEqual(gateway.log().count("worker started"), 1)

    def test_addresses_are_not_told(self):
        gateway = self.tenants()
        sock = self.start(connect(gateway.address()))
        sock.sendall(b"print\nnone\n")
        self.assertEqual(read_line(sock), b"fine\n")
        line = gateway.await_line("print .*text=.*")
        self.assertNotIn("0x", line.string)


class Reach(Case):
    def says(self, gateway, code):
        sock = connect(gateway.address(3))
        with sock:
            sock.sendall(code.encode() + b"\n")
            return read_line(sock).decode().rstrip("\n")

    def test_nothing_of_others_can_be_reached(self):
        gateway = self.tenants()
        keeper = self.start(connect(gateway.address(2)))
        self.assertEqual(ask(keeper, b"hello\n", 11), b"still here\n")
        for code, expected in (
                ("return ld.keep('ours').secret", "nil"),
                ("return conn.machine", "nil"),
                ("return conn[1]", "nil"),
                ("for i = 0, 50 do rawset(conn, 1, i) conn:close() end "
                 "return 1", "1"),
                ("ld.publish('news', 'x') return 'told'", "told"),
                ("return io", "nil"),
                ("return getfenv", "nil"),
                ("return require('linedancer.control')", "not available"),
                ("return loadstring(('\\27LJ\\2\\0\\0\\0'))", "nil"),
                ("return ld.connect('127.0.0.1:1')", "may not connect")):
            self.assertIn(expected, self.says(gateway, code), code)
        self.assertEqual(ask(keeper, b"hello\n", 11), b"still here\n")

    def test_a_reload_keeps_it_in(self):
        """Also by the process that only looks at what is to be loaded."""
        with tempfile.TemporaryDirectory() as directory:
            file = pathlib.Path(directory) / "tenant.lua"
            mark = pathlib.Path(directory) / "mark"
            file.write_text(SPY)
            gateway = self.controlled(
                {"handler": str(file), "sandbox": True}, workers=1)
            file.write_text("pcall(function() io.open(%r, 'w') end)\n"
                            "pcall(function() os.execute('touch ' .. %r) end)\n"
                            % (str(mark), str(mark)) +
                            SPY.replace("tostring(result)", "'new'"))
            self.control("reload")
            sock = self.start(connect(gateway.address()))
            sock.sendall(b"return 1\n")
            self.assertEqual(read_line(sock), b"new\n")
            self.assertFalse(mark.exists())


if __name__ == "__main__":
    unittest.main()
