#!/usr/bin/python3
"""Many viewers of one stream, and slow ones among them."""
import pathlib
import selectors
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import rtmp
from support.case import Case
from support.gateway import PATIENCE

VIEWERS = 300


def body(number, size):
    """A frame that says its NUMBER."""
    return struct.pack(">I", number) + bytes(size - 4)


def number_of(message):
    return struct.unpack_from(">I", message.body, 5)[0]


class Players(Case):
    def test_each_of_many_gets_all_in_order(self):
        gateway = self.gateway()
        viewers = [self.client(gateway).play("many") for _ in range(VIEWERS)]
        publisher = self.client(gateway).publish("many")
        publisher.headers()
        count = 200
        for i in range(count):
            wrap = rtmp.frame if i % 50 else rtmp.key_frame
            publisher.video(40 * i, wrap(body(i, 2000)))
        selector = selectors.DefaultSelector()
        got = {viewer: [] for viewer in viewers}
        for viewer in viewers:
            viewer.sock.setblocking(False)
            selector.register(viewer.sock, selectors.EVENT_READ, viewer)
        deadline = time.monotonic() + 4 * PATIENCE
        left = VIEWERS
        while left and time.monotonic() < deadline:
            for key, _ in selector.select(1):
                viewer = key.data
                for message in viewer.parser.feed(viewer.sock.recv(1 << 18)):
                    if message.kind == rtmp.VIDEO and message.body[1] == 1:
                        got[viewer].append(message)
                if len(got[viewer]) == count:
                    selector.unregister(viewer.sock)
                    left -= 1
        for messages in got.values():
            self.assertEqual([number_of(m) for m in messages],
                             list(range(count)))
            self.assertEqual([m.time for m in messages],
                             [40 * i for i in range(count)])

    def run_stream(self, publisher, others, seconds, first=0, size=12000):
        """Publish 25 frames a second for SECONDS, a key frame each second,
        while OTHERS read; the number of the next frame, and theirs."""
        got = [[] for _ in others]
        began = time.monotonic()
        number = first
        while time.monotonic() < began + seconds:
            wrap = rtmp.frame if number % 25 else rtmp.key_frame
            publisher.video(40 * number, wrap(body(number, size)))
            for viewer, list_ in zip(others, got):
                list_.append(number_of(viewer.next_video()))
            number += 1
            pause = began + (number - first) * 0.04 - time.monotonic()
            if pause > 0:
                time.sleep(pause)  # the pace of the stream itself
        return number, got

    def test_who_stops_reading_skips_to_a_key_frame_and_others_miss_nothing(
            self):
        gateway = self.gateway(lag=1000000, stall=60)
        publisher = self.client(gateway).publish("slow")
        publisher.headers()
        publisher.video(0, rtmp.key_frame(body(0, 12000)))
        slow = self.client(gateway, receive=20000).play("slow")
        others = [self.client(gateway).play("slow") for _ in range(3)]
        for viewer in [slow, *others]:
            self.assertEqual(number_of(viewer.next_video()), 0)
        number, got = self.run_stream(publisher, others, 10, first=1)
        for list_ in got:
            self.assertEqual(list_, list(range(1, number)))
        # It reads again, and the stream goes on.
        numbers, headers = [], 0
        publisher.video(40 * number, rtmp.key_frame(body(number, 12000)))
        while not numbers or numbers[-1] < number:
            message = slow.receive()
            if message.kind == rtmp.VIDEO and message.body[1] == 1:
                if numbers and number_of(message) != numbers[-1] + 1:
                    self.assertEqual(message.body[0] >> 4, 1, "a key frame")
                    self.assertGreater(number_of(message), numbers[-1])
                    headers += 1
                numbers.append(number_of(message))
        self.assertEqual(headers, 1)
        # Old frames are those that kernels had, not what the handler kept.
        self.assertLess(numbers.index(next(
            n for i, n in enumerate(numbers) if i and n != numbers[i - 1] + 1)),
            100)

    def test_who_takes_nothing_is_cut_off(self):
        gateway = self.gateway(stall=2, lag=200000)
        publisher = self.client(gateway).publish("stuck")
        publisher.headers()
        publisher.video(0, rtmp.key_frame(body(0, 12000)))
        stuck = self.client(gateway, receive=5000).play("stuck")
        other = self.client(gateway).play("stuck")
        self.assertEqual(number_of(other.next_video()), 0)
        _, got = self.run_stream(publisher, [other], 6, first=1, size=60000)
        self.assertEqual(got[0], list(range(1, len(got[0]) + 1)))
        gateway.await_line(r'rtmp connection ends.*reason=stalled')
        stuck.close()


if __name__ == "__main__":
    unittest.main(warnings="ignore")
