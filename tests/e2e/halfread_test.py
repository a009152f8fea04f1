#!/usr/bin/python3
"""A connection in the middle of a frame answers messages, timers and kicks at
once, and then reads the rest of the frame as if nothing had been.

  halfread_test.py [--rounds N] [--strict] [--workers N]

Each kind of nudge is given N times (default 2000), to connections that stopped
at a random byte of a frame and read it in different ways.  What is measured is
from the nudge's leaving one client, or from when a timer is due, to the
output's arrival at another.  With --strict the figures must hold: median below
1 ms, worst below 5 ms."""
import argparse
import gc
import pathlib
import random
import selectors
import statistics
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read, read_line
from support.gateway import Gateway, until

HANDLER = str(pathlib.Path(__file__).parent / "support" / "halfread.lua")
WAYS = "frame", "expect", "body", "buffer", "slice", "line"
AT_ONCE = 10 * len(WAYS)
options = argparse.Namespace(rounds=2000, strict=False, workers=0)


def say(sock):
    """The next thing that the gateway says: tag, bytes."""
    head = read(sock, 3)
    if not head:
        return None
    tag, size = struct.unpack(">cH", head)
    return tag.decode(), read(sock, size)


class Reader:
    """A client that stops in the middle of its frames."""

    def __init__(self, address, name, way):
        self.name, self.way, self.rest = name, way, b""
        self.sock = connect(address)
        self.sock.sendall(b"%s %s\n" % (way.encode(), name.encode()))
        self.id = say(self.sock)[1]

    def begin(self, chance):
        """Send a part of a new frame."""
        size = chance.choice((2, 40, 3000))
        self.body = chance.randbytes(size)
        if self.way == "line":
            self.body = self.body.hex().encode()
            frame = self.body + b"\n"
        else:
            frame = struct.pack(">H", size) + self.body
        cut = chance.randrange(1, len(frame))
        self.sock.sendall(frame[:cut])
        self.rest = frame[cut:]

    def finish(self):
        """Send the rest; its answer must be right."""
        self.sock.sendall(self.rest)
        answer = say(self.sock)
        assert answer == ("F", self.body), (self.way, answer)


class Control:
    def __init__(self, address):
        self.sock = connect(address)
        self.sock.sendall(b"control\n")

    def order(self, text):
        self.sock.sendall(text.encode() + b"\n")

    def done(self):
        answer = say(self.sock)
        assert answer == ("=", b"done"), answer

    def await_name(self, reader):
        """Until the control's worker knows READER by its name, too."""
        def known():
            self.order("find " + reader.name)
            return say(self.sock)[1] == reader.id
        until(known, "a name's way to the other worker")

    def quiet(self):
        """A round trip: what was sent before has been read by then."""
        since = time.monotonic()
        self.order("quiet")
        self.done()
        return time.monotonic() - since


class HalfRead(unittest.TestCase):
    def setUp(self):
        self.chance = random.Random(3)
        self.gateway = Gateway({"handler": HANDLER}, workers=options.workers)
        self.addCleanup(self.gateway.close)
        self.address = self.gateway.address()
        self.control = Control(self.address)
        self.times, self.trips = [], []
        self.readers = [self.reader(number) for number in range(AT_ONCE)]
        gc.disable()
        self.addCleanup(gc.enable)

    def reader(self, number):
        reader = Reader(self.address, f"r{number}", WAYS[number % len(WAYS)])
        self.control.await_name(reader)
        return reader

    def batches(self):
        """Readers, shuffled, that are all in the middle of a frame."""
        while len(self.times) < options.rounds:
            readers = self.chance.sample(self.readers, AT_ONCE)
            yield readers[:options.rounds - len(self.times)]

    def stop_midway(self, readers):
        for reader in readers:
            reader.begin(self.chance)
        self.control.quiet()
        self.trips.append(self.control.quiet())

    def report(self, what):
        times = sorted(1e3 * seconds for seconds in self.times)
        late = times[min(len(times) - 1, int(0.999 * len(times)))]
        middle = statistics.median(times)
        print(f"\n{what}: {len(times)} times, median {middle:.3f} ms, 99.9% "
              f"{late:.3f} ms, worst {times[-1]:.3f} ms (a plain round trip: "
              f"median {1e3 * statistics.median(self.trips):.3f} ms, worst "
              f"{1e3 * max(self.trips):.3f} ms)", file=sys.stderr)
        self.assertEqual(len(times), options.rounds)
        self.assertLess(times[-1], 5 if options.strict else 1000)
        self.assertLess(middle, 1 if options.strict else 100)

    def nudge(self, reader, order, text, tag):
        """Give ORDER to READER: the seconds until its output was here."""
        since = time.monotonic()
        self.control.order(f"{order} {reader.name} {text}")
        heard = say(reader.sock)
        seconds = time.monotonic() - since
        self.assertEqual(heard, (tag, text.encode()))
        self.control.done()
        return seconds

    def test_a_message_is_passed_on(self):
        for readers in self.batches():
            self.stop_midway(readers)
            for reader in readers:
                text = f"message {len(self.times)}"
                self.times.append(self.nudge(reader, "send", text, "M"))
            for reader in readers:
                reader.finish()
        self.report("message")

    def arm(self, readers):
        """Set their timers: what each will say, by socket."""
        texts = {}
        for number, reader in enumerate(readers):
            wait = 20 + self.chance.randrange(100)
            texts[reader.sock] = b"%d" % number
            self.control.order(f"arm {reader.name} {wait} {number}")
        return texts

    def await_timers(self, texts, selector):
        while texts:
            for key, _ in selector.select():
                now = time.monotonic()
                tag, said = say(key.fileobj)
                text, due = said.split()
                self.assertEqual((tag, text), ("T", texts.pop(key.fileobj)))
                self.assertGreater(now - float(due), -1e-5)
                self.times.append(now - float(due))

    def test_a_timer_goes_off(self):
        for readers in self.batches():
            with selectors.EpollSelector() as selector:
                for reader in readers:
                    selector.register(reader.sock, selectors.EVENT_READ)
                self.stop_midway(readers)
                self.await_timers(self.arm(readers), selector)
            for reader in readers:
                self.control.done()
                reader.finish()
        self.report("timer")

    def kick(self, reader, number):
        """READER is told why, and its connection ends."""
        order = ("stop", "close")[number % 2]
        if options.workers > 1:
            order = "stop"
        self.times.append(self.nudge(reader, order, "out", "K"))
        self.assertIsNone(say(reader.sock))
        reader.sock.close()

    def test_a_kick_is_told_and_done(self):
        for readers in self.batches():
            self.stop_midway(readers)
            for number, reader in enumerate(readers):
                self.kick(reader, number)
                place = self.readers.index(reader)
                self.readers[place] = self.reader(place)
        self.report("kick")

    def test_nudges_mix_with_the_bytes_of_a_frame(self):
        """One byte at a time, a message after each."""
        reader = self.readers[0]
        reader.body = self.chance.randbytes(300)
        frame = struct.pack(">H", 300) + reader.body
        for number, byte in enumerate(frame[:-1]):
            reader.sock.sendall(bytes((byte,)))
            self.nudge(reader, "send", f"byte {number}", "M")
        reader.rest = frame[-1:]
        reader.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("--workers", type=int, default=0)
    rest = parser.parse_known_args(namespace=options)[1]
    unittest.main(argv=sys.argv[:1] + rest, warnings="ignore")
