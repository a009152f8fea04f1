#!/usr/bin/python3
"""Peers that would have the gateway work, or keep, more than their share."""
import pathlib
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import rtmp, rtmp_wire as wire
from support.client import connect, reset
from support.gateway import Gateway, until
from support.rtmp_pair import Pair

MOST = (1 << 24) - 1  # bytes of a chunk, and of a message


class Floods(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway({"handler": "rtmp"}, log={"level": "info"})
        self.addCleanup(self.gateway.close)
        self.pair = Pair(self.gateway.address())
        self.pair.__enter__()
        self.addCleanup(self.pair.__exit__)
        self.before = self.gateway.status("VmRSS")

    def client(self, **options):
        client = rtmp.Client(self.gateway.address(), **options)
        self.addCleanup(client.close)
        return client

    def publisher(self, name, chunk_size=MOST):
        publisher = self.client().publish(name)
        publisher.sock.sendall(wire.chunk_size(chunk_size))
        return publisher

    def grown(self):
        """Megabytes by which the gateway has grown."""
        return (self.gateway.status("VmRSS") - self.before) / 1024

    def answers(self, client, number=1):
        """CLIENT has been heard up to here."""
        client.sock.sendall(wire.event(6, number))
        client.until(lambda m: m.kind == 4 and
                     m.body == struct.pack(">HI", 7, number))

    def stuffs(self, sock, data, most):
        """Send DATA again and again, until it is not taken any more: the
        number of bytes."""
        sock.settimeout(1)
        count = 0
        while count < most:
            try:
                count += sock.send(data)
            except (TimeoutError, ConnectionError):
                return count
        raise AssertionError(f"{count} bytes were taken")

    def test_who_asks_and_reads_no_answer_is_read_no_more(self):
        for data in (wire.event(6, 1) * 1000,
                     wire.command(0, "getStreamLength", 3, None, "x") * 1000,
                     wire.command(0, "nothing", 3, None) * 1000):
            client = self.client(receive=4096).open()
            self.stuffs(client.sock, data, 1 << 25)
            self.pair.more()
        self.assertLess(self.grown(), 30)

    def test_messages_of_nothing(self):
        publisher = self.publisher("nothing")
        for _ in range(10):
            publisher.sock.sendall(wire.message(0, 7, b"", kind=8) +
                                   wire.basic(3, 7) * 100000)
        self.answers(publisher)
        self.pair.more()
        self.assertLess(self.grown(), 30)

    def test_aggregates_of_nothing_and_of_pings(self):
        publisher = self.publisher("parts")
        empty = wire.aggregate([(8, i, b"") for i in range(30000)])
        pings = wire.aggregate([(4, 0, b"\0\6\0\0\0\0")] * 1000)
        for body in (empty, pings):
            publisher.sock.sendall(wire.message(
                0, 7, body, kind=wire.AGGREGATE, size=MOST))
        self.answers(publisher)
        self.pair.more()
        self.assertLess(self.grown(), 30)

    def test_aggregates_in_aggregates_are_no_more_than_one(self):
        publisher = self.publisher("nested")
        body = wire.aggregate([(8, 0, rtmp.sound(b"a"))])
        for _ in range(1000):
            body = wire.aggregate([(wire.AGGREGATE, 0, body)])
        publisher.sock.sendall(wire.message(
            0, 7, body, kind=wire.AGGREGATE, size=MOST))
        self.answers(publisher)
        self.pair.more()

    def test_metadata_that_is_deep_or_torn_harms_nobody(self):
        viewer = self.client().play("meta")
        publisher = self.publisher("meta")
        publisher.video(0, rtmp.key_frame(b"first"))
        viewer.next_video()
        name = rtmp.encode("@setDataFrame", "onMetaData")
        for meta in (b"\3\0\1a" * 10000, b"\x0a\xff\xff\xff\xff\5",
                     b"\x08\0\0\0\2\0\1a", b"\3\0\5abc", b"\x10\0\1x", b"\x11",
                     b"\x0d\x0e\x12\xff"):
            publisher.sock.sendall(wire.message(0, 4, name + meta, kind=18,
                                                size=MOST))
        publisher.video(40, rtmp.frame(b"last"))
        self.assertEqual(viewer.next_video().body, rtmp.frame(b"last"))
        self.pair.more()

    def test_many_viewers_that_take_nothing_share_what_is_kept(self):
        publisher = self.publisher("heavy")
        publisher.headers()
        viewers = [self.client(receive=4096).play("heavy") for _ in range(100)]
        for i in range(400):
            wrap = rtmp.frame if i % 25 else rtmp.key_frame
            publisher.sock.sendall(wire.message(
                0, 6, wrap(struct.pack(">I", i) * 25000), 40 * i, size=MOST))
        self.answers(publisher)
        self.pair.more()
        self.assertLess(self.grown(), 60)  # a copy for each would be 400
        for viewer in viewers:
            reset(viewer.sock)

    def test_what_is_kept_for_late_viewers_is_bounded(self):
        publisher = self.publisher("long")
        publisher.headers()
        publisher.video(0, rtmp.key_frame(b"long ago"))
        for i in range(100):  # a hundred megabytes, and no key frame
            publisher.sock.sendall(wire.message(
                0, 6, rtmp.frame(bytes(1 << 20)), i, size=MOST))
        self.answers(publisher)
        self.assertLess(self.grown(), 40)
        late = self.client().play("long")
        publisher.video(200, rtmp.frame(b"between"))
        publisher.video(240, rtmp.key_frame(b"now"))
        self.assertEqual(late.until(lambda m: m.kind == rtmp.VIDEO).body,
                         rtmp.VIDEO_HEADER)
        self.assertEqual(late.next_video().body, rtmp.key_frame(b"now"))

    def test_streams_that_end_are_forgotten(self):
        for name in range(12):
            publisher = self.publisher(f"ends{name}")
            for i in range(8):
                wrap = rtmp.frame if i else rtmp.key_frame
                publisher.sock.sendall(wire.message(
                    0, 6, wrap(bytes(1000000)), i, size=MOST))
            self.answers(publisher)
            publisher.sock.sendall(wire.command(1, "closeStream", 0, None))
            publisher.status("NetStream.Unpublish.Success")
            publisher.close()
        self.assertLess(self.grown(), 40)  # they were 96

    def test_sequence_headers_without_end(self):
        publisher = self.publisher("headers")
        for track in range(200):
            publisher.sock.sendall(wire.message(
                0, 6, b"\x96\x10avc1" + bytes([track]) + bytes(100000),
                size=MOST))
        self.answers(publisher)
        self.pair.more()
        self.assertLess(self.grown(), 40)

    def test_names_for_the_log_are_neither_long_nor_many_lines(self):
        client = self.client()
        client.sock.sendall(wire.chunk_size(MOST) + wire.command(
            0, "connect", 1, {"app": "live", "flashVer": "A" * 60000 +
                              "\ninfo  forged"}, size=MOST))
        client.result(1)
        client.command(0, "createStream", None)
        client.command(1, "play", None, "x" * 100)
        self.gateway.await_line(" playing .*stream=live/xxx")
        line = max(filter(None, self.gateway.lines), key=len)
        self.assertLess(len(line), 5000)
        self.assertEqual(self.gateway.count("^info  forged"), 0)
        for name in ("x" * 1000, "new\nline", ""):
            other = self.client().open()
            other.command(1, "play", None, name)
            other.status("NetStream.Play.StreamNotFound")
            self.assertIsNone(other.receive())
        self.pair.more()

    def test_who_comes_and_goes_leaves_nothing(self):
        descriptors = self.gateway.descriptors()
        for _ in range(5):
            socks = [connect(self.gateway.address()) for _ in range(200)]
            for i, sock in enumerate(socks):
                sock.sendall(b"\3" + bytes(1536 if i % 2 else 100))
                if i % 3:
                    reset(sock)
                else:
                    sock.close()
            self.pair.more()
        until(lambda: self.gateway.descriptors() <= descriptors,
              "the end of them")
        self.assertLess(self.grown(), 30)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
