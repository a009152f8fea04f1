#!/usr/bin/python3
"""All that is served goes on, complete and in order, while the code of all of
it is changed again and again: chat, a store of data, streams with viewers.

RELOAD_CONNECTIONS is how many clients there are, RELOADS how many changes, and
RELOAD_SECONDS the time that they are spread over: as fast as can be if that is
not enough."""
import multiprocessing
import os
import pathlib
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import control, rtmp
from support.client import ask, connect, read, read_line
from support.gateway import SOURCE, until

CONNECTIONS = int(os.environ.get("RELOAD_CONNECTIONS", "200"))
RELOADS = int(os.environ.get("RELOADS", "20"))
SECONDS = float(os.environ.get("RELOAD_SECONDS", "0"))
STREAMS, VIEWERS, FRAME = 4, 4, 0.02  # seconds between two frames of a stream
CHANGED = ["line.lua", "resp.lua", "rtmp/chunk.lua", "rtmp/viewer.lua"]


class Load(threading.Thread):
    """Does one turn() after the other, until one fails or it is stopped.  At
    the close so are SOCKS."""

    def __init__(self, socks):
        super().__init__(daemon=True)
        self.socks = socks
        self.turns, self.error, self.stopped = 0, None, False

    def run(self):
        try:
            while not self.stopped:
                self.turns += 1
                self.turn()
        except Exception as error:
            self.error = error

    def close(self):
        self.stopped = True
        self.join(20)
        for sock in self.socks:
            sock.close()


class Store(Load):
    """Connections that count, and keep what they counted: a command that is
    lost or done twice shows in all answers from then on."""

    def __init__(self, address, key, count):
        super().__init__([connect(address) for _ in range(count)])
        self.key = key

    def turn(self):
        n = b"%d" % self.turns
        for i, sock in enumerate(self.socks):
            key = b"%s-%d" % (self.key, i)
            text = (b"INCR %s\r\nSET %s.t %s\r\nGET %s.t\r\n" %
                    (key, key, n, key))
            cut = (self.turns + i) % len(text)
            sock.sendall(text[:cut])
            sock.sendall(text[cut:])
        answer = b":%s\r\n+OK\r\n$%d\r\n%s\r\n" % (n, len(n), n)
        for sock in self.socks:
            if (got := read(sock, len(answer))) != answer:
                raise AssertionError(f"{got} instead of {answer}")


class Room(Load):
    """Members of a chat, all of whom hear each line of the first."""

    def __init__(self, address, count):
        super().__init__([connect(address) for _ in range(count)])
        for number, sock in enumerate(self.socks):
            sock.sendall(b"m%d\n" % number)
            while b"more here" not in (line := read_line(sock)):
                if not line:
                    raise AssertionError("the end came first")

    def hear(self, sock):
        """The next line that somebody has said: "* x has joined" comes when
        it likes."""
        while (line := read_line(sock)).startswith(b"* "):
            pass
        return line

    def turn(self):
        line = b"line %d\n" % self.turns
        cut = self.turns % len(line)
        self.socks[0].sendall(line[:cut])
        self.socks[0].sendall(line[cut:])
        for sock in self.socks[1:]:
            if (got := self.hear(sock)) != b"m0: " + line:
                raise AssertionError(f"{got} instead of {line}")


class Stream(Load):
    """A publisher, whose frames have numbers."""

    def __init__(self, address, name):
        self.client = rtmp.Client(address).publish(name)
        super().__init__([self.client])
        self.client.headers()
        self.client.video(0, rtmp.key_frame(b"0"))

    def turn(self):
        picture = rtmp.frame if self.turns % 25 else rtmp.key_frame
        self.client.video(self.turns * 20, picture(b"%d" % self.turns))
        time.sleep(FRAME)


class Viewer(Load):
    """Sees every frame of a stream from some key frame on, once."""

    def __init__(self, address, name):
        self.client = rtmp.Client(address).play(name)
        super().__init__([self.client])
        self.seen = None

    def turn(self):
        number = int(self.client.next_video().body[5:])
        if self.seen is not None and number != self.seen + 1:
            raise AssertionError(f"frame {number} after {self.seen}")
        self.seen = number


def probe(address, ready, stop, result):
    """In a process of its own: how long answers take, to the patient."""
    with connect(address) as sock:
        times = []
        while not stop.is_set():
            began = time.perf_counter()
            ask(sock, b"PING\r\n", 7)
            times.append(time.perf_counter() - began)
            ready.set()
            time.sleep(0.002)
    result.put(sorted(times))


class Reloads(control.Case):
    def start_gateway(self):
        """With copies of the handlers, which can be changed."""
        handlers = SOURCE / "handlers"
        files = {f"handlers/{path.relative_to(handlers)}": path.read_text()
                 for path in sorted(handlers.rglob("*.lua"))}
        return self.controlled(
            {"handler": "return require 'handlers.line'",
             "options": {"members": 1000}},
            {"handler": "return require 'handlers.resp'"},
            {"handler": "return require 'handlers.rtmp'"}, files=files)

    def start_loads(self, gateway):
        chat, store, streams = (gateway.address(i) for i in range(3))
        members = min(CONNECTIONS // 10, 500)
        half = (CONNECTIONS - members - STREAMS * (VIEWERS + 1)) // 2
        loads = [Room(chat, members), Store(store, b"a", half),
                 Store(store, b"b", half)]
        for number in range(STREAMS):
            stream = Stream(streams, f"s{number}")
            loads += [Viewer(streams, f"s{number}")
                      for _ in range(VIEWERS)]
            loads.append(stream)
        for load in loads:
            self.start(load).start()
        return loads

    def start_probe(self, gateway):
        ready, stop = multiprocessing.Event(), multiprocessing.Event()
        result = multiprocessing.Queue()
        process = multiprocessing.Process(
            target=probe, args=(gateway.address(1), ready, stop, result))
        process.start()
        self.addCleanup(process.join)
        self.addCleanup(process.kill)
        return ready, stop, result

    def change(self, gateway, number):
        for name in CHANGED:
            path = gateway.directory / "handlers" / name
            text = (SOURCE / "handlers" / name).read_text()
            path.write_text(f"{text}-- {number % 2}\n")
        self.assertEqual(self.control("reload")["version"], number)

    def go_on(self, loads, since=None):
        """Has each had some turns since it had had SINCE?"""
        for load in loads:
            self.assertIsNone(load.error, type(load).__name__)
        return all(load.turns > n + 2
                   for load, n in zip(loads, since or [0] * len(loads)))

    def test_nothing_is_lost_or_doubled(self):
        gateway = self.start_gateway()
        ready, stop, result = self.start_probe(gateway)
        loads = self.start_loads(gateway)
        until(lambda: ready.is_set() and self.go_on(loads))
        began = time.monotonic()
        for number in range(2, RELOADS + 2):
            self.change(gateway, number)
            pause = began + SECONDS * (number - 1) / RELOADS - time.monotonic()
            time.sleep(max(pause, 0))
        time.sleep(0 if RELOADS else SECONDS)
        seconds = time.monotonic() - began
        turns = [load.turns for load in loads]
        until(lambda: self.go_on(loads, turns))
        for load in loads:  # viewers before their streams
            load.close()
            self.assertIsNone(load.error, type(load).__name__)
        until(lambda: set(self.control.versions()) <= {RELOADS + 1})
        stop.set()
        times = result.get()
        print(f"{RELOADS} reloads in {seconds:.1f} s, {CONNECTIONS} clients, "
              f"turns: room {loads[0].turns}, store {loads[1].turns}, stream "
              f"{loads[-1].turns}; p50 {times[len(times) // 2] * 1e3:.2f} ms, "
              f"p99 {times[len(times) * 99 // 100] * 1e3:.2f} ms, of "
              f"{len(times)}", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
