#!/usr/bin/python3
"""Starting and stopping: what drains, what is said, what exits how."""
import pathlib
import signal
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import ask, connect, read, read_all
from support.gateway import FRAMED, Gateway, run

# One line, and a long answer.
LONG = """
local states = {}
function states.line(conn)
  if not conn:read_line() then return end
  conn:write(("x"):rep(900000))
  return "line"
end
return { initial = "line", states = states, timeouts = { 60 } }
"""

# A port's file, and much for whoever listens there.
FORWARD = """
local connect = require("linedancer").connect
return function(conn)
  local up = assert(connect("127.0.0.1:" .. dofile(conn:read_line())))
  up:write(("x"):rep(2 ^ 24))
end
"""

STAMP = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "


class Stopping(unittest.TestCase):
    def test_a_drain_ends_the_idle_and_lets_a_frame_be_finished(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Gateway({"handler": FRAMED}, drain=30) as gateway:
                idle = connect(gateway.address())
                busy = connect(gateway.address())
                self.assertEqual(ask(idle, b"\1a", 1), b"a")
                self.assertEqual(ask(busy, b"\1b\5he", 1), b"b")
                gateway.signal(number)
                self.assertEqual(read_all(idle), b"")
                gateway.await_line("draining open=2 seconds=30")
                busy.sendall(b"llo")
                self.assertEqual(read_all(busy), b"hello")
                self.assertEqual(gateway.wait(), 0)
                self.assertEqual(gateway.count("stopped"), 1)

    def test_a_drain_accepts_nobody(self):
        with Gateway({"handler": FRAMED}, drain=30) as gateway:
            busy = connect(gateway.address())
            self.assertEqual(ask(busy, b"\1b\5he", 1), b"b")
            gateway.signal(signal.SIGTERM)
            gateway.await_line("draining")
            with self.assertRaises(ConnectionRefusedError):
                connect(gateway.address())
            busy.sendall(b"llo")
            self.assertEqual(read_all(busy), b"hello")
            self.assertEqual(gateway.wait(), 0)

    def test_the_deadline_of_a_drain_ends_what_is_left(self):
        with Gateway({"handler": FRAMED}, drain=0.3) as gateway:
            busy = connect(gateway.address())
            self.assertEqual(ask(busy, b"\1b\5he", 1), b"b")
            gateway.signal(signal.SIGTERM)
            self.assertEqual(read_all(busy), b"")
            self.assertEqual(gateway.wait(), 0)

    def test_a_second_signal_stops_at_once(self):
        with Gateway({"handler": FRAMED}, drain=3600) as gateway:
            busy = connect(gateway.address())
            self.assertEqual(ask(busy, b"\1b\5he", 1), b"b")
            gateway.signal(signal.SIGTERM)
            gateway.await_line("draining")
            gateway.signal(signal.SIGINT)
            self.assertEqual(gateway.wait(), 0)
            gateway.await_line("stopping now open=1")

    def test_output_that_is_queued_is_delivered_while_it_drains(self):
        with Gateway({"handler": LONG}, drain=30) as gateway:
            sock = connect(gateway.address(), receive=4096)
            first = ask(sock, b"please\n", 1)
            gateway.signal(signal.SIGTERM)
            gateway.await_line("draining open=1")
            self.assertEqual(len(first + read_all(sock)), 900_000)
            self.assertEqual(gateway.wait(), 0)

    def test_an_upstream_gets_what_was_written_to_it(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            files = {"to.lua": f"return {server.getsockname()[1]}"}
            with Gateway({"handler": FORWARD}, drain=30, files=files,
                         limits={"output": 2 ** 25}) as gateway:
                sock = connect(gateway.address())
                sock.sendall(b"%s/to.lua\n" % str(gateway.directory).encode())
                upstream, _ = server.accept()
                self.assertEqual(read_all(sock), b"")
                gateway.signal(signal.SIGTERM)
                gateway.await_line("draining open=0")
                self.assertEqual(len(read_all(upstream)), 2 ** 24)
                self.assertEqual(gateway.wait(), 0)


class Starting(unittest.TestCase):
    def test_each_listener_is_logged_with_its_real_port(self):
        with Gateway({"handler": "echo"}, {"handler": "greeter"},
                     {"handler": "echo", "address": "[::1]:0"},
                     {"handler": "line",
                      "address": "unix:{dir}/s"}) as gateway:
            lines = [line for line in gateway.lines if "listening" in line]
            self.assertEqual(len(lines), 4)
            for line, rest in zip(lines, (
                    r"address=127\.0\.0\.1:[1-9]\d* handler=echo$",
                    r"address=127\.0\.0\.1:[1-9]\d* handler=greeter$",
                    r"address=\[::1\]:[1-9]\d* handler=echo$",
                    r"address=unix:/\S+/s handler=line$")):
                self.assertRegex(line, STAMP + "info  listening " + rest)

    def test_a_busy_port_is_refused_with_its_name(self):
        with Gateway({"handler": "echo"}) as gateway:
            address = f"127.0.0.1:{gateway.port()}"
            second = run("run", "--listen", address, "--handler",
                         "handlers/echo.lua")
            self.assertEqual(second.returncode, 1)
            self.assertIn(f"cannot listen on {address}: Address already in "
                          "use", second.stderr)
            self.assertEqual(ask(connect(gateway.address()), b"hi"), b"hi")

    def test_two_gateways_cannot_share_a_unix_socket(self):
        with Gateway({"handler": "echo",
                      "address": "unix:{dir}/s"}) as gateway:
            second = run("run", "--listen", "unix:" + gateway.address(),
                         "--handler", "handlers/echo.lua")
            self.assertEqual(second.returncode, 1)
            self.assertIn("Address already in use", second.stderr)
            self.assertEqual(ask(connect(gateway.address()), b"hi"), b"hi")

    def test_one_that_was_killed_leaves_a_socket_that_the_next_takes(self):
        with Gateway({"handler": "echo",
                      "address": "unix:{dir}/s"}) as first:
            first.signal(signal.SIGKILL)
            self.assertEqual(first.wait(), -signal.SIGKILL)
            with Gateway({"handler": "echo", "address":
                          "unix:" + first.address()}) as second:
                sock = connect(second.address())
                self.assertEqual(ask(sock, b"hi"), b"hi")

    def test_a_listener_without_a_handler_is_a_usage_error(self):
        usage = run("run", "--listen", "127.0.0.1:0")
        self.assertEqual(usage.returncode, 2)
        self.assertRegex(usage.stderr, r"lacks its --handler FILE\n"
                         "Try 'linedancer help run'")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
