#!/usr/bin/python3
"""Many followers of one channel, over real sockets, and one that never reads:
the others get every blob in order, and memory stays within the log's bound.

  followers_test.py [--followers N]     (default 400)"""
import argparse
import pathlib
import resource
import select
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read_line
from support.gateway import PATIENCE, Gateway

HANDLER = str(pathlib.Path(__file__).parent / "support" / "followers.lua")
LOG = 1 << 17    # bytes that the channel keeps, in each worker
# Beyond the log and what there was before, in each process: Lua's garbage,
# what is left of torn blobs, the loop's lists; whatever is published.
ALLOWED = 8 << 20
SIZE = 7168      # of a blob; a round of them is within the log
ROUND = 8
ALL_ROUNDS, FEW_ROUNDS = 20, 600  # these are 1 MB to all, and 34 MB to
FEW = 10                          # so many followers, and the stuck one
options = argparse.Namespace(followers=400)


def blob(number):
    return b"%08d%08d" % (number, SIZE) + b"%08d" % number * (SIZE // 8 - 2)


class Control:
    def __init__(self, address):
        self.sock = connect(address)

    def ask(self, order):
        self.sock.sendall(order.encode() + b"\n")
        answer = read_line(self.sock).decode()
        assert answer, f"no answer to {order!r}"
        return answer.split()


class Crowd:
    """Followers that read all they get, which must be STREAM's next bytes."""

    def __init__(self, address, count):
        self.poll, self.socks, self.places = select.epoll(), {}, {}
        self.stream = bytearray()
        for _ in range(count):
            sock = connect(address)
            sock.sendall(b"follow\n")
            sock.setblocking(False)
            self.socks[sock.fileno()] = sock
            self.places[sock.fileno()] = 0
            self.poll.register(sock.fileno(), select.EPOLLIN)

    def read(self, number):
        """Is this one up to date?"""
        data = self.socks[number].recv(1 << 18)
        place = self.places[number]
        end = self.places[number] = place + len(data)
        assert data and data == self.stream[place:end], \
            f"follower {number} got something else than byte {place}"
        return end == len(self.stream)

    def catch_up(self):
        behind = len(self.socks)
        deadline = time.monotonic() + 4 * PATIENCE
        while behind:
            for number, _ in self.poll.poll(1):
                behind -= self.read(number)
            assert time.monotonic() < deadline, f"{behind} are behind"


    def thin_out(self):
        """All but a few follow no more."""
        for number in list(self.socks)[FEW:]:
            sock = self.socks.pop(number)
            self.poll.unregister(number)
            sock.settimeout(PATIENCE)
            sock.sendall(b"leave\n")
            answer = read_line(sock)
            assert answer == b"left\n", answer
            sock.close()


def raise_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Followers(unittest.TestCase):
    def memory(self, gateway):
        """Resident bytes of all workers, or of the only process."""
        total = 0
        for pid in gateway.workers() or [gateway.pid]:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += 1024 * sum(int(line.split()[1])
                                for line in text.splitlines()
                                if line.startswith("Private_"))
        return total

    def check_stuck(self, sock, last):
        """It has whole blobs, in order, with a gap, up to the LAST."""
        sock.settimeout(PATIENCE)
        numbers, data = [], b""
        while not numbers or numbers[-1] < last:
            while len(data) < SIZE:
                part = sock.recv(1 << 18)
                self.assertTrue(part)
                data += part
            number = int(data[:8])
            self.assertEqual(data[:SIZE], blob(number))
            numbers.append(number)
            data = data[SIZE:]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertLess(len(numbers), last + 1)
        return len(numbers)

    def follow(self, workers):
        with Gateway({"handler": HANDLER},
                     {"handler": HANDLER, "address": "unix:{dir}/s"},
                     workers=workers) as gateway:
            for number in range(workers):
                gateway.await_line("worker started", number)
            # Of TCP the kernel alone would hold megabytes.
            stuck = connect(gateway.address(1))
            stuck.sendall(b"follow\n")
            control = Control(gateway.address())
            crowd = Crowd(gateway.address(), options.followers)
            self.publish(control, crowd, 0)  # all have what it takes
            since = time.monotonic()
            grown = self.publish_all(gateway, control, crowd,
                                     range(1, ALL_ROUNDS + 1))
            seconds = time.monotonic() - since
            crowd.thin_out()
            more = self.publish_all(gateway, control, crowd,
                                    range(ALL_ROUNDS + 1, ALL_ROUNDS +
                                          FEW_ROUNDS))
            held = self.check_stuck(
                stuck, ROUND * (ALL_ROUNDS + FEW_ROUNDS) - 1)
            self.report(workers, seconds, held, grown, more)

    def publish_all(self, gateway, control, crowd, rounds):
        """How much memory it took at most."""
        before = most = self.memory(gateway)
        for number in rounds:
            self.publish(control, crowd, number)
            most = max(most, self.memory(gateway))
        return most - before

    def report(self, workers, seconds, held, grown, more):
        bound = (LOG + ALLOWED) * max(workers, 1)
        print(f"\n{options.followers} followers, {max(workers, 1)} processes: "
              f"{ROUND * ALL_ROUNDS} blobs of {SIZE} bytes to all in "
              f"{seconds:.1f} s took {grown >> 10} KB at most, "
              f"{ROUND * FEW_ROUNDS} to {FEW} took {more >> 10} KB, allowed "
              f"{bound >> 10}; the stuck one got {held}", file=sys.stderr)
        self.assertLess(grown, bound)
        self.assertLess(more, bound)

    def publish(self, control, crowd, number):
        first = number * ROUND
        for n in range(first, first + ROUND):
            crowd.stream += blob(n)
        answer = control.ask(f"publish {first} {ROUND} {SIZE}")
        self.assertEqual(answer, ["done"])
        crowd.catch_up()

    def test_one_process(self):
        self.follow(0)

    def test_two_workers(self):
        self.follow(2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--followers", type=int, default=400)
    rest = parser.parse_known_args(namespace=options)[1]
    raise_limit()
    unittest.main(argv=sys.argv[:1] + rest, warnings="ignore")
