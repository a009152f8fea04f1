#!/usr/bin/python3
"""One stream in several workers: what viewers get where its publisher is not,
and when workers die or the gateway stops."""
import os
import pathlib
import signal
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import rtmp, rtmp_wire as wire
from support.gateway import Gateway, until

OTHER_HEADER = rtmp.VIDEO_HEADER[:-1] + b"!"
MOST = (1 << 24) - 1


class Workers(unittest.TestCase):
    def start(self, thing):
        self.addCleanup(thing.close)
        return thing

    def setUp(self):
        self.gateway = self.start(Gateway(
            {"handler": "rtmp", "options": {
                "lag": 1000000, "stall": 60, "grace": 10}},
            workers=2, log={"level": "debug"}))

    def worker_of(self, client, verb):
        """The worker that serves CLIENT, who has begun to publish or play."""
        peer = "%s:%d" % client.sock.getsockname()
        return int(self.gateway.await_line(
            rf" {verb} worker=(\d) .*peer={peer} ").group(1))

    def client(self, worker, verb, name="x", **options):
        """One that publishes or plays in WORKER; others are let go."""
        while True:
            client = rtmp.Client(self.gateway.address(), **options)
            getattr(client, verb)(name)
            if self.worker_of(client, verb + "ing") == worker:
                return self.start(client)
            client.command(1, "closeStream", None)
            client.close()

    def publisher(self, worker, name="x"):
        """The same, found under another name."""
        while True:
            client = rtmp.Client(self.gateway.address()).open()
            client.command(1, "publish", None, "probe", "live")
            client.status("NetStream.Publish.Start")
            here = self.worker_of(client, "publishing")
            if here == worker:
                client.command(1, "publish", None, name, "live")
                client.status("NetStream.Publish.Start")
                return self.start(client)
            client.close()

    def viewers(self, name="x", **options):
        """One in each worker."""
        return [self.client(worker, "play", name, **options)
                for worker in (1, 2)]

    def kill(self, slot):
        """End the worker in SLOT the hard way."""
        pid = sorted(self.gateway.workers())[slot - 1]
        os.kill(pid, signal.SIGKILL)

    def test_new_headers_reach_viewers_before_what_needs_them(self):
        early = self.viewers()
        publisher = self.publisher(1)
        publisher.headers()
        frames = [rtmp.VIDEO_HEADER, rtmp.key_frame(b"old"), rtmp.frame(b"1"),
                  OTHER_HEADER, rtmp.key_frame(b"new"), rtmp.frame(b"2")]
        for i in 0, 3:
            for body in frames[i or 1:i + 3]:
                publisher.video(40 * i, body)
            for viewer in early:
                got = [viewer.until(lambda m: m.kind == rtmp.VIDEO).body
                       for _ in range(3)]
                self.assertEqual(got, frames[i:i + 3])
        for viewer in self.viewers():
            self.assertEqual([viewer.until(lambda m: m.kind == rtmp.VIDEO).body
                              for _ in range(3)],
                             [OTHER_HEADER, *frames[4:]])

    def test_who_skips_past_a_new_header_is_given_it(self):
        slow = self.viewers(receive=20000)
        fast = self.viewers()
        publisher = self.publisher(2)
        publisher.sock.sendall(wire.chunk_size(MOST))
        publisher.headers()
        numbers, last = range(400), 399

        def send(number, wrap):
            publisher.sock.sendall(wire.message(
                0, 6, wrap(struct.pack(">I", number) * 5000), 40 * number,
                size=MOST))
        for number in numbers:
            if number == 200:
                publisher.video(40 * number, OTHER_HEADER)
            send(number, rtmp.frame if number % 25 else rtmp.key_frame)
            for viewer in fast:
                body = viewer.next_video().body
                self.assertEqual(body[5:9], struct.pack(">I", number))
        for viewer in slow:
            header, skipped, before = None, 0, -1
            while before < last:
                message = viewer.until(lambda m: m.kind == rtmp.VIDEO)
                if message.body[1] == 0:
                    header = message.body
                    continue
                number = struct.unpack_from(">I", message.body, 5)[0]
                self.assertEqual(header, rtmp.VIDEO_HEADER if number < 200
                                 else OTHER_HEADER)
                if number != before + 1:
                    self.assertEqual(message.body[0], 0x17)
                    skipped += 1
                before = number
            self.assertGreater(skipped, 0)

    def test_viewers_go_on_when_the_publishers_worker_dies(self):
        viewer = self.client(2, "play")
        publisher = self.publisher(1)
        publisher.headers()
        for i in range(60):  # in real time: what workers know is a second old
            publisher.video(40 * i, rtmp.key_frame(b"%d" % i))
            before = viewer.next_video()
            time.sleep(0.04)
        self.assertEqual(before.body, rtmp.key_frame(b"59"))
        self.kill(1)
        self.assertRaises((ConnectionError, AssertionError),
                          lambda: publisher.until(lambda m: False))
        again = self.client(2, "publish")
        again.headers()
        again.video(0, rtmp.key_frame(b"after"))
        after = viewer.next_video()
        self.assertEqual(after.body, rtmp.key_frame(b"after"))
        self.assertGreater(after.time, before.time)

    def test_viewers_hear_of_the_end_when_the_gateway_stops(self):
        viewers = self.viewers()
        publisher = self.publisher(1)
        publisher.headers()
        publisher.video(0, rtmp.key_frame(b"k"))
        for viewer in viewers:
            viewer.next_video()
        self.gateway.signal(signal.SIGTERM)
        for viewer in viewers:
            viewer.status("NetStream.Play.UnpublishNotify")
            until(lambda: viewer.receive() is None, "the end")
        self.assertEqual(self.gateway.wait(), 0)

    def test_a_late_picture_comes_at_once_in_any_worker(self):
        publisher = self.publisher(1)
        publisher.sock.sendall(wire.chunk_size(MOST))
        publisher.headers()
        for i in range(25):
            wrap = rtmp.frame if i else rtmp.key_frame
            publisher.sock.sendall(wire.message(
                0, 6, wrap(struct.pack(">I", i) * 5000), 40 * i, size=MOST))
        took = {1: [], 2: []}
        while min(map(len, took.values())) < 10:
            began = time.perf_counter()
            viewer = rtmp.Client(self.gateway.address()).play("x")
            picture = viewer.next_video()
            seconds = time.perf_counter() - began
            self.assertEqual(picture.body[:9], b"\x17\1\0\0\0\0\0\0\0")
            took[self.worker_of(viewer, "playing")].append(seconds)
            viewer.close()
        for worker, list_ in took.items():
            print(f"from connect to a picture, in worker {worker}: median "
                  f"{1000 * sorted(list_)[len(list_) // 2]:.2f} ms, "
                  f"worst {1000 * max(list_):.2f} ms")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
