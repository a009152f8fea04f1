#!/usr/bin/python3
"""Connections by the thousand that do everything a connection can do, and die
in the middle of it, against the program with ASan, UBSan and LSan.

  soak_test.py [--connections N] [--seed N]     (default 3000, and 1)

N with two workers, and a tenth of it with everything in one process.

What a client sends, and when and how it ends, follows from the seed; how that
meets the gateway's timing does not.  In the end the gateway must be empty, by
its own count, and exit without a word from a sanitizer."""
import argparse
import os
import pathlib
import random
import re
import socket
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).parent
os.environ["BUILD"] = os.environ.get("BUILD", "build") + "/sanitized"
sys.path.insert(0, str(HERE))
from support import gateway as support
from support.client import connect, read_line, reset
from support.gateway import Gateway, until

SUPPORT = HERE / "support"
ALIVE = 300     # connections at a time
PATIENT = 120   # seconds until a sanitized gateway, after much work, answers
EXPECTED = re.compile("(connection|task) failed .*"
                      "(code=(?!error)|as told|returned 'nowhere')")
REPORTS = r"Sanitizer|runtime error|[Aa]ssertion|worker died|Z error "
LEFT = ("slot", "joined", "kilobytes")  # counts that do not go back to zero
LEAKS = """
local ffi = require "ffi"
ffi.cdef "void *malloc(size_t n);"
return function(conn)
  conn:read_line()
  ffi.C.malloc(1234)
  conn:write "done\\n"
end
"""
options = argparse.Namespace(connections=3000, seed=1)
support.PATIENCE = PATIENT


class Soaked(Gateway):
    """Keeps no line about what failed as it was to."""

    def read_log(self):
        for line in self.process.stderr:
            if not EXPECTED.search(line):
                with self.read:
                    self.lines.append(line.rstrip("\n"))
                    self.read.notify_all()
        with self.read:
            self.lines.append(None)
            self.read.notify_all()


class Control:
    """One connection to the count of each worker."""

    def __init__(self, address, workers):
        self.socks = {}
        while len(self.socks) < workers:
            sock = connect(address)
            sock.settimeout(PATIENT)
            slot = self.ask(sock, "count")["slot"]
            if self.socks.setdefault(slot, sock) is not sock:
                sock.close()

    @staticmethod
    def ask(sock, order):
        sock.sendall(order.encode() + b"\n")
        answer = read_line(sock).decode()
        assert answer.endswith("\n"), "a worker is gone"
        return {key: int(value)
                for key, value in re.findall(r"(\S+)=(\d+)", answer)}

    def counts(self):
        return [self.ask(sock, "count") for sock in self.socks.values()]

    def sync(self):
        """Let the workers come this far."""
        for sock in self.socks.values():
            self.ask(sock, "sync")

    def sweep(self):
        for sock in self.socks.values():
            self.ask(sock, "sweep")

    def left(self):
        """What each worker still has, but for this connection."""
        for counts in self.counts():
            counts["slots"] -= 1
            left = {key: value for key, value in counts.items()
                    if value and key not in LEFT}
            if left:
                return left
        return None


class Crowd:
    """The clients."""

    def __init__(self, addresses, chance):
        self.addresses, self.chance = addresses, chance
        self.socks, self.opened, self.sent = [], 0, 0

    def join(self):
        sock = connect(self.chance.choice(self.addresses),
                       self.chance.choice((None, None, None, 4096)))
        sock.setblocking(False)
        self.socks.append(sock)
        self.opened += 1

    def leave(self, place):
        sock = self.socks[place]
        self.socks[place] = self.socks[-1]
        self.socks.pop()
        how = self.chance.random()
        try:
            if how < 0.3:
                sock.shutdown(socket.SHUT_WR)
            if 0.2 < how < 0.5:
                reset(sock)
        except OSError:
            pass
        sock.close()

    def talk(self, sock):
        """Some orders, of which the last may be cut short."""
        orders = self.chance.randbytes(3 * self.chance.randrange(1, 9))
        if self.chance.random() < 0.05:
            orders = orders[:-1]
        if self.chance.random() < 0.05:
            orders += self.chance.randbytes(500)
        self.sent += sock.send(orders)

    def step(self):
        place = self.chance.randrange(len(self.socks))
        sock, what = self.socks[place], self.chance.random()
        try:
            if what < 0.75:
                self.talk(sock)
            elif what < 0.94:
                if not sock.recv(1 << 18):
                    self.leave(place)
            elif what < 0.95:
                sock.shutdown(socket.SHUT_WR)
            else:
                self.leave(place)
        except BlockingIOError:
            pass
        except OSError:
            self.leave(place)

    def clear(self):
        while self.socks:
            self.leave(0)


class Soak(unittest.TestCase):
    def play(self, crowd, control, connections):
        since = shown = time.monotonic()
        steps = 0
        while crowd.opened < connections or len(crowd.socks) > ALIVE // 4:
            while len(crowd.socks) < ALIVE and crowd.opened < connections:
                crowd.join()
            crowd.step()
            steps += 1
            if steps % 40 == 0:
                control.sync()
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                print(f"{crowd.opened} connections, {crowd.sent} bytes, "
                      f"{shown - since:.0f} s", file=sys.stderr, flush=True)
        crowd.clear()
        return time.monotonic() - since

    def await_empty(self, control):
        left = None

        def is_empty():
            nonlocal left
            control.sweep()
            left = control.left()
            return left is None
        try:
            until(is_empty, "an empty gateway")
        except AssertionError:
            self.fail(f"left in a worker: {left}")

    def soak(self, workers, connections):
        directory = tempfile.TemporaryDirectory(prefix="ld-soak-")
        self.addCleanup(directory.cleanup)
        path = directory.name + "/s"
        handler = str(SUPPORT / "soak.lua")
        with Soaked({"handler": handler, "options": {"unix": path}},
                    {"handler": handler, "options": {"unix": path},
                     "address": "unix:" + path},
                    {"handler": str(SUPPORT / "soak_control.lua")},
                    workers=workers, path=[str(SUPPORT)],
                    limits={"heartbeat": PATIENT}) as gateway:
            for number in range(workers):
                gateway.await_line("worker started", number)
            control = Control(gateway.address(2), max(workers, 1))
            crowd = Crowd([gateway.address(), gateway.address(),
                           gateway.address(1)], random.Random(options.seed))
            seconds = self.play(crowd, control, connections)
            self.await_empty(control)
            self.report(control, crowd, seconds)
            self.assertEqual(gateway.stop(), 0)
            self.assertEqual(gateway.count(REPORTS), 0, gateway.log())

    def report(self, control, crowd, seconds):
        counts = control.counts()
        joined = sum(one["joined"] for one in counts)
        kilobytes = [one["kilobytes"] for one in counts]
        print(f"\n{crowd.opened} connections in {seconds:.0f} s (seed "
              f"{options.seed}), with their own {joined}; then empty, "
              f"{kilobytes} KB of Lua", file=sys.stderr)

    def test_two_workers(self):
        self.soak(2, options.connections)

    def test_one_process(self):
        self.soak(0, options.connections // 10)

    def test_a_leak_would_be_seen(self):
        with Gateway({"handler": LEAKS}, workers=2) as gateway:
            sock = connect(gateway.address())
            sock.sendall(b"please\n")
            self.assertEqual(read_line(sock), b"done\n")
            gateway.stop()
            self.assertGreater(gateway.count(REPORTS), 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--connections", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    rest = parser.parse_known_args(namespace=options)[1]
    unittest.main(argv=sys.argv[:1] + rest, warnings="ignore")
