#!/usr/bin/python3
"""The load of fan-out, against publishers that keep their word and that do
not, and the yardsticks of fan-out and proxies."""

import itertools
import json
import socket
import struct
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from benchlib import processes, servers

SIZE, PACE = 100, 0.002


def run_load(port, *arguments):
    return subprocess.run(
        [servers.program("fanout_load"), "--port", str(port), "--warmup",
         "0", "--seconds", "0.05", "--followers", "3", "--size", str(SIZE),
         "--rate", "200", "--timeout", "0.5", *arguments],
        capture_output=True, text=True, check=False)


def blob(sequence, size=SIZE):
    return struct.pack(">IId", size, sequence, 0.0) + b"x" * (size - 16)


class Publisher:
    """Sends BLOBS one by one to all followers from when it is told to publish
    until it is told to stop, then claims to have sent MORE than it has."""

    def __init__(self, blobs, more=0, ok=b"ok\n"):
        self.blobs, self.more, self.ok = blobs, more, ok
        self.followers = []
        self.stopping = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            conn, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=[conn],
                             daemon=True).start()

    def serve(self, conn):
        try:
            for line in conn.makefile():
                if line == "stop\n":
                    self.stopping.set()
                    continue
                conn.sendall(self.ok)
                if line.startswith("follow"):
                    self.followers.append(conn)
                else:
                    threading.Thread(target=self.publish, args=[conn],
                                     daemon=True).start()
        except OSError:
            return

    def publish(self, conn):
        sent = 0
        try:
            for sent, data in enumerate(self.blobs, 1):
                for follower in self.followers:
                    follower.sendall(data)
                if self.stopping.wait(PACE):
                    break
            self.stopping.wait()
            conn.sendall(b"stopped %d\n" % (sent + self.more))
        except OSError:
            return


class FanoutTest(unittest.TestCase):
    def refused(self, publisher, pattern):
        done = run_load(publisher.port)
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertRegex(done.stderr, pattern)

    def whole(self, **options):
        return Publisher(map(blob, itertools.count()), **options)

    def test_the_yardstick_sends_every_blob_in_order(self):
        server = servers.start("raw fanout", "")
        self.addCleanup(server.stop)
        for arguments in ([], ["--merge", "20"], ["--followers", "40"],
                          ["--size", "300000", "--rate", "100"],
                          ["--size", "16"]):
            with self.subTest(arguments=arguments):
                done = run_load(server.port, "--pid",
                                str(server.process.popen.pid), *arguments)
                self.assertEqual("", done.stderr)
                result = json.loads(done.stdout)
                self.assertGreater(result["bytes"], 0)
                self.assertIn("cpu_s_gb", result)

    def test_the_yardstick_of_proxies_carries_bytes_and_ends(self):
        server = servers.start("raw proxy", "")
        self.addCleanup(server.stop)
        for arguments in (["--size", "64"], ["--size", "1000000"],
                          ["--mode", "connclose"]):
            done = subprocess.run(
                [servers.program("load"), "--port", str(server.port),
                 "--seconds", "0.05", "--warmup", "0", *arguments],
                capture_output=True, text=True, check=False)
            self.assertEqual("", done.stderr)
        self.assertIsNone(server.process.popen.poll())

    def test_accepts_what_is_whole(self):
        done = run_load(self.whole().port)
        self.assertEqual("", done.stderr)
        self.assertEqual(3, json.loads(done.stdout)["followers"])

    def test_refuses_a_publisher_that_lost_the_last_blob(self):
        self.refused(self.whole(more=1), "nothing arrived for 0.5 s")

    def test_refuses_a_blob_out_of_order(self):
        self.refused(Publisher(map(blob, [0, 1, 3, 2])),
                     "blob 2 of 100 bytes expected, got blob 3")

    def test_refuses_a_blob_of_another_size(self):
        self.refused(Publisher([blob(0), blob(1, 90)]), "got blob 1 of 90")

    def test_refuses_a_publisher_that_says_no(self):
        self.refused(self.whole(ok=b"no\n"), "no ok to: follow")

    def test_says_that_nothing_arrives(self):
        self.refused(Publisher([]), "nothing arrived for 0.5 s")


class ProcessTest(unittest.TestCase):
    def test_finish_says_what_a_child_said_and_how_it_failed(self):
        good = processes.Process(["echo", "well"])
        self.addCleanup(good.stop)
        self.assertEqual("well\n", good.finish())
        bad = processes.Process(["sh", "-c", "echo ill; exit 3"])
        self.addCleanup(bad.stop)
        self.assertRaisesRegex(processes.Failure, "ill", bad.finish)


if __name__ == "__main__":
    unittest.main()
