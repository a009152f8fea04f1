#!/usr/bin/python3
"""Messages between workers: in order, none lost below the mailbox's bound, and
each that is not delivered is accounted for.

  messages_test.py [--count N]     N messages in all (default 100,000)"""
import argparse
import os
import pathlib
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read_line
from support.gateway import Gateway, until

HANDLER = str(pathlib.Path(__file__).parent / "support" / "messages.lua")
MAILBOX = 1000
PATIENT = 600  # seconds that a sender of many messages may take
options = argparse.Namespace(count=100_000)


class Party:
    """A connection that sends and receives messages."""

    def __init__(self, address):
        self.sock = connect(address)
        self.sock.settimeout(PATIENT)
        self.id = self.ask("who")
        self.worker = int(self.id.split(".")[0])

    def ask(self, order):
        self.sock.sendall(order.encode() + b"\n")
        answer = read_line(self.sock)
        assert answer, f"no answer to {order!r}"
        return answer.decode().strip()

    def send(self, to, count, size=10, window=0):
        """How many were refused."""
        return int(self.ask(f"send {to.id} {count} {size} {window}"))

    def report(self):
        """Undelivered and gone; (count, missing) of each sender."""
        numbers = [int(word) for word in self.ask("report").split()]
        return numbers[:2], list(zip(numbers[2::2], numbers[3::2]))


class Messages(unittest.TestCase):
    def setUp(self):
        roomy = {"mailbox": 1_000_000}
        self.gateway = Gateway({"handler": HANDLER},
                               {"handler": HANDLER, "limits": roomy},
                               workers=2, limits={"mailbox": MAILBOX,
                                                  "turn": 10})
        self.addCleanup(self.gateway.close)
        for number in range(2):
            self.gateway.await_line("worker started", number)

    def party(self, worker, roomy=False):
        """One on this worker; ROOMY: with a mailbox that never fills."""
        while True:
            party = Party(self.gateway.address(int(roomy)))
            if party.worker == worker:
                return party
            party.sock.close()

    def side_by_side(self, calls):
        """The results of functions that run at the same time."""
        results = [None] * len(calls)

        def run(place):
            results[place] = calls[place]()
        threads = [threading.Thread(target=run, args=(place,))
                   for place in range(len(calls))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def test_none_is_lost_below_the_bound_and_all_are_in_order(self):
        receivers = {worker: self.party(worker) for worker in (1, 2)}
        senders = [self.party(worker) for worker in (1, 1, 2, 2)]
        each = options.count // len(senders)
        since = time.monotonic()
        refused = self.side_by_side(
            [lambda sender=sender: sender.send(
                receivers[3 - sender.worker], each, window=MAILBOX // 2)
             for sender in senders])
        self.assertEqual(refused, [0, 0, 0, 0])
        for receiver in receivers.values():
            until(lambda: sum(count for count, _ in receiver.report()[1]) ==
                  2 * each, "the last messages")
            self.assertEqual(receiver.report(), ([0, 0], [(each, 0)] * 2))
        seconds = time.monotonic() - since
        for sender in senders:
            self.assertEqual(sender.report()[0], [0, 0])
        print(f"\n{4 * each} messages between two workers in {seconds:.1f} s, "
              f"{4 * each / seconds:.0f}/s", file=sys.stderr)

    def test_what_does_not_fit_is_told_to_its_sender(self):
        receiver = self.party(1)
        senders = [self.party(worker, True) for worker in (1, 2, 2)]
        receiver.ask("deaf")
        count = max(2 * MAILBOX, options.count // 20)
        refused = self.side_by_side([
            lambda sender=sender: sender.send(receiver, count)
            for sender in senders])
        failed = sum(refused)

        def all_told():
            told = sum(sender.report()[0][0] for sender in senders)
            return failed + told == 3 * count - MAILBOX
        until(all_told, "the news of what was not delivered")
        receiver.ask("hear")
        until(lambda: sum(seen for seen, _ in receiver.report()[1]) ==
              MAILBOX, "the mailbox to be read")
        for sender in senders:
            self.assertEqual(sender.report()[0][1], 0)

    def test_what_comes_too_late_is_told_to_its_sender(self):
        receiver, sender = self.party(1), self.party(2, True)
        self.assertEqual(sender.send(receiver, 100), 0)
        until(lambda: receiver.report()[1] == [(100, 0)], "the first messages")
        neighbour = self.party(1)
        receiver.sock.close()
        until(lambda: neighbour.send(receiver, 1) == 1, "the receiver's end")
        self.assertEqual(sender.send(receiver, 1000), 0)
        until(lambda: sender.report()[0] == [1000, 1000],
              "the news of what was not delivered")

    def test_a_full_way_between_workers_is_told_at_once(self):
        receiver, sender = self.party(1, True), self.party(2, True)
        receiver.ask("deaf")
        count, size = 1000, 200_000
        pid = int(self.gateway.await_line(r"worker=1 pid=(\d+)").group(1))
        os.kill(pid, signal.SIGSTOP)
        refused = sender.send(receiver, count, size)
        os.kill(pid, signal.SIGCONT)
        self.assertGreater(refused, 0)
        self.assertLess(refused, count)
        receiver.ask("hear")
        until(lambda: receiver.report()[1][:1] == [(count - refused, 0)],
              "what was not refused")
        self.assertEqual(sender.report()[0], [0, 0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--count", type=int, default=100_000)
    rest = parser.parse_known_args(namespace=options)[1]
    unittest.main(argv=sys.argv[:1] + rest, warnings="ignore")
