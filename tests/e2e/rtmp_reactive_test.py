#!/usr/bin/python3
"""While a chunk is half sent: pings are answered, messages heard, kicks done."""
import argparse
import pathlib
import statistics
import struct
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import rtmp
from support.client import ask, connect
from support.gateway import Gateway

# Lines "WHAT STREAM": a message for the publisher of that stream.
OPERATOR = """
local ld = require "linedancer"
return { states = { main = function(conn)
  local line = conn:read_line()
  if not line then return end
  local what, name = line:match "^(%l+) (%S+)$"
  local holder = ld.whereis("rtmp/live/" .. name)
  conn:write(holder and ld.send(holder, { rtmp = what }) and "sent\\n" or "none\\n")
  return "main"
end } }
"""
ROUNDS = 200


class Reactive(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway({"handler": "rtmp"}, {"handler": OPERATOR})
        self.addCleanup(self.gateway.close)
        self.operator = connect(self.gateway.address(1))
        self.addCleanup(self.operator.close)

    def tell(self, what, name):
        answer = ask(self.operator, f"{what} {name}\n".encode(), 5)
        self.assertEqual(answer, b"sent\n")

    def publisher(self, name):
        publisher = rtmp.Client(self.gateway.address()).publish(name)
        self.addCleanup(publisher.close)
        publisher.headers()
        publisher.answers = False  # an answer would land inside a chunk
        return publisher

    def report(self, what, seconds):
        print(f"{what}: median {1000 * statistics.median(seconds):.3f} ms, "
              f"worst {1000 * max(seconds):.3f} ms of {len(seconds)}")

    def half(self, body=b"v" * 100):
        """A chunk of video up to its middle, and the rest."""
        data = rtmp.chunks(rtmp.VIDEO, 40, 1, rtmp.frame(body), csid=6)
        return data[:len(data) // 2], data[len(data) // 2:]

    def test_a_message_is_heard_inside_a_chunk(self):
        publisher, took = self.publisher("x"), []
        first, second = self.half()
        for _ in range(ROUNDS):
            publisher.sock.sendall(first)
            began = time.perf_counter()
            self.operator.sendall(b"ping x\n")
            publisher.until(lambda m: m.kind == 4 and m.body[:2] == b"\0\6")
            took.append(time.perf_counter() - began)
            self.assertEqual(self.operator.recv(5), b"sent\n")
            publisher.sock.sendall(second)
        self.report("message to ping, in half a chunk", took)

    def test_a_kick_works_inside_a_chunk(self):
        took = []
        for _ in range(ROUNDS // 4):
            publisher = self.publisher("x")
            publisher.sock.sendall(self.half()[0])
            began = time.perf_counter()
            self.tell("kick", "x")
            self.gateway.await_line(r"published .*reason=kicked", len(took))
            while publisher.receive() is not None:
                pass
            took.append(time.perf_counter() - began)
        self.report("kick, in half a chunk", took)

    def test_a_ping_between_the_chunks_of_a_message_is_answered(self):
        publisher, took = self.publisher("x"), []
        data = rtmp.chunks(rtmp.VIDEO, 40, 1, rtmp.frame(b"v" * 200), csid=6)
        for i in range(ROUNDS):
            ping = struct.pack(">HI", 6, i)
            began = time.perf_counter()
            publisher.sock.sendall(data[:140] + rtmp.chunks(
                4, 0, 0, ping, csid=2))
            publisher.until(lambda m: m.kind == 4 and
                            m.body == struct.pack(">HI", 7, i))
            took.append(time.perf_counter() - began)
            publisher.sock.sendall(data[140:])
        self.report("ping, in half a message", took)

    def test_from_connect_to_playing_takes_four_round_trips(self):
        took = []
        for _ in range(20):
            began = time.perf_counter()
            viewer = rtmp.Client(self.gateway.address())  # C0 C1, S0 S1 S2
            viewer.command(0, "connect", {"app": "live"})
            viewer.until(lambda m: m.kind == rtmp.COMMAND)
            viewer.command(0, "createStream", None)
            viewer.until(lambda m: m.kind == rtmp.COMMAND)
            viewer.command(1, "play", None, "nothing")
            viewer.status("NetStream.Play.Start")
            took.append(time.perf_counter() - began)
            viewer.close()
        self.report("connect to playing", took)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options, rest = parser.parse_known_args()
    ROUNDS = options.rounds
    unittest.main(argv=sys.argv[:1] + rest, warnings="ignore")
