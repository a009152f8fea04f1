#!/usr/bin/python3
"""What happens when there is no room for more connections."""
import pathlib
import resource
import select
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import Bystander, ask, connect, reset
from support.gateway import Gateway, until

SWARM = pathlib.Path(__file__).parent / "support" / "swarm.py"


def descriptors(count):
    """To be called in a process before it runs the gateway."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


class Swarm:
    """COUNT clients in a process of their own: see support/swarm.py."""

    def __init__(self, gateway, count):
        self.process = subprocess.Popen(
            ["/usr/bin/python3", SWARM, str(gateway.port()), str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().split()

    def ask(self, command):
        self.tell(command)
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


class Descriptors(unittest.TestCase):
    def test_without_descriptors_nobody_suffers_and_guests_wait(self):
        with Gateway({"handler": "echo"}, before=descriptors(200)) as gateway:
            with Bystander(gateway.address()) as bystander:
                guests = [connect(gateway.address()) for _ in range(1000)]
                gateway.await_line("accepting paused")
                for sock in guests:
                    sock.sendall(b"hi")
                bystander.more()
                served = until(lambda: ready(guests, 150), "150 answers")
                for sock in served:
                    self.assertEqual(sock.recv(2), b"hi")
                    self.assertEqual(ask(sock, b"again"), b"again")
                self.assertEqual(gateway.count("accepting paused"), 1)
                for sock in served[:50]:
                    sock.close()
                rest = [sock for sock in guests if sock not in served]
                later = until(lambda: ready(rest, 50), "50 more")
                self.assertEqual(ask(later[0], b"", 2), b"hi")
                bystander.more()
                for sock in rest + served[50:]:
                    reset(sock)
                bystander.more()
                with connect(gateway.address()) as sock:
                    self.assertEqual(ask(sock, b"at last"), b"at last")
            self.assertEqual(gateway.stop(), 0)

    def test_a_gateway_without_descriptors_sleeps(self):
        with Gateway({"handler": "echo"}, before=descriptors(50)) as gateway:
            guests = [connect(gateway.address()) for _ in range(200)]
            gateway.await_line("accepting paused")
            self.assertGreater(gateway.naps(50), 40)
            self.assertEqual(gateway.count("accepting paused"), 1)
            for sock in guests:
                reset(sock)
            gateway.await_line("accepting again")

    def test_twenty_thousand_clients_and_room_for_a_few_thousand(self):
        limit = 5000
        with Gateway({"handler": "echo", "backlog": 4000},
                     before=descriptors(limit)) as gateway, \
                Bystander(gateway.address()) as bystander, \
                Swarm(gateway, 10_000) as one, Swarm(gateway, 10_000) as two:
            one.tell("connect")
            two.tell("connect")
            one.answer(), two.answer()
            bystander.more()
            one.tell("talk")
            two.tell("talk")
            answered = wrong = lost = 0
            for swarm in (one, two):
                counts = [int(word) for word in swarm.answer()]
                answered += counts[0]
                wrong += counts[1]
                lost += counts[2]
            self.assertEqual(wrong, 0)
            self.assertEqual(lost, 0)
            self.assertGreater(answered, limit - 50)
            bystander.more()


class Connections(unittest.TestCase):
    def test_a_full_listener_lets_the_next_wait_for_a_place(self):
        with Gateway({"handler": "echo", "max_connections": 3},
                     {"handler": "echo"}) as gateway, \
                Bystander(gateway.address(1)) as bystander:
            inside = [connect(gateway.address(0)) for _ in range(3)]
            for sock in inside:
                self.assertEqual(ask(sock, b"in"), b"in")
            outside = [connect(gateway.address(0)) for _ in range(3)]
            for sock in outside:
                sock.sendall(b"out")
            for sock in inside:
                self.assertEqual(ask(sock, b"in"), b"in")
            bystander.more()
            self.assertEqual(select.select(outside, [], [], 0)[0], [])
            self.assertGreater(gateway.naps(20), 0)
            for leaver, guest in zip(inside, outside):
                leaver.close()
                self.assertEqual(ask(guest, b"", 3), b"out")
            bystander.more()

    def test_connections_that_end_at_once_do_not_close_the_door(self):
        with Gateway({"handler": "return function() end",
                      "max_connections": 1}) as gateway:
            for _ in range(50):
                with connect(gateway.address()) as sock:
                    self.assertEqual(sock.recv(1), b"")


def ready(socks, count):
    """The sockets with something to read, when they are COUNT or more."""
    poll = select.poll()
    by_number = {sock.fileno(): sock for sock in socks}
    for number in by_number:
        poll.register(number, select.POLLIN)
    found = [by_number[number] for number, _ in poll.poll(100)]
    return found if len(found) >= count else None


if __name__ == "__main__":
    unittest.main(warnings="ignore")
