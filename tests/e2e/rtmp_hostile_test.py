#!/usr/bin/python3
"""What a hostile RTMP peer sends ends its own connection, and nothing else."""
import os
import pathlib
import socket
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import rtmp
from support.client import connect
from support.gateway import Gateway, until
from support.rtmp_pair import Pair

MB = 1 << 20


class Hostile(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway({"handler": "rtmp", "options": {
            "setup": 3, "publish_timeout": 3}}, log={"level": "debug"})
        self.addCleanup(self.gateway.close)
        self.pair = Pair(self.gateway.address())
        self.pair.__enter__()
        self.addCleanup(self.pair.__exit__)

    def client(self):
        client = rtmp.Client(self.gateway.address())
        self.addCleanup(client.close)
        return client

    def ends(self, sock, reason):
        """SOCK is ended, the log says why, and others are served on."""
        sock.settimeout(15)
        try:
            while sock.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        self.gateway.await_line(reason)
        self.pair.more()

    def send(self, sock, data):
        """All of DATA, or as much as the other end takes before it ends."""
        try:
            sock.sendall(data)
        except ConnectionError:
            pass

    def test_what_is_no_rtmp(self):
        for data, reason in ((b"GET / HTTP/1.1\r\n\r\n", "first byte 0x47"),
                             (b"\x16\x03\x01", "first byte 0x16"),
                             (b"\6" + bytes(1536), "RTMPE is not supported"),
                             (b"\3" + bytes(3072) + os.urandom(5000),
                              "connection failed")):
            with connect(self.gateway.address()) as sock:
                self.send(sock, data)
                self.ends(sock, reason)

    def test_amf_that_is_deep_or_large(self):
        for body, reason in (
                (rtmp.encode("connect", 1) + b"\3\0\1a" * 10000, "nested more"),
                (rtmp.encode("connect", 1) + b"\x0a\0\0\0\1" * 10000,
                 "nested more"),
                (rtmp.encode("connect", 1) + b"\5" * 60000, "more than 2000"),
                (rtmp.encode("connect", 1) + b"\x0a\xff\xff\xff\xff",
                 "a value is missing"),
                (rtmp.encode("connect", 1) + b"\x11\x09\xff\xff\xff\xff\1",
                 "missing")):
            client = self.client()
            self.send(client.sock, rtmp.chunks(rtmp.COMMAND, 0, 0, body))
            self.ends(client.sock, reason)

    def test_chunks_that_are_none(self):
        head = rtmp.chunks(rtmp.VIDEO, 0, 1, bytes(300), csid=6)[:140]
        size = struct.pack(">I", 2**31 - 1)
        for data, reason in (
                (rtmp.chunks(1, 0, 0, struct.pack(">I", 0), csid=2),
                 "chunks of 0 bytes"),
                (rtmp.chunks(1, 0, 0, struct.pack(">I", 1), csid=2),
                 "chunks of 1 bytes"),
                (b"\xc9", "begins with fmt 3"),
                (head + head, "a header has changed"),
                (rtmp.chunks(18, 0, 1, bytes(16 * MB - 1), size=16 * MB),
                 "kind 18 with 16777215 bytes"),
                (rtmp.chunks(1, 0, 0, size, csid=2) + b"\6" + bytes(3) +
                 b"\xff\xff\xff\x09" + bytes(4), "kind 9 with 16777215 bytes"),
                (b"".join(rtmp.chunks(8, 0, 1, b"", csid=csid)
                          for csid in range(3, 70)), "more than 64 chunk"),
                (b"".join(rtmp.chunks(8, 0, 1, b"", csid=csid)
                          for csid in range(65599, 65500, -1)),
                 "more than 64 chunk"),
                (rtmp.chunks(3, 0, 0, b"", csid=2), "control message of kind"),
                (rtmp.chunks(20, 0, 0, rtmp.encode(5)), "without a name"),
                (rtmp.chunks(20, 0, 0, rtmp.encode("play", 1)),
                 "before connect")):
            client = self.client()
            self.send(client.sock, data)
            self.ends(client.sock, reason)

    def test_what_is_declared_and_not_sent_costs_nothing(self):
        before = self.gateway.status("VmRSS")
        clients = [self.client() for _ in range(50)]
        for client in clients:
            client.send(1, 0, 0, struct.pack(">I", 2**31 - 1), csid=2)
            for csid in range(3, 63):  # 8 MB each
                client.sock.sendall(bytes([csid, 0, 0, 0, 0x7f, 0xf0, 0, 9,
                                           1, 0, 0, 0]) + b"v")
        self.pair.more()
        self.assertLess(self.gateway.status("VmRSS") - before, 40_000)  # KB
        # And what is sent is bounded: 16 MB of halves.
        client = self.client()
        client.send(1, 0, 0, struct.pack(">I", 8000000), csid=2)
        for csid in (6, 7, 8):
            self.send(client.sock, bytes([csid, 0, 0, 0, 0x7f, 0xf0, 0, 9, 1, 0,
                                          0, 0]) + bytes(8000000))
        self.ends(client.sock, "bytes of unfinished messages")

    def test_who_says_nothing(self):
        with connect(self.gateway.address()) as sock:
            sock.sendall(b"\3abc")
            client = self.client()
            silent = self.client().publish("silent")
            self.ends(client.sock, "neither published nor played")
            self.ends(silent.sock, 'reason="no media"')
            self.ends(sock, "code=timeout")

    def test_garbage_at_every_stage(self):
        for stage in ("greeted", "connected", "publishing", "playing"):
            for seed in range(10):
                client = self.client()
                if stage == "connected":
                    client.open()
                elif stage == "publishing":
                    client.publish(f"garbage{seed}")
                elif stage == "playing":
                    client.play("pair")
                data = bytearray(os.urandom(20000))
                self.send(client.sock, data)
                try:
                    client.sock.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                until(lambda: self.is_over(client.sock), "the end")
        self.pair.more()

    def is_over(self, sock):
        sock.settimeout(5)
        try:
            return not sock.recv(1 << 20)
        except ConnectionError:
            return True

    def test_a_flood_of_small_messages_does_not_stop_others(self):
        client = self.client().publish("flood")
        data = rtmp.chunks(8, 0, 1, b"\xaf\1a", csid=4) * 20000
        for _ in range(20):
            client.sock.sendall(data)
        self.pair.more()


if __name__ == "__main__":
    unittest.main(warnings="ignore")
