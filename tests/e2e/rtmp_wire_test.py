#!/usr/bin/python3
"""What publishers make of RTMP's chunks, and what viewers get of it."""
import pathlib
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import rtmp, rtmp_wire as wire
from support.gateway import Gateway
from support.rtmp import AUDIO, DATA, VIDEO, frame, key_frame, sound

MEDIA = (AUDIO, VIDEO, DATA)
WINDOW = 2500000


def body(text, size):
    """A frame that begins with TEXT and has no two chunks alike."""
    count = size // 4 + 1
    return frame(text + struct.pack(f">{count}I", *range(count)))[:size]


class Wire(unittest.TestCase):
    pairs = 0

    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway({"handler": "rtmp"}, log={"level": "debug"})
        cls.addClassCleanup(cls.gateway.close)

    def start(self, client):
        self.addCleanup(client.close)
        return client

    def client(self, **options):
        return self.start(rtmp.Client(self.gateway.address(), **options))

    def pair(self):
        """A publisher, and a viewer who has seen its first key frame."""
        Wire.pairs += 1
        name = f"pair{Wire.pairs}"
        viewer = self.client().play(name)
        publisher = self.client().publish(name)
        publisher.headers()
        publisher.video(0, key_frame(b"first"))
        viewer.next_video()
        return publisher, viewer

    def media(self, viewer, count):
        """The next COUNT messages of media: (kind, time, body)."""
        got = []
        while len(got) < count:
            message = viewer.until(lambda m: m.kind in MEDIA)
            got.append((message.kind, message.time, message.body))
        return got

    def passes(self, data, *want, pair=None):
        """What a publisher sends as DATA comes as WANT, and nothing else."""
        publisher, viewer = pair or self.pair()
        publisher.sock.sendall(data)
        publisher.send(AUDIO, 5, 1, sound(b"last"), csid=63)
        self.assertEqual(self.media(viewer, len(want) + 1),
                         [*want, (AUDIO, 5, sound(b"last"))])
        return publisher, viewer

    def test_fmt_3_after_fmt_0_adds_its_time_again(self):
        b = [frame(b"%d" % i) for i in range(4)]
        self.passes(
            wire.message(0, 7, b[0], 26) + wire.message(3, 7, b[1][:6]) +
            wire.message(1, 7, b[2], 10) + wire.message(3, 7, b[3]),
            (VIDEO, 26, b[0]), (VIDEO, 52, b[1]), (VIDEO, 62, b[2]),
            (VIDEO, 72, b[3]))

    def test_fmt_2_keeps_size_and_kind(self):
        one, two = sound(b"11"), sound(b"22")
        self.passes(
            wire.message(0, 9, one, 100, kind=AUDIO) +
            wire.message(2, 9, two, 23) + wire.message(3, 9, one),
            (AUDIO, 100, one), (AUDIO, 123, two), (AUDIO, 146, one))

    def test_fmt_1_may_open_a_chunk_stream(self):
        # On message stream 0, which is nobody's: it is passed over.
        self.passes(wire.message(1, 40, frame(b"x"), 5) +
                    wire.message(0, 40, frame(b"y"), 7) +
                    wire.message(1, 40, frame(b"zz"), 7),
                    (VIDEO, 7, frame(b"y")), (VIDEO, 14, frame(b"zz")))

    def test_extended_times_are_repeated_or_not(self):
        for stamp in (0xFFFFFE, 0xFFFFFF, 0x1000000, 2**31 + 5, 2**32 - 1):
            for repeat in (True, False):
                with self.subTest(stamp=stamp, repeat=repeat):
                    b = body(b"%x" % stamp, 700)
                    self.passes(wire.message(0, 7, b, stamp, repeat=repeat),
                                (VIDEO, stamp, b))

    def test_a_body_may_look_like_the_extended_time_that_is_not_repeated(self):
        b = body(b"?", 128 * 2) + struct.pack(">I", 0x1000000)[:3] + b"!"
        self.passes(wire.message(0, 7, b, 0x1000000, repeat=False),
                    (VIDEO, 0x1000000, b))

    def test_a_tail_shorter_than_an_extended_time(self):
        for size in (129, 130, 131, 132):
            for repeat in (True, False):
                b = body(b"tail", size)
                self.passes(wire.message(0, 7, b, 0x1000000, repeat=repeat),
                            (VIDEO, 0x1000000, b))

    def test_an_extended_delta_is_a_delta(self):
        b = [frame(b"%d" % i) for i in range(4)]
        self.passes(
            wire.message(0, 7, b[0], 11000) +
            wire.message(1, 7, b[1], 0xfffc18, extended=True) +
            wire.message(2, 7, b[2], 0x1000000) +
            wire.message(3, 7, b[3], 0x1000000),
            (VIDEO, 11000, b[0]), (VIDEO, 16787216, b[1]),
            (VIDEO, 16787216 + 0x1000000, b[2]),
            (VIDEO, 16787216 + 0x2000000, b[3]))

    def test_a_header_that_is_not_extended_ends_the_extension(self):
        one, two = body(b"one", 300), body(b"two", 300)
        self.passes(
            wire.message(0, 7, one, 0x1000000) + wire.message(1, 7, two, 1) +
            wire.message(3, 7, one),
            (VIDEO, 0x1000000, one), (VIDEO, 0x1000001, two),
            (VIDEO, 0x1000002, one))

    def test_times_wrap(self):
        b = [frame(b"%d" % i) for i in range(3)]
        self.passes(
            wire.message(0, 7, b[0], 2**32 - 10) +
            wire.message(1, 7, b[1], 40) + wire.message(2, 7, b[2], 40),
            (VIDEO, 2**32 - 10, b[0]), (VIDEO, 30, b[1]), (VIDEO, 70, b[2]))

    def test_audio_inside_a_split_video(self):
        video = body(b"video", 1000)
        audio = [sound(b"%d" % i * 60) for i in range(7)]
        self.passes(
            wire.interleave(
                wire.pieces(0, 6, video, 80),
                [wire.message(0 if i == 0 else 1, 4, a, 70 if i == 0 else 3,
                              kind=AUDIO) for i, a in enumerate(audio)]),
            *((AUDIO, 70 + 3 * i, a) for i, a in enumerate(audio)),
            (VIDEO, 80, video))

    def test_many_halves_under_way_at_a_time(self):
        bodies = [body(b"%d" % i, 640 + i) for i in range(40)]
        self.passes(
            wire.interleave(*(wire.pieces(0, 10 + i, b, i, stream=1)
                              for i, b in enumerate(bodies))),
            *((VIDEO, i, b) for i, b in enumerate(bodies)))

    def test_chunk_stream_ids_in_all_their_forms(self):
        want, data = [], b""
        for csid, size in ((3, 1), (63, 1), (64, 2), (319, 2), (64, 3),
                           (320, 3), (400, 3), (65599, 3)):
            b = body(b"%d %d" % (csid, size), 300)
            data += wire.message(0, csid, b, csid, basic_size=size)
            want.append((VIDEO, csid, b))
        self.passes(data, *want)

    def test_a_chunk_stream_id_is_one_whatever_its_form(self):
        b = body(b"forms", 300)
        parts = wire.pieces(0, 64, b, 9, basic_size=2)
        parts[1] = wire.basic(3, 64, 3) + parts[1][2:]
        self.passes(b"".join(parts), (VIDEO, 9, b))

    def test_a_chunk_size_that_changes_inside_a_message(self):
        b = body(b"sizes", 3000)
        cuts = wire.cut(b[:256]) + wire.cut(b[256:1256], 1000) + [b[1256:]]
        self.passes(
            wire.head(0, 7, 3, len(b)) + cuts[0] + wire.basic(3, 7) + cuts[1] +
            wire.chunk_size(1000) + wire.basic(3, 7) + cuts[2] +
            wire.chunk_size(2**31 - 1) + wire.basic(3, 7) + cuts[3],
            (VIDEO, 3, b))

    def test_large_chunk_sizes_are_taken(self):
        for size in (65536, 134217728, 2**31 - 1):
            b = body(b"large", 200000)
            self.passes(wire.chunk_size(size) +
                        wire.message(0, 7, b, 3, size=size) +
                        wire.chunk_size(128), (VIDEO, 3, b))

    def test_an_abort_forgets_half_a_message(self):
        one, two = body(b"one", 500), body(b"two", 90)
        self.passes(
            b"".join(wire.pieces(0, 7, one, 10)[:2]) + wire.abort(7) +
            wire.abort(7) + wire.abort(50) +
            wire.message(1, 7, two, 20) + wire.message(0, 7, one, 50),
            (VIDEO, 30, two), (VIDEO, 50, one))

    def test_a_repeated_header_inside_a_message_is_harmless(self):
        b = body(b"again", 300)
        parts = wire.cut(b)
        self.passes(
            wire.head(0, 7, 10, 300) + parts[0] + wire.head(1, 7, 0, 300) +
            parts[1] + wire.basic(3, 7) + parts[2], (VIDEO, 10, b))

    def test_empty_messages(self):
        self.passes(
            wire.message(0, 4, b"", 10, kind=AUDIO) + wire.message(3, 4, b"") +
            wire.message(0, 6, b"\x57\0", 10), (AUDIO, 10, b""),
            (AUDIO, 20, b""), (VIDEO, 10, b"\x57\0"))

    def test_an_aggregate_is_its_parts(self):
        parts = [(VIDEO, 5000, frame(b"a")), (AUDIO, 5020, sound(b"b" * 300)),
                 (AUDIO, 5030, b""), (VIDEO, 0x1001388, frame(b"c"))]
        self.passes(
            wire.message(0, 7, wire.aggregate(parts), 100, kind=wire.AGGREGATE),
            (VIDEO, 100, parts[0][2]), (AUDIO, 120, parts[1][2]),
            (AUDIO, 130, b""), (VIDEO, 100 + 0x1000000, parts[3][2]))

    def test_frames_of_megabytes_in_small_chunks(self):
        frames = [body(b"%d" % i, 1 << 20) for i in range(3)]
        self.passes(b"".join(wire.message(0, 7, b, 40 * i)
                             for i, b in enumerate(frames)),
                    *((VIDEO, 40 * i, b) for i, b in enumerate(frames)))

    def test_metadata_in_amf3_messages(self):
        meta = rtmp.encode("onMetaData", {"width": 320.0})
        self.passes(wire.message(0, 8, b"\0" + rtmp.encode("@setDataFrame") +
                                 meta, 0, kind=wire.AMF3_DATA),
                    (DATA, 0, meta))

    def test_byte_by_byte(self):
        publisher, viewer = self.pair()
        b = body(b"slow", 300)
        data = (wire.message(0, 400, b, 0x1000000) + wire.chunk_size(200) +
                wire.message(1, 400, b, 1, size=200))
        for byte in data:
            publisher.sock.sendall(bytes([byte]))
        self.passes(b"", (VIDEO, 0x1000000, b), (VIDEO, 0x1000001, b),
                    pair=(publisher, viewer))

    def test_bytes_are_acknowledged_unasked_and_as_asked(self):
        publisher = self.client().publish("acks")
        publisher.headers()
        b = body(b"bytes", 50000)
        piece = wire.message(0, 7, b)

        def next_ack(most):
            """Send until one comes: what it says."""
            for _ in range(most // len(piece) + 2):
                publisher.sock.sendall(piece)
                publisher.send(4, 0, 0, struct.pack(">HI", 6, 1), csid=2)
                while True:
                    message = publisher.receive()
                    if message.kind == 3:
                        return struct.unpack(">I", message.body)[0]
                    if message.body == struct.pack(">HI", 7, 1):
                        break
            raise AssertionError("no acknowledgement")
        first, second = next_ack(WINDOW), next_ack(WINDOW)
        self.assertLessEqual(first, WINDOW)
        self.assertLessEqual(second - first, WINDOW)
        self.assertGreater(second - first, WINDOW // 2 - len(piece))
        publisher.sock.sendall(wire.control(5, 200000))
        third = next_ack(WINDOW)
        self.assertLessEqual(next_ack(WINDOW) - third, 200000)

    def test_pings_are_answered_and_unknown_events_passed_over(self):
        client = self.client().open()
        client.sock.sendall(
            wire.event(26) + wire.event(31, 1) + wire.event(32, 1, 2) +
            wire.event(3, 1, 3000) + wire.message(0, 2, b"\0", kind=4,
                                                  stream=0) +
            wire.event(6, 0xfffffffe))
        answer = client.until(lambda m: m.kind == 4)
        self.assertEqual(answer.body, struct.pack(">HI", 7, 0xfffffffe))

    def test_acknowledgements_and_buffer_lengths_in_short_headers(self):
        # A second SetBuffer as a fmt 3 that opens a message, as librtmp does.
        client = self.client().open()
        body_ = struct.pack(">HII", 3, 1, 3000)
        client.sock.sendall(
            wire.message(0, 2, body_, kind=4, stream=0) +
            wire.message(3, 2, body_) +
            wire.message(1, 2, struct.pack(">I", 5000), kind=3) +
            wire.message(2, 2, struct.pack(">I", 6000)) +
            wire.message(3, 2, struct.pack(">I", 7000)) +
            wire.event(6, 77))
        answer = client.until(lambda m: m.kind == 4)
        self.assertEqual(answer.body, struct.pack(">HI", 7, 77))

    def test_a_whole_conversation_in_one_piece(self):
        viewer = self.client().play("piece")
        sock = rtmp.connect(self.gateway.address())
        self.addCleanup(sock.close)
        b = key_frame(b"k" * 1000)
        sock.sendall(
            b"\3" + bytes(3072) + wire.chunk_size(4096) +
            wire.command(0, "connect", 1, {"app": "live"}) +
            wire.command(0, "createStream", 2, None) +
            wire.command(1, "publish", 3, None, "piece", "live") +
            wire.message(0, 6, rtmp.VIDEO_HEADER) +
            wire.message(0, 6, b, 40, size=4096))
        self.assertEqual(viewer.next_video().body, b)

    def test_a_chunk_size_after_publish_and_before_the_metadata(self):
        viewer = self.client().play("late")
        publisher = self.client().publish("late")
        meta = rtmp.encode("onMetaData", {"x" * 300: "y" * 3000})
        publisher.sock.sendall(
            wire.chunk_size(65536) +
            wire.message(0, 4, rtmp.encode("@setDataFrame") + meta, kind=DATA,
                         size=65536) +
            wire.message(0, 6, key_frame(bytes(30000)), 4, size=65536))
        self.assertEqual(viewer.until(lambda m: m.kind == DATA and
                                      b"onMetaData" in m.body).body, meta)
        self.assertEqual(viewer.next_video().body, key_frame(bytes(30000)))

    def test_from_connect_to_playing_in_four_round_trips(self):
        took = []
        for _ in range(20):
            began = time.perf_counter()
            viewer = self.client()
            for stream, name, *values in (
                    (0, "connect", {"app": "live", "tcUrl": "rtmp://a/live"}),
                    (0, "createStream", None), (1, "play", None, "nothing")):
                viewer.command(stream, name, *values)
                # Each answer is there without a further word from us.
                viewer.until(lambda m: m.kind == rtmp.COMMAND)
            took.append(time.perf_counter() - began)
        print(f"connect to playing: median {1000 * sorted(took)[10]:.2f} ms")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
