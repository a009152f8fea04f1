#!/usr/bin/python3
"""The load generator, against servers that echo and servers that do not."""

import json
import os
import socket
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from benchlib import servers


def run_load(port, *arguments):
    return subprocess.run(
        [servers.program("load"), "--port", str(port), "--warmup", "0",
         "--seconds", "0.05", "--connections", "2", *arguments],
        capture_output=True, text=True, check=False)


class Peer:
    """A server that answers each read with ANSWER(data), None to hang up."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=[conn],
                             daemon=True).start()

    def serve(self, conn):
        with conn:
            try:
                for data in iter(lambda: conn.recv(65536), b""):
                    reply = self.answer(data)
                    if reply is None:
                        return
                    conn.sendall(reply)
            except OSError:
                return


class LoadTest(unittest.TestCase):
    def refused(self, answer, pattern, *arguments):
        done = run_load(Peer(answer).port, *arguments)
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertRegex(done.stderr, pattern)

    def test_counts_what_an_echo_returns_in_every_mode(self):
        server = servers.start("raw", "echo")
        self.addCleanup(server.stop)
        for mode in (["echo"], ["echo", "--depth", "16"],
                     ["framed", "--depth", "16"],
                     ["lines", "--depth", "3", "--size", "9"],
                     ["echo", "--size", "1000000", "--depth", "3"],
                     ["connclose"]):
            with self.subTest(mode=mode):
                done = run_load(server.port, "--pid",
                                str(server.process.popen.pid), "--mode",
                                *mode)
                self.assertEqual("", done.stderr)
                result = json.loads(done.stdout)
                self.assertGreater(result["messages"], 0)
                self.assertIn("cpu_us", result)

    def test_refuses_a_message_that_came_back_changed(self):
        def spoil(data):
            return data[:-1] + bytes([data[-1] ^ 1])
        self.refused(spoil, "message 0 came back changed: byte 63 of 64")
        self.refused(spoil, "came back changed", "--mode", "framed")
        self.refused(spoil, "came back changed", "--mode", "lines")
        self.refused(spoil, "came back changed", "--mode", "connclose")

    def test_refuses_bytes_that_it_did_not_send(self):
        self.refused(lambda data: data + b"x", "more than it was sent",
                     "--mode", "connclose")

    def test_refuses_a_server_that_hangs_up(self):
        self.refused(lambda data: None, "closed a connection|reset by peer")

    def test_refuses_a_server_that_keeps_silent(self):
        for mode in "echo", "connclose", "idle":
            self.refused(lambda data: b"", "no answer within 0.3 s",
                         "--mode", mode, "--timeout", "0.3")

    def test_refuses_a_server_that_keeps_the_last_byte(self):
        self.refused(lambda data: data[:-1], "no answer|came back changed",
                     "--timeout", "0.3")

    def test_says_who_does_not_listen(self):
        with socket.create_server(("127.0.0.1", 0)) as sock:
            port = sock.getsockname()[1]
        done = run_load(port)
        self.assertEqual(1, done.returncode)
        self.assertIn("connect to port %d: Connection refused" % port,
                      done.stderr)

    def test_says_which_process_is_gone(self):
        child = subprocess.Popen(["true"])
        child.wait()
        done = run_load(Peer(lambda data: data).port, "--pid", str(child.pid))
        self.assertIn("server process %d" % child.pid, done.stderr)

    def test_never_sends_a_message_twice(self):
        seen, lock = set(), threading.Lock()
        twice = []

        def collect(data):
            with lock:
                if data in seen:
                    twice.append(data)
                seen.add(data)
            return data
        for mode in "echo", "lines":
            done = run_load(Peer(collect).port, "--mode", mode)
            self.assertEqual("", done.stderr)
        self.assertEqual([], twice)
        self.assertGreater(len(seen), 4)

    def test_holds_idle_connections_until_its_input_ends(self):
        server = servers.start("raw", "echo")
        self.addCleanup(server.stop)
        with subprocess.Popen(
                [servers.program("load"), "--port", str(server.port),
                 "--mode", "idle", "--connections", "200"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
            self.assertEqual(b"ready\n", load.stdout.readline())
            descriptors = "/proc/%d/fd" % server.process.popen.pid
            self.assertGreaterEqual(len(os.listdir(descriptors)), 200)
            load.stdin.close()
            self.assertEqual(0, load.wait())

    def test_explains_a_wrong_command_line(self):
        for arguments, said in (
                (["--mode", "loud"], "no such mode: loud"),
                (["--depth", "x"], "--depth wants a number"),
                (["--mode", "connclose", "--depth", "2"], "one message per"),
                (["--mode", "lines", "--size", "3"], "8 or more"),
                (["more"], "unexpected argument: more")):
            done = run_load(1, *arguments)
            self.assertEqual(2, done.returncode)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
