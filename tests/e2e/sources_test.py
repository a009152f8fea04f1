#!/usr/bin/python3
"""What one source of clients may take up, and how long a connection may last:
set in the config and while the gateway runs, counted and told."""
import pathlib
import socket
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import control
from support.client import ask, connect, read
from support.gateway import Lua, until

TALKER = """
return function(conn)
  while conn:read_line() do conn:write(("x"):rep(900000), "\\n") end
end
"""


def connect_from(host, address):
    return socket.create_connection(address, 15, (host, 0))


class Case(control.Case):
    def serving(self, *listen, **limits):
        if "per_source" in limits:
            limits["per_source"] = Lua("{ %s }" % ", ".join(
                f"{k} = {v}" for k, v in limits["per_source"].items()))
        return self.controlled(*(listen or ({"handler": "echo"},)), workers=1,
                               limits=limits, log={"level": "debug"})

    def client(self, gateway, host="127.0.0.1", listener=0):
        return self.start(connect_from(host, gateway.address(listener)))

    def comes_in(self, gateway, host="127.0.0.1"):
        """Is one more client served?"""
        try:
            return self.is_served(self.client(gateway, host))
        except ConnectionError:
            return False

    def is_served(self, sock):
        try:
            return ask(sock, b"hello") == b"hello"
        except ConnectionError:
            return False

    def met(self):
        return self.control("status")["workers"][0]["limits_met"]


class Sources(Case):
    def test_connections(self):
        gateway = self.serving(per_source={"connections": 2})
        kept = [self.client(gateway) for _ in range(2)]
        self.assertTrue(all(map(self.is_served, kept)))
        self.assertFalse(self.comes_in(gateway))
        gateway.await_line("connection refused .*limit=per_source.connections")
        self.assertTrue(self.comes_in(gateway, "127.0.0.2"))
        kept.pop().close()
        until(lambda: self.comes_in(gateway))
        self.assertGreater(self.met()["per_source.connections"], 0)
        self.control("set", name="limits.per_source.connections", value=0)
        for _ in range(10):
            self.assertTrue(self.comes_in(gateway))

    def test_networks(self):
        gateway = self.serving(per_source={"connections": 1, "v4": 24})
        self.assertTrue(self.comes_in(gateway, "127.0.0.2"))
        self.assertFalse(self.comes_in(gateway, "127.0.0.3"))
        self.assertTrue(self.comes_in(gateway, "127.0.1.3"))

    def test_new_connections(self):
        gateway = self.serving(per_source={"rate": 5})
        served = [self.comes_in(gateway) for _ in range(30)]
        self.assertEqual(served[:5], [True] * 5)
        self.assertIn(False, served)
        self.assertTrue(self.comes_in(gateway, "127.0.0.2"))
        gateway.await_line("connection refused .*limit=per_source.rate")
        until(lambda: self.comes_in(gateway))
        self.assertGreater(self.met()["per_source.rate"], 0)

    def test_bytes_are_slowed_down_and_not_lost(self):
        """In all that the source has sent at once more than a second's worth;
        another one is not slowed down."""
        gateway = self.serving(per_source={"bytes": 200000})
        sock = self.client(gateway)
        with self.client(gateway, "127.0.0.2") as other:
            data = bytes(range(256)) * 2000
            sock.setblocking(False)
            sent, got = 0, bytearray()
            while len(got) < len(data):
                try:
                    sent += sock.send(data[sent:sent + 65536])
                except BlockingIOError:
                    pass
                try:
                    got += sock.recv(1 << 20)
                except BlockingIOError:
                    time.sleep(0.001)
                self.assertTrue(self.is_served(other))
        self.assertEqual(bytes(got), data)
        self.assertGreater(self.met()["per_source.bytes"], 0)

    def test_piped_bytes_are_slowed_down_too(self):
        gateway = self.serving()
        gateway = self.serving(
            {"handler": "proxy",
             "options": {"upstream": gateway.ports[0]}},
            per_source={"bytes": 200000})
        sock = self.client(gateway)
        data = b"y" * 500000
        sock.setblocking(False)
        sent, got = 0, 0
        while got < len(data):
            try:
                sent += sock.send(data[sent:sent + 65536])
            except BlockingIOError:
                pass
            try:
                got += len(sock.recv(1 << 20))
            except BlockingIOError:
                time.sleep(0.001)
        self.assertGreater(self.met()["per_source.bytes"], 0)

    def test_clients_behind_a_proxy_are_told_apart(self):
        gateway = self.serving(
            {"handler": "echo", "proxy_protocol": Lua('{ "127.0.0.0/8" }')},
            per_source={"connections": 1})

        def served(host):
            sock = self.client(gateway)
            try:
                sock.sendall(b"PROXY TCP4 %s 5.6.7.8 80 443\r\n" %
                             host.encode())
                return self.is_served(sock)
            except ConnectionError:
                return False
        self.assertTrue(served("1.2.3.4"))
        self.assertTrue(served("1.2.3.5"))
        self.assertFalse(served("1.2.3.4"))


class Times(Case):
    def test_a_life_ends(self):
        gateway = self.serving(lifetime=0.4)
        sock = self.client(gateway)
        try:
            while sock.send(b"x") and sock.recv(10):
                time.sleep(0.01)
        except ConnectionError:
            pass
        gateway.await_line("connection failed .*limit=lifetime")
        self.assertEqual(self.met()["lifetime"], 1)

    def test_a_peer_that_takes_nothing_is_cut_off(self):
        """Though it goes on sending, and its state allows any time."""
        gateway = self.serving({"handler": TALKER}, stall=0.3, output=10**8)
        sock = self.start(connect(gateway.address(), receive=4096))
        slow = self.start(connect(gateway.address(), receive=4096))
        slow.sendall(b"go\n" * 3)
        try:
            for _ in range(500):
                sock.sendall(b"go\n")
                if slow:
                    slow.recv(3000)
                time.sleep(0.005)
        except OSError:
            pass
        gateway.await_line("connection failed .*limit=stall")
        self.assertEqual(self.met()["stall"], 1)
        self.assertTrue(slow.recv(10))

    def test_set_for_those_that_are_there(self):
        gateway = self.serving()
        sock = self.client(gateway)
        self.assertTrue(self.is_served(sock))
        self.control("set", name="limits.lifetime", value=0.1)
        until(lambda: not self.is_served(sock))
        with self.assertRaisesRegex(control.Refused, "a number above 0"):
            self.control("set", name="limits.lifetime", value=0)
        with self.assertRaisesRegex(control.Refused, "these can: "):
            self.control("set", name="limits.liftime", value=1)

    def test_a_listener_of_few(self):
        gateway = self.serving()
        name = self.control("status")["workers"][0]["listeners"][0]["name"]
        first = self.client(gateway)
        self.assertTrue(self.is_served(first))
        self.control("set", name="max_connections." + name, value=1)
        waits = self.client(gateway)
        waits.sendall(b"hello")
        gateway.await_line("accepting paused .*limit=max_connections")
        first.close()
        self.assertEqual(read(waits, 5), b"hello")
        self.assertGreaterEqual(self.met()["connections"], 1)


if __name__ == "__main__":
    unittest.main()
