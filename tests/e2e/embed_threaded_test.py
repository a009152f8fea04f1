#!/usr/bin/python3
"""examples/embed/threaded: a gateway in a thread of its own beside a program
that waits for its input, and a handler in C."""
import contextlib
import pathlib
import signal
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read, read_all
from support.gateway import PATIENCE
from support.host import VALGRIND, Host, run

READING, NONE, GOODBYE = 1, 2, 3
TOKEN = b"a token"


def text(kind, what):
    return bytes([kind, len(what)]) + what


def watch(name):
    return text(1, name)


def get(name):
    return text(2, name)


LEAVE = text(3, b"")


def login(token=TOKEN, version=1):
    return b"MTR" + text(version, token)


def reading(name, value):
    return text(READING, name) + struct.pack(">d", value)


class Meter(Host):
    def __init__(self, *before):
        super().__init__("threaded", *before, "./meter", "--listen",
                         "127.0.0.1:0", METER_TOKEN=TOKEN.decode())

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def counts(self):
        """What the line ? prints: all input before it has been taken."""
        self.say("?")
        return self.process.stdout.readline().rstrip("\n")

    @contextlib.contextmanager
    def client(self, *requests):
        """One that has logged in, and whose REQUESTS have been heard."""
        with connect(self.address()) as sock:
            sock.sendall(login() + b"".join(requests) + get(b"-"))
            answer = b"\0" + text(NONE, b"-")
            assert read(sock, len(answer)) == answer
            yield sock

    def finish(self):
        """The end of its input: (exit status, the last line)."""
        self.process.stdin.close()
        code = self.wait()
        return code, self.process.stdout.read()


class Protocol(unittest.TestCase):
    def expect(self, sock, *frames):
        for frame in frames:
            self.assertEqual(read(sock, len(frame)), frame)

    def session(self, meter):
        """Logging in, watching, asking, leaving."""
        meter.say("load 0.5")
        self.assertEqual(meter.counts(), "clients 0, things measured 1")
        with meter.client(watch(b"+")) as every, \
                meter.client(watch(b"heat")) as heat:
            meter.say("load -1e300")
            meter.say("heat 21.25")
            self.expect(every, reading(b"load", -1e300),
                        reading(b"heat", 21.25))
            self.expect(heat, reading(b"heat", 21.25))
            self.assertEqual(meter.counts(), "clients 2, things measured 2")
            for byte in get(b"load"):
                heat.sendall(bytes([byte]))
            self.expect(heat, reading(b"load", -1e300))
            heat.sendall(LEAVE)
            self.assertEqual(read_all(heat), b"")

    def test_readings_reach_those_who_watch_and_those_who_ask(self):
        with Meter() as meter:
            self.session(meter)
            code, last = meter.finish()
            self.assertEqual(code, 0)
            self.assertEqual(last, "connections 2, refused 0\n")

    def test_who_does_not_know_the_token_is_told_and_put_out(self):
        with Meter() as meter, meter.client() as other:
            for wrong in (login(b"a tokem"), login(b""), login(TOKEN * 2),
                          login(version=2)):
                with connect(meter.address()) as sock:
                    sock.sendall(wrong + watch(b"+"))
                    self.assertEqual(read_all(sock), b"\1")
            meter.await_line('error="not let in".* state=login', 3)
            with connect(meter.address()) as sock:
                sock.sendall(b"GET / HTTP/1.0\r\n")
                self.assertEqual(read_all(sock), b"")
            meter.await_line("code=mismatch")
            other.sendall(get(b"x"))
            self.expect(other, text(NONE, b"x"))

    def test_a_wrong_request_is_the_last_one(self):
        with Meter() as meter, meter.client() as sock:
            sock.sendall(text(9, b""))
            self.assertEqual(read_all(sock), text(GOODBYE, b"fail"))
            meter.await_line('error="no such request".* state=request')
            with meter.client() as cut:
                cut.sendall(b"\1\5ab")
                cut.shutdown(1)
                self.assertEqual(read_all(cut), text(GOODBYE, b"truncated"))
            self.assertEqual(meter.counts(), "clients 0, things measured 0")

    def test_who_does_not_log_in_has_only_so_long(self):
        with Meter() as meter, connect(meter.address()) as sock:
            sock.sendall(login()[:-1])
            self.assertEqual(read_all(sock), b"")
            meter.await_line("code=timeout .*state=login")

    def test_netcat_logs_in(self):
        with Meter() as meter:
            said = subprocess.run(
                ["nc", "-N", "127.0.0.1", str(meter.port())], timeout=PATIENCE,
                input=login() + get(b"x"), stdout=subprocess.PIPE).stdout
            self.assertEqual(said, b"\0" + text(NONE, b"x"))

    def test_nothing_is_lost_or_touched_that_valgrind_sees(self):
        with Meter(*VALGRIND) as meter:
            self.session(meter)
            with meter.client(watch(b"+")):
                meter.say("heat 1")
                self.assertEqual(meter.finish()[0], 0, meter.log())


class Input(unittest.TestCase):
    def test_all_that_is_measured_comes_in_order_however_fast_it_is(self):
        """Far more than a mailbox holds, which is bounded."""
        count = 50_000
        with Meter() as meter, meter.client(watch(b"n")) as sock:
            meter.say("\n".join(f"n {i}" for i in range(count)))
            for i in range(count):
                self.assertEqual(read(sock, 11), reading(b"n", i))

    def test_what_is_no_reading_is_said_and_harms_nothing(self):
        with Meter() as meter:
            for line in ("", "x", "x y", "x 1 y", "a/b 1", "+ 1", "x" * 33 + " 1"):
                meter.say(line)
            meter.say("x 1")
            self.assertEqual(meter.counts(), "clients 0, things measured 1")
            self.assertEqual(meter.count("no reading: "), 7)

    def test_signals_end_it_as_the_end_of_the_input_does(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Meter() as meter, meter.client():
                meter.counts()
                meter.signal(number)
                self.assertEqual(meter.wait(), 0)
                self.assertIn("connections 1, refused 0",
                              meter.process.stdout.read())

    def test_options(self):
        result = run("threaded", "./meter", "--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(run("threaded", "./meter").returncode, 2)
        result = run("threaded", "env", "METER_TOKEN=x", "./meter", "-l", "x")
        self.assertEqual(result.returncode, 1)
        self.assertIn("address 'x' lacks the port", result.stderr)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
