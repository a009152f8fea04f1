#!/usr/bin/python3
"""Peers that mean harm, or suffer it: each while somebody else is served."""
import pathlib
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import (Bystander, ask, connect, read, read_all,
                            read_line, reset)
from support.gateway import Gateway, until

# A frame is two bytes of length and the bytes; the answer is the bytes.
FRAMED = """
local states = {}
function states.frame(conn)
  local size = conn:unpack ">I2"
  if not size then return end
  return "body", size
end
function states.body(conn, size)
  conn:write(conn:expect(size))
  return "frame"
end
return { initial = "frame", states = states,
         timeouts = { frame = 60, body = { idle = 0.4, total = 1.2 } } }
"""

# "SIZE LF" is answered with as many bytes, "last SIZE LF" for the last time;
# "bye LF" with goodbye and the end.
ANSWERS = """
local states = {}
function states.ask(conn)
  local line = conn:read_line()
  if not line then return end
  if line == "bye" then
    conn:write "goodbye\\n"
    return
  end
  conn:write(("x"):rep(tonumber(line:match "%d+")))
  if not line:find "last" then return "ask" end
end
return { initial = "ask", states = states, timeouts = { 60 } }
"""

# Writes without ever waiting for its peer, but for a byte now and then.
GUSHER = """
local ld = require "linedancer"
local states = {}
function states.ask(conn)
  local other = ld.keep("gusher").conn
  if not other then
    ld.keep("gusher").conn = conn
    conn:write "first\\n"
    conn:read_some()
    return
  end
  while true do
    if not conn:read_line() then return end
    other:write(("x"):rep(100000))
    conn:write "done\\n"
  end
end
return { initial = "ask", states = states, timeouts = { 60 } }
"""

BROKEN = """
local states = {}
local what = {
  nilcall = function() local x = nil; x() end,
  text = function() error("plain text", 0) end,
  table = function() error { answer = 42 } end,
  number = function() error(7) end,
  none = function() error() end,
  worse = function()
    error(setmetatable({}, { __tostring = function() error "no" end }))
  end,
  yield = function() coroutine.yield() end,
  overflow = function() local function f() return 1 + f() end; f() end,
  fail = function(conn) conn:fail "no thanks" end,
}
function states.first(conn)
  local name = conn:read_line()
  if not name then return end
  if what[name] then what[name](conn) end
  return name, 1
end
function states.second(conn)
  conn:write "second\\n"
  return "first"
end
return { initial = "first", states = states, timeouts = { 60 },
         enter = { second = function(conn) if conn.bad then error "e" end end }
}
"""


class Hostile(unittest.TestCase):
    def serve(self, handler, **config):
        """A gateway with an echo beside HANDLER, and a bystander on it."""
        gateway = Gateway({"handler": "echo"}, {"handler": handler}, **config)
        self.addCleanup(gateway.close)
        bystander = Bystander(gateway.address(0))
        bystander.__enter__()
        self.addCleanup(bystander.__exit__, None)
        return gateway, bystander

    def dial(self, gateway, **how):
        sock = connect(gateway.address(1), **how)
        self.addCleanup(sock.close)
        return sock

    def test_a_peer_that_resets_inside_a_frame_is_forgotten(self):
        gateway, bystander = self.serve(FRAMED)
        for _ in range(20):
            sock = self.dial(gateway)
            self.assertEqual(ask(sock, b"\0\1a\0\5bc", 1), b"a")
            reset(sock)
        gateway.await_line("code=reset", 19)
        bystander.more()
        until(lambda: gateway.descriptors() < 20, "the end of them")

    def test_a_peer_that_stalls_inside_a_frame_runs_out_of_time(self):
        gateway, bystander = self.serve(FRAMED)
        sock = self.dial(gateway)
        self.assertEqual(ask(sock, b"\0\1a\0\5bc", 1), b"a")
        self.assertEqual(read_all(sock), b"")
        line = gateway.await_line("connection failed (.*)").group(1)
        self.assertIn("code=timeout", line)
        self.assertIn("state=body", line)
        bystander.more()

    def test_drops_in_time_do_not_outlast_the_total(self):
        gateway, bystander = self.serve(FRAMED)
        sock = self.dial(gateway)
        sock.sendall(b"\xff\xff")
        sock.settimeout(0.1)
        answer = None
        for _ in range(100):
            if answer is not None:
                break
            try:
                sock.sendall(b"x")
                answer = sock.recv(1)
            except TimeoutError:
                pass
            except ConnectionError:
                answer = b""
        self.assertEqual(answer, b"")
        gateway.await_line("code=timeout")
        bystander.more()

    def test_a_frame_in_single_bytes_is_served_like_any_other(self):
        gateway, bystander = self.serve(FRAMED)
        sock = self.dial(gateway)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"\0\5hello\0\0\0\1!":
            sock.sendall(bytes([byte]))
        self.assertEqual(read(sock, 6), b"hello!")
        bystander.more()

    def test_a_peer_that_never_reads_is_held_and_costs_little(self):
        gateway, bystander = self.serve(ANSWERS)
        sock = self.dial(gateway, receive=4096)
        before = gateway.status("VmRSS")
        sock.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            while True:
                sock.sendall(b"50000\n" * 1000)
        self.assertLess(gateway.status("VmRSS") - before, 8192)
        bystander.more()
        reset(sock)
        gateway.await_line("code=reset")

    def test_output_from_others_is_bounded_by_the_limit(self):
        gateway, bystander = self.serve(GUSHER, limits={"output": 2_000_000,
                                                        "linger": 0.2})
        deaf = self.dial(gateway, receive=4096)
        self.assertEqual(read_line(deaf), b"first\n")
        other = self.dial(gateway)
        before = gateway.status("VmRSS")
        self.assertEqual(ask(other, b"more\n"), b"done\n")
        open_before = gateway.descriptors()
        for _ in range(300):
            self.assertEqual(ask(other, b"more\n"), b"done\n")
        gateway.await_line("code=limit")
        until(lambda: gateway.descriptors() < open_before, "its end")
        self.assertLess(gateway.status("VmRSS") - before, 20_000)
        with self.assertRaises(ConnectionResetError):
            read_all(deaf)  # it must not take a part for the whole
        bystander.more()

    def test_a_slow_reader_gets_a_long_answer_whole(self):
        gateway, bystander = self.serve(ANSWERS)
        sock = self.dial(gateway, receive=4096)
        sock.sendall(b"1000000\n5\n")
        sock.shutdown(socket.SHUT_WR)
        got = 0
        while True:
            part = sock.recv(3000)
            got += len(part)
            if not part:
                break
        self.assertEqual(got, 1_000_005)
        bystander.more()

    def test_a_half_close_gets_all_pending_answers(self):
        gateway, bystander = self.serve(ANSWERS)
        sock = self.dial(gateway)
        sock.sendall(b"300000\n" * 10)
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(len(read_all(sock)), 3_000_000)
        bystander.more()

    def test_unread_garbage_does_not_destroy_the_last_answer(self):
        gateway, bystander = self.serve(ANSWERS)
        for size in (1, 1000, 200_000):
            sock = self.dial(gateway)
            sock.sendall(b"bye\n" + b"g" * size)
            self.assertEqual(read_all(sock), b"goodbye\n")
        bystander.more()

    def test_a_peer_that_sends_garbage_without_end_is_left_in_the_end(self):
        gateway, bystander = self.serve(ANSWERS)
        sock = self.dial(gateway)
        sock.sendall(b"bye\n" + b"g" * 1000)
        self.assertEqual(read_line(sock), b"goodbye\n")
        with self.assertRaises(ConnectionError):
            while True:
                sock.sendall(b"g" * 10000)
        bystander.more()

    def test_while_an_answer_is_stuck_the_gateway_sleeps(self):
        gateway, bystander = self.serve(ANSWERS, limits={"output": 2 ** 26,
                                                         "linger": 60})
        bystander.__exit__(None)
        stuck = self.dial(gateway, receive=4096)
        stuck.sendall(b"30000000\n")
        self.assertEqual(read(stuck, 1), b"x")
        stuck.shutdown(socket.SHUT_WR)
        flushing = self.dial(gateway, receive=4096)
        flushing.sendall(b"last 30000000\n")
        self.assertEqual(read(flushing, 1), b"x")
        flushing.sendall(b"unread")
        self.assertGreater(gateway.naps(50), 40)

    def test_a_flood_of_connects_is_served(self):
        gateway, bystander = self.serve(ANSWERS)
        for _ in range(10):
            flood = [connect(gateway.address(1)) for _ in range(200)]
            for number, sock in enumerate(flood):
                if number % 3:
                    reset(sock)
            for number, sock in enumerate(flood):
                if number % 3 == 0:
                    self.assertEqual(ask(sock, b"3\n", 3), b"xxx")
                    sock.close()
            bystander.more()
        until(lambda: gateway.descriptors() < 20, "the end of them")


class Broken(unittest.TestCase):
    def test_errors_of_every_kind_end_their_connection_alone(self):
        with Gateway({"handler": "echo"}, {"handler": BROKEN}) as gateway, \
                Bystander(gateway.address(0)) as bystander:
            kinds = ["nilcall", "text", "table", "number", "none", "worse",
                     "yield", "overflow"]
            for number, kind in enumerate(kinds):
                with connect(gateway.address(1)) as sock:
                    mine = "%s:%d" % sock.getsockname()
                    sock.sendall(b"second\n" + kind.encode() + b"\n")
                    self.assertEqual(read_all(sock), b"second\n")
                line = gateway.await_line("connection failed.*",
                                          number).group(0)
                self.assertIn("handler=handler2", line)
                self.assertIn("state=first", line)
                self.assertIn("code=error", line)
                self.assertIn("peer=" + mine, line)
                self.assertRegex(line, r"conn=\d+\.\d+")
                bystander.more()
            line = gateway.await_line("attempt to call.*").group(0)
            self.assertRegex(line, r"traceback=.*handler2\.lua:\d+")

    def test_a_failure_that_was_meant_is_no_error(self):
        with Gateway({"handler": BROKEN}) as gateway:
            with connect(gateway.address()) as sock:
                sock.sendall(b"fail\n")
                self.assertEqual(read_all(sock), b"")
            line = gateway.await_line("info  connection failed.*").group(0)
            self.assertIn('error="no thanks"', line)
            self.assertNotIn("traceback", line)

    def test_an_unknown_state_is_reported_with_the_nearest(self):
        with Gateway({"handler": BROKEN}) as gateway:
            with connect(gateway.address()) as sock:
                sock.sendall(b"secnod\n")
                self.assertEqual(read_all(sock), b"")
            line = gateway.await_line("connection failed.*").group(0)
            self.assertIn("state first returned 'secnod'", line)
            self.assertIn("'second'", line)
            self.assertIn("handler=handler1", line)
            self.assertIn("traceback=", line)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
