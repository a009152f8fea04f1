#!/usr/bin/python3
"""The chat room of handler line, with three guests."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read_line, reset
from support.gateway import Gateway


class Guest:
    def __init__(self, gateway, name):
        self.sock = connect(gateway.address())
        assert self.hear() == "name?"
        self.say(name)

    def say(self, text):
        self.sock.sendall(text.encode() + b"\n")

    def hear(self):
        return read_line(self.sock).decode().rstrip("\n")


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


if __name__ == "__main__":
    unittest.main(warnings="ignore")
