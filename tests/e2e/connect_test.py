#!/usr/bin/python3
"""Outgoing connections: to every kind of address, with every kind of failure,
and kept for the next who needs one."""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect
from support.gateway import PATIENCE, Gateway, lua, until
from support.upstream import BlackHole, Resolver, Upstream

# Each line is a Lua table: to, opts, say, and what to do with the connection
# once it has answered with a line.  Answers "ok PEER REUSED REPLY" or
# "CODE MESSAGE".
HANDLER = """
local connect = require("linedancer").connect

local function after(conn, up, wish)
  if wish.release then
    up:release()
    local ok, err = pcall(up.read, up, 1)
    if ok or err.code ~= "closed" then conn:fail("released, but alive") end
  elseif not wish.keep then
    up:close()
  end
end

return function(conn)
  for line in conn:lines() do
    local wish = loadstring("return " .. line)()
    local up, err = connect(wish.to, wish.opts)
    if up then
      up:write(wish.say or "hello", "\\n")
      local ok, reply = pcall(up.read_line, up)
      if not ok then reply = reply.code end
      conn:write("ok ", up.peer or "?", " ", tostring(up.reused), " ",
        reply or "nothing", "\\n")
      after(conn, up, wish)
    else
      conn:write(err.code, " ", err.message, "\\n")
    end
  end
end
"""


def echo(line, number):
    return line + b" %d\n" % number


def name_of(address):
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Asker:
    """A client that has the handler connect."""

    def __init__(self, gateway):
        self.sock = connect(gateway.address())
        self.lines = self.sock.makefile("rb")

    def tell(self, to, opts=None, **wish):
        if not isinstance(to, str):
            to = name_of(to)
        wish = {"to": to, "opts": opts or {}, **wish}
        self.sock.sendall(lua(wish).encode() + b"\n")

    def answer(self):
        return self.lines.readline().decode().rstrip("\n")

    def ask(self, to, opts=None, **wish):
        self.tell(to, opts, **wish)
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.lines.close()
        self.sock.close()


def resolving(resolver):
    """To be called in a process before it runs the gateway."""
    return lambda: os.environ.update(LINEDANCER_RESOLVER=resolver.address)


class Case(unittest.TestCase):
    """A gateway and a client of it for each test."""

    before, workers = None, 0

    def setUp(self):
        gateway = Gateway({"handler": HANDLER}, before=self.before,
                          workers=self.workers)
        self.gateway = self.enterContext(gateway)
        self.asker = self.enterContext(Asker(gateway))

    def enterContext(self, manager):
        self.addCleanup(manager.__exit__, None, None, None)
        return manager.__enter__()

    def ask(self, to, opts=None, **wish):
        return self.asker.ask(to, opts, **wish)


class Addresses(Case):
    def test_tcp_over_ipv4_and_ipv6(self):
        for family, host in (socket.AF_INET, "127.0.0.1"), \
                (socket.AF_INET6, "::1"):
            with self.subTest(host), Upstream(echo, family, (host, 0)) as up:
                self.assertEqual(self.ask(up.address, say="hey"),
                                 f"ok {name_of(up.address)} false hey 1")

    def test_a_unix_socket(self):
        with tempfile.TemporaryDirectory() as directory:
            path = directory + "/up.sock"
            with Upstream(echo, socket.AF_UNIX, path):
                self.assertEqual(self.ask("unix:" + path),
                                 "ok unix: false hello 1")
            self.assertRegex(self.ask("unix:" + path), "^refused unix:")
            self.assertRegex(self.ask("unix:/no/such"), "^refused unix:/no/su")

    def test_a_name_of_the_hosts_file(self):
        with Upstream(echo) as up:
            self.assertEqual(self.ask(f"localhost:{up.address[1]}"),
                             f"ok {name_of(up.address)} false hello 1")

    def test_a_redis_server(self):
        with tempfile.TemporaryDirectory() as directory:
            path = directory + "/redis.sock"
            redis = subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", path,
                 "--save", "", "--dir", directory],
                stdout=subprocess.DEVNULL)
            try:
                until(lambda: os.path.exists(path), "redis")
                self.assertEqual(self.ask("unix:" + path, say="PING"),
                                 "ok unix: false +PONG")
            finally:
                redis.kill()
                redis.wait()

    def test_from_where_and_over_what(self):
        with Upstream(echo) as up:
            self.ask(up.address, {"source": "127.0.0.9", "bind": "lo"})
            up.until(lambda up: up.ended)
            self.assertEqual(self.ask(up.address, {"source": "192.0.2.1"}),
                             f"error {name_of(up.address)}: cannot come from "
                             "192.0.2.1: Cannot assign requested address")

    def test_what_is_no_address(self):
        self.assertRegex(self.ask("nohost"), "^error address 'nohost' lacks")


class Workers(Case):
    workers = 2

    def test_each_makes_its_own(self):
        with Upstream(echo) as up:
            askers = [self.enterContext(Asker(self.gateway))
                      for _ in range(20)]
            for asker in askers:
                asker.tell(f"localhost:{up.address[1]}", {"pool": True},
                           release=True)
            for asker in askers:
                self.assertRegex(asker.answer(), "^ok ")
            for pid in self.gateway.workers():
                os.kill(pid, signal.SIGKILL)
            up.until(lambda up: up.ended == len(up.accepted))


class Failures(Case):
    def test_nobody_listens(self):
        with Upstream(echo) as up:
            address = up.address
        self.assertEqual(self.ask(address),
                         f"refused {name_of(address)}: Connection refused")

    def test_nobody_answers_and_others_are_served_meanwhile(self):
        with BlackHole() as hole, Asker(self.gateway) as other:
            self.asker.tell(hole.address, {"timeout": 0.5})
            with Upstream(echo) as up:
                self.assertRegex(other.ask(up.address), "^ok ")
            self.assertEqual(self.asker.answer(),
                             f"timeout {name_of(hole.address)}: "
                             "no connection within 0.5 s")

    def test_who_goes_takes_the_attempt_along(self):
        self.ask("nohost")  # the first client is there
        before = self.gateway.descriptors()
        with BlackHole() as hole:
            with Asker(self.gateway) as other:
                other.tell(hole.address)
                until(lambda: self.gateway.descriptors() == before + 2,
                      "the attempt")
                other.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      b"\1\0\0\0\0\0\0\0")
            until(lambda: self.gateway.descriptors() == before, "its end")

    def test_who_goes_takes_the_connection_along(self):
        with Upstream(echo) as up:
            with Asker(self.gateway) as other:
                self.assertRegex(other.ask(up.address, keep=True), "^ok ")
            up.until(lambda up: up.ended == 1)


class Names(Case):
    zones = {
        "both.test": {"A": ["127.0.0.1"], "AAAA": ["::1"]},
        "slow.test": {"A": ["127.0.0.1"], "AAAA": None},
        "mute.test": {"A": None, "AAAA": None},
        "empty.test": {},
    }

    def setUp(self):
        resolver = self.enterContext(Resolver(self.zones))
        self.before = resolving(resolver)
        super().setUp()

    def test_names_that_dns_knows(self):
        with Upstream(echo) as up:
            for name in "both.test", "slow.test", "SLOW.test.":
                self.assertEqual(self.ask(f"{name}:{up.address[1]}"),
                                 f"ok {name_of(up.address)} false hello "
                                 f"{len(up.accepted)}")

    def test_names_that_it_does_not_know(self):
        self.assertRegex(self.ask("absent.test:80"),
                         "^dns absent.test: Domain name not found")
        self.assertRegex(self.ask("empty.test:80"), "^dns empty.test: ")

    def test_dns_that_does_not_answer(self):
        self.assertEqual(self.ask("mute.test:80", {"timeout": 0.3}),
                         "timeout mute.test:80: no answer from DNS "
                         "within 0.3 s")

    def test_many_at_a_time(self):
        with Upstream(echo) as up:
            askers = [self.enterContext(Asker(self.gateway))
                      for _ in range(100)]
            for asker in askers:
                asker.tell(f"slow.test:{up.address[1]}")
            for asker in askers:
                self.assertRegex(asker.answer(), "^ok ")


class Pool(Case):
    POOL = {"pool": True}

    def again(self, up, **wish):
        """Connect, and give it back; what became of the connection."""
        answer = self.ask(up.address, self.POOL, **{"release": True, **wish})
        return answer.split(" ", 2)[2]

    def test_a_connection_is_used_again_by_anybody(self):
        with Upstream(echo) as up:
            self.assertEqual(self.again(up), "false hello 1")
            self.assertEqual(self.again(up), "true hello 1")
            with Asker(self.gateway) as other:
                answer = other.ask(up.address, self.POOL, keep=True)
                self.assertRegex(answer, " true hello 1$")
                self.assertEqual(self.again(up), "false hello 2")
            up.until(lambda up: up.ended == 1)  # its owner did not release it
            self.assertEqual(self.again(up), "true hello 2")

    def test_one_that_is_not_released_is_closed(self):
        with Upstream(echo) as up:
            self.assertEqual(self.again(up, release=False), "false hello 1")
            self.assertEqual(self.again(up), "false hello 2")

    def test_one_with_an_answer_too_many_is_not_used_again(self):
        with Upstream(lambda line, n: line + b"\nand more\n") as up:
            self.assertEqual(self.again(up), "false hello")
            up.until(lambda up: up.ended == 1)
            self.assertEqual(self.again(up), "false hello")

    def test_one_that_speaks_unasked_is_not_used_again(self):
        with Upstream(echo) as up:
            self.assertEqual(self.again(up), "false hello 1")
            up.accepted[0].sendall(b"by the way\n")
            self.assertEqual(self.again(up), "false hello 2")
            up.until(lambda up: up.ended == 1)

    def test_one_that_ended_is_not_used_again(self):
        with Upstream(lambda line, n: line + b"\n") as up:
            self.assertEqual(self.again(up), "false hello")
            up.accepted[0].shutdown(socket.SHUT_RDWR)
            self.assertEqual(self.again(up), "false hello")

    def test_one_that_ends_in_place_of_an_answer(self):
        with Upstream(lambda line, n: None) as up:
            self.assertEqual(self.again(up), "false nothing")
            self.assertEqual(self.again(up), "false nothing")

    def test_it_waits_for_so_long_and_not_longer(self):
        with Upstream(echo) as up:
            self.ask(up.address, {"pool": {"idle": 0.05}}, release=True)
            up.until(lambda up: up.ended == 1)

    def test_so_many_wait_and_not_more(self):
        gate = threading.Barrier(3)

        def together(line, number):
            gate.wait(PATIENCE)
            return line + b"\n"

        with Upstream(together) as up:
            askers = [self.enterContext(Asker(self.gateway))
                      for _ in range(3)]
            for asker in askers:
                asker.tell(up.address, {"pool": {"size": 2}}, release=True)
            for asker in askers:
                self.assertRegex(asker.answer(), "^ok ")
            up.until(lambda up: up.ended == 1)
            for asker in askers:
                asker.tell(up.address, {"pool": {"size": 2}}, release=True)
            answers = [asker.answer().split()[2] for asker in askers]
            self.assertEqual(sorted(answers), ["false", "true", "true"])

    def test_other_options_are_another_pool(self):
        with Upstream(echo) as up:
            self.assertEqual(self.again(up), "false hello 1")
            answer = self.ask(up.address, {"source": "127.0.0.7", **self.POOL})
            self.assertRegex(answer, " false hello 2$")

    def test_a_gateway_that_stops_does_not_wait_for_it(self):
        with Upstream(echo) as up:
            self.assertEqual(self.again(up), "false hello 1")
            self.asker.sock.close()
            self.assertEqual(self.gateway.stop(), 0)
            up.until(lambda up: up.ended == 1)


if __name__ == "__main__":
    unittest.main()
