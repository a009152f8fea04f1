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
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).parent
os.environ["BUILD"] = os.environ.get("BUILD", "build") + "/sanitized"
sys.path.insert(0, str(HERE))
from support import gateway as support
from support.client import connect, read_line
from support.crowd import Counts, Crowd, PATIENT, REPORTS, Soaked
from support.gateway import Gateway, until

SUPPORT = HERE / "support"
ALIVE = 300     # connections at a time
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
            control = Counts(gateway.address(2), max(workers, 1))
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
