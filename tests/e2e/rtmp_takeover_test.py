#!/usr/bin/python3
"""Publishers who follow one another, and what viewers in all workers see."""
import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import rtmp
from support.case import Case
from support.client import reset
from support.gateway import until


class Takeover(Case):
    def publisher(self, gateway, name="x"):
        return self.client(gateway).publish(name)

    def viewers(self, gateway, name="x", count=8):
        """COUNT or more, some of them in each worker."""
        viewers = []
        line = r" playing worker=%d .*" + f"stream=live/{name}"
        while len(viewers) < count or not all(
                gateway.count(line % worker) for worker in (1, 2)):
            viewers.append(self.client(gateway).play(name))
            gateway.await_line(line % 1 + "|" + line % 2, len(viewers) - 1)
        return viewers

    def turn(self, publisher, number, count=10):
        """Publish COUNT frames from time 0 on; what they are."""
        publisher.headers()
        bodies = [rtmp.key_frame(b"%d.0" % number)]
        bodies += [rtmp.frame(b"%d.%d" % (number, i)) for i in range(1, count)]
        for i, body in enumerate(bodies):
            publisher.video(40 * i, body)
        return bodies

    def test_viewers_in_all_workers_go_on_in_time(self):
        gateway = self.gateway()
        viewers = self.viewers(gateway)
        last = [-1] * len(viewers)
        for number in range(12):
            publisher = self.publisher(gateway)
            bodies = self.turn(publisher, number)
            for i, viewer in enumerate(viewers):
                got = [viewer.next_video() for _ in bodies]
                self.assertEqual([m.body for m in got], bodies)
                times = [m.time for m in got]
                self.assertEqual(times, sorted(times))
                self.assertGreater(times[0], last[i])
                last[i] = times[-1]
            # The next one takes over, or comes after an end of some kind.
            if number % 4 == 0:
                continue
            if number % 4 == 1:
                publisher.close()
            elif number % 4 == 2:
                reset(publisher.sock)
            else:
                publisher.command(1, "closeStream", None)
                for viewer in viewers:
                    viewer.status("NetStream.Play.UnpublishNotify")
            gateway.await_line(" published ", number)
            time.sleep(0.1)  # as it takes to come back: other workers hear

    def test_one_publisher_is_left_of_many_at_a_time(self):
        gateway = self.gateway()
        viewers = self.viewers(gateway)
        for attempt in range(5):
            clients = [self.client(gateway).open() for _ in range(16)]
            for client in clients:
                client.command(1, "publish", None, "x", "live")
            ended = self.ended(clients)
            until(lambda: len(ended()) >= len(clients) - 1,
                  "the end of all but one")
            (left,) = [c for c in clients if c not in ended()]
            bodies = self.turn(left, attempt)
            for viewer in viewers:
                self.assertEqual([viewer.next_video().body for _ in bodies],
                                 bodies)

    def ended(self, clients):
        """A function that tells which of CLIENTS have been ended by now."""
        over = set()

        def look():
            for client in clients:
                if client in over:
                    continue
                client.sock.setblocking(False)
                try:
                    if not client.sock.recv(1 << 16):
                        over.add(client)
                except BlockingIOError:
                    pass
                except ConnectionError:
                    over.add(client)
                client.sock.settimeout(15)
            return over
        return look

    def test_a_publisher_that_says_nothing_is_taken_over_at_once(self):
        gateway = self.gateway()
        viewers = self.viewers(gateway)
        silent = self.publisher(gateway)
        self.turn(silent, 0)
        # Half a frame, and never the rest.
        silent.sock.sendall(rtmp.chunks(rtmp.VIDEO, 1, 1, bytes(300))[:200])
        began = time.perf_counter()
        bodies = self.turn(self.publisher(gateway), 1)
        for viewer in viewers:
            viewer.until(lambda m: m.body == bodies[-1])
        print(f"takeover, from connect to the last viewer's picture: "
              f"{1000 * (time.perf_counter() - began):.1f} ms")
        self.assertIsNone(silent.receive())
        gateway.await_line(r'ends .*reason="taken over"')

    def test_without_takeover_the_second_is_refused(self):
        gateway = self.gateway(takeover=False)
        viewers = self.viewers(gateway)
        first = self.publisher(gateway)
        for _ in range(4):
            second = self.client(gateway).open()
            second.command(1, "publish", None, "x", "live")
            second.status("NetStream.Publish.BadName")
            self.assertIsNone(second.receive())
        bodies = self.turn(first, 0)
        for viewer in viewers:
            self.assertEqual([viewer.next_video().body for _ in bodies], bodies)

    def test_without_takeover_one_of_many_at_a_time_is_taken(self):
        gateway = self.gateway(takeover=False)
        viewers = self.viewers(gateway)
        clients = [self.client(gateway).open() for _ in range(16)]
        for client in clients:
            client.command(1, "publish", None, "x", "live")
        codes = []
        for client in clients:
            message = client.until(lambda m: m.kind == rtmp.COMMAND and
                                   rtmp.decode(m.body)[0] == "onStatus")
            codes.append(rtmp.decode(message.body)[3]["code"])
        self.assertEqual(sorted(codes), 15 * ["NetStream.Publish.BadName"] +
                         ["NetStream.Publish.Start"])
        bodies = self.turn(clients[codes.index("NetStream.Publish.Start")], 0)
        for viewer in viewers:
            self.assertEqual([viewer.next_video().body for _ in bodies], bodies)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
