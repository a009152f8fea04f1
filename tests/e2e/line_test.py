#!/usr/bin/python3
"""The chat room of handler line, in one process and in two workers."""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read_line, reset
from support.gateway import PATIENCE, Gateway, until


class Guest:
    def __init__(self, gateway, name):
        self.sock = self.connect(gateway.address())
        assert self.hear() == "name?"
        self.say(name)

    def connect(self, address):
        return connect(address)

    def leave(self):
        self.sock.close()

    def say(self, text):
        self.sock.sendall(text.encode() + b"\n")

    def hear(self):
        return read_line(self.sock).decode().rstrip("\n")


class Netcat(Guest):
    """A guest whose client is nc."""

    def connect(self, address):
        sock, end = socket.socketpair()
        sock.settimeout(PATIENCE)
        with end:
            self.process = subprocess.Popen(
                ["nc", *map(str, address)], stdin=end, stdout=end)
        return sock

    def leave(self):
        self.process.kill()
        self.process.wait()
        super().leave()


class Line(unittest.TestCase):
    def test_three_guests_hear_each_other_and_not_themselves(self):
        with Gateway({"handler": "line"}) as gateway:
            ada = Guest(gateway, "ada")
            self.assertEqual(ada.hear(), "* welcome, ada: 0 more here")
            bob = Guest(gateway, "bob")
            self.assertEqual(bob.hear(), "* welcome, bob: 1 more here")
            self.assertEqual(ada.hear(), "* bob has joined")
            eve = Guest(gateway, "eve")
            self.assertEqual(eve.hear(), "* welcome, eve: 2 more here")
            self.assertEqual(ada.hear(), "* eve has joined")
            self.assertEqual(bob.hear(), "* eve has joined")
            ada.say("hello")
            self.assertEqual(bob.hear(), "ada: hello")
            self.assertEqual(eve.hear(), "ada: hello")
            bob.say("hi ada")
            self.assertEqual(ada.hear(), "bob: hi ada")
            self.assertEqual(eve.hear(), "bob: hi ada")
            eve.sock.close()
            self.assertEqual(ada.hear(), "* eve has left")
            self.assertEqual(bob.hear(), "* eve has left")

    def test_a_name_is_free_again_when_its_guest_was_torn_away(self):
        with Gateway({"handler": "line"}) as gateway:
            ada = Guest(gateway, "ada")
            self.assertEqual(ada.hear(), "* welcome, ada: 0 more here")
            twin = Guest(gateway, "ada")
            self.assertEqual(twin.hear(), "* ada is taken")
            self.assertEqual(twin.hear(), "name?")
            twin.say("bob")
            self.assertEqual(twin.hear(), "* welcome, bob: 1 more here")
            reset(ada.sock)
            self.assertEqual(twin.hear(), "* ada has left")
            again = Guest(gateway, "ada")
            self.assertEqual(again.hear(), "* welcome, ada: 1 more here")

    def test_a_guest_that_hears_nothing_is_out_and_the_others_stay(self):
        with Gateway({"handler": "line"}, limits={"linger": 0.1}) as gateway:
            deaf = Guest(gateway, "deaf")
            deaf.hear()
            ada = Guest(gateway, "ada")
            ada.hear()
            line, said = "x" * 900, 0
            while not gateway.count("code=limit"):
                ada.sock.sendall((line + "\n").encode() * 100)
                said += 100
                self.assertLess(said, 100_000)
            self.assertEqual(ada.hear(), "* deaf has left")
            bob = Guest(gateway, "bob")
            self.assertEqual(bob.hear(), "* welcome, bob: 1 more here")


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Workers(unittest.TestCase):
    """The kernel chooses which of two workers a guest gets."""

    SEATS = 20

    def setUp(self):
        self.gateway = self.enterContext(Gateway(
            {"handler": "line", "options": {"members": self.SEATS}},
            workers=2))
        self.gateway.await_line("worker started", 1)
        self.guests, self.client = [], Guest

    def arrive(self, name):
        guest = self.client(self.gateway, name)
        self.addCleanup(guest.leave)
        return guest

    def enter(self, name):
        workers = self.gateway.workers()
        before = list(map(descriptors, workers))
        guest, here = self.arrive(name), len(self.guests)
        self.assertEqual(guest.hear(), f"* welcome, {name}: {here} more here")
        guest.name, guest.worker = name, next(
            (pid for pid, count in zip(workers, before)
             if descriptors(pid) > count), None)
        self.heard(f"* {name} has joined")
        self.guests.append(guest)
        return guest

    def heard(self, line, but=None):
        for guest in self.guests:
            if guest is not but:
                self.assertEqual(guest.hear(), line)

    def fill_both(self):
        """Guests enter until each worker has two."""
        def most():
            at = [guest.worker for guest in self.guests]
            return min(at.count(pid) for pid in self.gateway.workers())
        while most() < 2:
            self.enter(f"guest{len(self.guests)}")

    def test_guests_hear_each_other_across_workers(self):
        self.client = Netcat
        self.fill_both()
        for guest in self.guests:
            guest.say("one\ntwo")
            self.heard(f"{guest.name}: one", but=guest)
            self.heard(f"{guest.name}: two", but=guest)

    def test_a_name_is_taken_in_all_workers_until_its_guest_leaves(self):
        self.fill_both()
        for _ in range(8):
            self.assertEqual(self.arrive("guest0").hear(), "* guest0 is taken")
        self.guests.pop(0).leave()
        self.heard("* guest0 has left")
        until(lambda: "welcome" in self.arrive("guest0").hear())

    def test_a_room_has_as_many_seats_as_its_config_says(self):
        for number in range(self.SEATS):
            self.enter(f"guest{number}")
        for number in range(8):
            self.assertEqual(self.arrive(f"late{number}").hear(),
                             "* the room is full")

    def test_a_worker_that_dies_takes_its_own_guests_only(self):
        self.fill_both()
        dead = self.guests[0].worker
        os.kill(dead, signal.SIGKILL)
        self.gateway.await_line("worker died")
        gone = [guest for guest in self.guests if guest.worker == dead]
        self.guests = [guest for guest in self.guests if guest.worker != dead]
        for guest in gone:
            self.assertEqual(guest.hear(), "")
        self.enter(gone[0].name).say("back")
        self.heard(f"{gone[0].name}: back", but=self.guests[-1])


if __name__ == "__main__":
    unittest.main(warnings="ignore")
