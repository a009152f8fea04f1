#!/usr/bin/python3
"""The load of RTMP, against its yardstick and one that breaks its word."""

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
from benchlib import servers

HELLO, CHUNK = 1 + 2 * 1536, 60000
AUDIO, VIDEO, COMMAND = 8, 9, 20
STAMP = {VIDEO: 10, AUDIO: 2}  # where a message's number is


def run_load(port, *arguments):
    return subprocess.run(
        [servers.program("rtmp_load"), "--port", str(port), "--warmup", "0.2",
         "--seconds", "0.3", "--viewers", "3", "--timeout", "2", *arguments],
        capture_output=True, text=True, check=False, timeout=30)


class Message:
    """What the yardstick sends: fmt 0, and fmt 3 if it is long."""

    def __init__(self, header, body):
        self.header, self.body = header, body
        self.kind = header[7]

    def is_media(self):
        return self.kind in (AUDIO, VIDEO) and self.body[1] != 0

    def serial(self):
        return struct.unpack_from(">I", self.body, STAMP[self.kind])[0]

    def wire(self):
        size = len(self.body).to_bytes(3, "big")
        parts = [self.header[:4], size, self.header[7:]]
        for at in range(0, len(self.body), CHUNK):
            if at:
                parts.append(bytes([0xc0 | self.header[0]]))
            parts.append(self.body[at:at + CHUNK])
        return b"".join(parts)


class Breaker:
    """Stands before the yardstick, and has CHANGE(message) say what becomes
    of each message to a client: bytes, or None to hang up. ONLY: to the client
    that came as that one; the publisher is 0."""

    def __init__(self, test, change, greeting=None, only=None):
        self.change, self.greeting, self.only = change, greeting, only
        self.behind = servers.start("raw rtmp", "0")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        test.addCleanup(self.behind.stop)
        test.addCleanup(self.listener.close)

    def accept(self):
        try:
            for number in itertools.count():
                near, _ = self.listener.accept()
                change = self.change
                if self.only not in (None, number):
                    change = Message.wire
                far = socket.create_connection(
                    ("127.0.0.1", self.behind.port))
                for job in (self.upstream, self.downstream):
                    threading.Thread(target=job, args=[near, far, change],
                                     daemon=True).start()
        except OSError:
            return

    def upstream(self, near, far, _change):
        try:
            for data in iter(lambda: near.recv(65536), b""):
                far.sendall(data)
        except OSError:
            pass
        far.close()

    def downstream(self, near, far, change):
        try:
            with far.makefile("rb") as source:
                hello = source.read(HELLO)
                near.sendall(self.greeting or hello)
                while True:
                    changed = change(read_message(source))
                    if changed is None:
                        break
                    near.sendall(changed)
            near.shutdown(socket.SHUT_RDWR)  # close() would await upstream()
        except (OSError, EOFError, ValueError):
            pass
        near.close()


def read_message(source):
    header = source.read(12)
    if len(header) < 12:
        raise EOFError
    size = int.from_bytes(header[4:7], "big")
    body = source.read(min(size, CHUNK))
    while len(body) < size:
        source.read(1)
        body += source.read(min(size - len(body), CHUNK))
    return Message(header, body)


def at_audio(number, change):
    """CHANGE a viewer's sound of that NUMBER, and nothing else."""
    def handle(message):
        if message.is_media() and message.kind == AUDIO \
                and message.serial() == number:
            return change(message)
        return message.wire()
    return handle


class RtmpTest(unittest.TestCase):
    def refused(self, change, pattern, *arguments, **options):
        done = run_load(Breaker(self, change, **options).port, *arguments)
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertRegex(done.stderr, pattern)

    def test_the_yardstick_sends_all_in_order(self):
        for mode in ("0", "100"):
            server = servers.start("raw rtmp", mode)
            self.addCleanup(server.stop)
            for arguments in ([], ["--viewers", "40"], ["--chunk", "128"],
                              ["--rate", "20"]):
                with self.subTest(mode=mode, arguments=arguments):
                    done = run_load(server.port, "--pid",
                                    str(server.process.popen.pid), *arguments)
                    self.assertEqual("", done.stderr)
                    result = json.loads(done.stdout)
                    self.assertGreater(result["bytes"], 0)
                    self.assertIn("cpu_s_gb", result)

    def test_the_yardstick_takes_what_many_publish(self):
        server = servers.start("raw rtmp", "0")
        self.addCleanup(server.stop)
        done = run_load(server.port, "--viewers", "0", "--publishers", "20",
                        "--rate", "2", "--pid", str(server.process.popen.pid))
        self.assertEqual("", done.stderr)
        result = json.loads(done.stdout)
        self.assertAlmostEqual(20 * (30 + 44100 / 1024), result["rate"],
                               delta=200)
        self.assertIn("cpu_ms_publisher", result)

    def test_accepts_what_is_whole(self):
        done = run_load(Breaker(self, Message.wire).port)
        self.assertEqual("", done.stderr)
        self.assertEqual(3, json.loads(done.stdout)["viewers"])

    def test_refuses_a_server_that_drops_a_message(self):
        self.refused(at_audio(12, lambda _: b""), "kind 8, number 12 .* got 13")

    def test_refuses_a_server_that_drops_a_message_to_one_who_only_counts(self):
        self.refused(at_audio(20, lambda _: b""), "not all arrived", only=2)

    def test_refuses_a_server_that_sends_more_to_one_who_only_counts(self):
        self.refused(at_audio(20, lambda m: 2 * m.wire()),
                     "a viewer was sent \\d+ bytes, another", only=2)

    def test_refuses_a_message_that_comes_twice(self):
        self.refused(at_audio(12, lambda m: 2 * m.wire()),
                     "kind 8, number 13 .* got 12")

    def test_refuses_a_message_that_was_cut(self):
        def cut(message):
            message.body = message.body[:-1]
            return message.wire()
        self.refused(at_audio(12, cut), "number 12 of (\\d+) bytes expected")

    def test_refuses_a_time_that_is_not_the_publishers(self):
        def late(message):
            time = int.from_bytes(message.header[1:4], "big") + 1
            message.header = (message.header[:1] + time.to_bytes(3, "big")
                              + message.header[4:])
            return message.wire()
        self.refused(at_audio(12, late), "number 12 at \\d+ ms, not")

    def test_refuses_what_is_no_chunk(self):
        self.refused(at_audio(12, lambda _: b"\xff"),
                     "a chunk stream begins with fmt 3")

    def test_refuses_a_server_that_hangs_up(self):
        self.refused(at_audio(12, lambda _: None), "lost after \\d+ bytes")

    def test_refuses_a_server_that_loses_the_end(self):
        silent = []

        def handle(message):
            if message.is_media() and message.kind == VIDEO \
                    and message.serial() >= 5:
                silent.append(message)
            return message.wire() if not silent else b""
        self.refused(handle, "not all (arrived|publishers)|nothing arrived",
                     "--timeout", "1")

    def test_says_why_it_was_refused(self):
        def refuse(message):
            message.body = message.body.replace(b"NetStream.Play.Start",
                                                b"NetStream.Play.Break")
            return message.wire()
        self.refused(refuse, "refused: NetStream.Play.Break")

    def test_refuses_a_handshake_of_another_version(self):
        self.refused(Message.wire, "handshake of version 6",
                     greeting=b"\6" + bytes(HELLO - 1))


if __name__ == "__main__":
    unittest.main()
