#!/usr/bin/python3
"""New code while connections live: what moves and when, and that whatever is
wrong with it changes nothing."""
import os
import pathlib
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import control
from support.client import ask, connect, read_line
from support.control import Control
from support.gateway import run, until

CONNECTIONS = int(os.environ.get("RELOAD_CONNECTIONS", "200"))
RELOADS = int(os.environ.get("RELOADS", "40"))

# A frame is a line; its answer has the word of the code, the line, how many
# the connection has had, and which versions it has come from.
TALK = """
local word = require "words.word"
local states = {}
function states.line(conn)
  local line = conn:read_line()
  if not line then return end
  conn.count = (conn.count or 0) + 1
  conn:write(word, " ", line, " ", conn.count, " ", conn.from or "-", "\\n")
  return "line"
end
return { initial = "line", states = states, timeouts = { 60 },
  upgrade = function(conn, from) conn.from = (conn.from or "") .. from end }
"""

BROKEN = {
    "syntax": ("return (", "unexpected symbol"),
    "raises": ("error 'no luck'", "no luck"),
    "module": ("return require 'words.gone'", "module 'words.gone' not found"),
    "type": ("return 5", "returned 5"),
    "states": ("return { states = {} }", "states is empty"),
    "key": ("return { sates = {} }", "did you mean 'states'?"),
    "initial": ("return { initial = 'x', states = { line = print } }",
                "initial = 'x' names no state"),
    "state": ("return { states = { other = print } }",
              "there is no state 'line'"),
    "timeout": ("return { states = { line = print }, timeouts = { x = 5 } }",
                "timeouts.x names no state"),
    "returned": ("return { initial = 'line', states = { line = function(c) "
                 "c:read(1) return 'lime' end } }", "lime"),
}


class Case(control.Case):
    def gateway(self, workers=2, handler=TALK, **config):
        return self.controlled({"handler": handler}, workers=workers,
                               files={"words/word.lua": "return 'one'"},
                               **config)

    def say(self, gateway, word):
        gateway.write("words/word.lua", f"return '{word}'")


class Reload(Case):
    def test_connections_move_when_they_may(self):
        for workers in 0, 2:
            with self.subTest(workers=workers):
                gateway = self.gateway(workers)
                fresh, half = self.client(gateway), self.client(gateway)
                half.sendall(b"ha")
                until(lambda: [c for c in self.control("conns")["conns"]
                               if c["unread"] == 2])
                self.say(gateway, "two")
                result = self.control("reload")
                self.assertEqual(result["version"], 2)
                self.assertIn("words/word.lua has changed",
                              " ".join(result["changes"]))
                until(lambda: self.control.versions() == {1: 1, 2: 1})
                fresh.sendall(b"a\n")
                self.assertEqual(read_line(fresh), b"two a 1 1\n")
                half.sendall(b"lf\nb\n")
                self.assertEqual(read_line(half), b"one half 1 -\n")
                self.assertEqual(read_line(half), b"two b 2 1\n")
                until(lambda: self.control.versions() == {2: 2})

    def test_a_dry_run_changes_nothing(self):
        gateway = self.gateway()
        self.say(gateway, "two")
        result = self.control("reload", dry=True)
        self.assertEqual(len(result["changes"]), 1)
        client = self.client(gateway)
        client.sendall(b"a\n")
        self.assertEqual(read_line(client), b"one a 1 -\n")

    def test_what_is_broken_is_refused_and_the_old_code_serves_on(self):
        gateway = self.gateway()
        client = self.client(gateway)
        for number, (name, (text, why)) in enumerate(BROKEN.items(), 1):
            with self.subTest(name):
                gateway.write("handler1.lua", text)
                self.assertIn(why, self.refused("reload"))
                client.sendall(b"a\n")
                self.assertEqual(read_line(client), b"one a %d -\n" % number)
        gateway.write("handler1.lua", TALK)
        self.assertEqual(self.control("reload")["version"], 2)

    def test_code_that_never_ends_is_refused_in_time(self):
        gateway = self.gateway(limits={"heartbeat": 1},
                               log={"level": "debug"})
        client = self.client(gateway)
        gateway.write("handler1.lua", "while true do end")
        waiting = self.start(Control(gateway))
        waiting.sock.sendall(b'{"command":"reload"}\n')
        gateway.await_line("debug reload pid")
        self.assertIn("under way", self.refused("reload"))  # one at a time
        client.sendall(b"a\n")
        self.assertEqual(read_line(client), b"one a 1 -\n")
        self.assertIn(b"not evaluated within 3 seconds",
                      waiting.file.readline())

    def test_in_a_single_process_it_is_refused_too(self):
        gateway = self.gateway(workers=0)
        client = self.client(gateway)
        gateway.write("handler1.lua", "while true do end")
        gateway.signal(signal.SIGHUP)
        gateway.await_line("reload refused .*computed for too long")
        client.sendall(b"a\n")
        self.assertEqual(read_line(client), b"one a 1 -\n")
        gateway.write("handler1.lua", "for _ = 1, 3e8 do end " + TALK)
        self.assertEqual(self.control("reload")["version"], 2)

    def test_an_upgrade_that_raises_leaves_the_connection_where_it_was(self):
        gateway = self.gateway()
        client = self.client(gateway)
        client.sendall(b"a\n")
        read_line(client)
        gateway.write("handler1.lua", TALK.replace(
            'conn.from = (conn.from or "") .. from',
            "conn.count = 100 error 'no luck'"))
        self.control("reload")
        client.sendall(b"b\n")
        self.assertEqual(read_line(client), b"one b 2 -\n")
        self.assertEqual(sum(one["failures"] for one in
                             self.control("versions")["versions"]), 1)

    def test_a_hangup_reloads_too(self):
        for workers in 0, 2:
            with self.subTest(workers=workers):
                gateway = self.gateway(workers)
                self.say(gateway, "two")
                gateway.signal(signal.SIGHUP)
                gateway.await_line("reloaded version=2")
                client = self.client(gateway)
                client.sendall(b"a\n")
                self.assertEqual(read_line(client)[:8], b"two a 1 ")
                gateway.write("handler1.lua", "return (")
                gateway.signal(signal.SIGHUP)
                gateway.await_line("reload refused")

    def test_who_stays_on_old_code_is_told_and_ended_in_time(self):
        loop = TALK.replace("local line = conn:read_line()", """
  if conn.loops then
    for line in conn:lines() do
      conn:write(conn:stale() and "true " or "not  ", line, "\\n")
    end
  end
  local line = conn:read_line()
  conn.loops = true""")
        gateway = self.gateway(handler=loop, retire=1)
        client = self.client(gateway)
        client.sendall(b"a\n")
        read_line(client)
        client.sendall(b"b\n")
        self.assertEqual(read_line(client), b"not  b\n")
        self.say(gateway, "two")
        self.control("reload")
        until(lambda: ask(client, b"c\n", 7).startswith(b"true"))
        fresh = self.client(gateway)
        self.assertEqual(client.recv(1), b"")  # a second later
        fresh.sendall(b"d\n")
        self.assertEqual(read_line(fresh), b"two d 1 -\n")

    def test_files_are_watched(self):
        gateway = self.gateway(watch=True)
        client = self.client(gateway)
        for number, word in enumerate(("two", "three"), 2):
            part = gateway.directory / "words/word.lua"
            if number == 2:
                part.write_text(f"return '{word}'")
            else:  # as editors do
                fresh = gateway.directory / "words/word.lua.new"
                fresh.write_text(f"return '{word}'")
                fresh.rename(part)
            gateway.await_line(f"reloaded version={number}")
            until(lambda: self.control.versions() == {number: 1})
            client.sendall(b"a\n")
            self.assertEqual(read_line(client).split()[0], word.encode())
        part.write_text("return (")
        gateway.await_line("reload refused")
        (gateway.directory / "notes.txt").write_text("nothing of ours")
        part.write_text("return 'four'")
        gateway.await_line("reloaded version=4")
        self.assertEqual(gateway.count("reloaded"), 3)

    def test_a_worker_that_dies_comes_back_with_the_version_that_holds(self):
        gateway = self.gateway()
        self.say(gateway, "two")
        self.control("reload")
        gateway.write("handler1.lua", "return (")
        self.assertTrue(self.refused("reload"))
        victims = gateway.workers()
        self.control.close()
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        gateway.await_line("worker started", 3)
        client = self.client(gateway)
        client.sendall(b"a\n")
        self.assertEqual(read_line(client), b"two a 1 -\n")

    def test_a_worker_that_dies_in_the_midst_leaves_all_of_one_version(self):
        gateway = self.gateway(log={"level": "debug"})
        gateway.write("handler1.lua", "for _ = 1, 5e8 do end " + TALK)
        self.say(gateway, "two")
        victim = max(gateway.workers())
        waiting = self.start(Control(gateway))
        waiting.sock.sendall(b'{"command":"reload"}\n')
        gateway.await_line("debug reload pid")
        until(lambda: gateway.count("reloaded") or
              self.is_busy(gateway, victim))
        os.kill(victim, signal.SIGKILL)
        gateway.await_line("worker started", 2)
        gateway.await_line("reload(ed| refused)")
        words = set()
        for _ in range(16):
            client = self.client(gateway)
            client.sendall(b"a\n")
            words.add(read_line(client).split()[0])
        self.assertEqual(len(words), 1, words)

    def is_busy(self, gateway, pid):
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "R"


class Trial(Case):
    def words(self, gateway, count):
        """The words that so many new connections get, which stay."""
        words = []
        for _ in range(count):
            client = self.client(gateway)
            client.sendall(b"a\n")
            words.append(read_line(client).split()[0].decode())
        return words

    def test_some_new_connections_try_it_and_then_all(self):
        gateway = self.gateway()
        old = self.words(gateway, 10)
        self.say(gateway, "two")
        result = self.control("reload", canary=20, seconds=2)
        self.assertEqual((result["version"], result["trial"]), (2, True))
        until(lambda: [one for one in self.control("versions")["versions"]
                       if one.get("trial")])
        words = self.words(gateway, 100)
        self.assertTrue(15 <= words.count("two") <= 25, words.count("two"))
        self.assertEqual(set(old), {"one"})
        self.assertEqual(self.control.versions(),
                         {1: 110 - words.count("two"), 2: words.count("two")})
        self.assertIn("under way", self.refused("reload"))
        gateway.await_line("trial passed .*failed=0")
        gateway.await_line("reloaded version=2")
        until(lambda: self.control.versions() == {2: 110})
        self.assertEqual(set(self.words(gateway, 10)), {"two"})

    def test_what_fails_is_taken_back(self):
        gateway = self.gateway()
        gateway.write("handler1.lua", TALK.replace(
            "conn.count = (", "error 'no luck' conn.count = ("))
        self.control("reload", canary=50, seconds=60, errors=5)
        for _ in range(40):
            client = self.client(gateway)
            client.sendall(b"a\n")
            client.recv(100)
        gateway.await_line('reload refused why="it failed .* connections, '
                           'more than 5 %"')
        until(lambda: 2 not in self.control.versions() and
              not [one for one in self.control("versions")["versions"]
                   if one.get("trial")])
        self.assertEqual(set(self.words(gateway, 10)), {"one"})
        gateway.write("handler1.lua", TALK)
        self.say(gateway, "two")
        self.assertEqual(self.control("reload")["version"], 3)

    def test_it_is_ended_by_hand(self):
        gateway = self.gateway()
        for word, verdict in ("two", "revert"), ("three", "promote"):
            self.say(gateway, word)
            self.assertIn("no trial", self.refused("reload", **{verdict: True}))
            self.control("reload", canary=50, seconds=60)
            until(lambda: [one for one in self.control("versions")["versions"]
                           if one.get("trial")])
            self.control("reload", **{verdict: True})
            gateway.await_line("reloaded version=3" if verdict == "promote"
                               else "reload refused .*by hand")
        until(lambda: set(self.words(gateway, 8)) == {"three"})

    def serving(self):
        return {one["version"] for one in self.control("versions")["versions"]
                if one.get("current")}

    def test_what_nobody_confirms_is_taken_back(self):
        gateway = self.gateway()
        config = pathlib.Path(gateway.config)
        config.write_text(config.read_text().replace(
            "listen = {", "listen = { { '127.0.0.1:0', handler = 'echo' }, ",
            1))
        self.say(gateway, "two")
        client = self.client(gateway)
        result = self.control("reload", confirm=1)
        self.assertEqual((result["version"], result["unconfirmed"]), (2, 1))
        added = gateway.await_line(r"listening address=127.0.0.1:(\d+) "
                                   "handler=echo").group(1)
        self.assertIn("confirmed or reverted first", self.refused("reload"))
        gateway.await_line("reverting version=2 .*nobody confirmed")
        gateway.await_line("reloaded version=3")
        until(lambda: self.serving() == {3} and
              self.control.versions() == {3: 1})
        client.sendall(b"a\n")
        self.assertEqual(read_line(client)[:4], b"one ")
        until(lambda: self.is_refused(("127.0.0.1", int(added))))
        self.assertEqual(self.control("reload")["version"], 4)
        until(lambda: set(self.words(gateway, 8)) == {"two"})

    def test_what_cannot_go_back_does_not_hinder_it(self):
        gateway = self.gateway()
        client = self.client(gateway)
        gateway.write("handler1.lua", TALK.replace(
            "states.line", "states.row").replace(
            '"line"', '"row"').replace(
            "(conn.from or \"\") .. from end", "(conn.from or \"\") .. from "
            "return \"row\" end"))
        self.say(gateway, "two")
        self.control("reload", confirm=60)
        until(lambda: self.control.versions() == {2: 1})
        self.control("reload", revert=True)
        gateway.await_line("reloaded version=3")
        client.sendall(b"a\n")
        self.assertEqual(read_line(client)[:6], b"two a ")
        self.assertEqual(set(self.words(gateway, 8)), {"one"})
        self.assertEqual(self.control.versions()[2], 1)

    def is_refused(self, address):
        try:
            connect(address).close()
        except OSError:
            return True

    def test_what_is_confirmed_stays(self):
        gateway = self.gateway()
        for verdict, word in ("promote", "two"), ("revert", "three"):
            self.assertIn("nothing to confirm",
                          self.refused("reload", **{verdict: True}))
            self.say(gateway, word)
            self.control("reload", confirm=60)
            for victim in gateway.workers()[:1]:  # which changes nothing
                started = gateway.count("worker started")
                self.control.close()
                os.kill(victim, signal.SIGKILL)
                gateway.await_line("worker started", started)
            self.control = self.start(Control(gateway))
            self.control("reload", **{verdict: True})
            until(lambda: set(self.words(gateway, 8)) == {"two"})

    def test_a_worker_that_dies_ends_it(self):
        gateway = self.gateway()
        self.say(gateway, "two")
        self.control("reload", canary=50, seconds=60)
        os.kill(gateway.workers()[0], signal.SIGKILL)
        gateway.await_line("reload refused .*died during the trial")
        gateway.await_line("worker started", 2)
        until(lambda: set(self.words(gateway, 8)) == {"one"})

    def test_what_makes_no_sense_is_refused(self):
        gateway = self.gateway()
        for arguments, why in (({"canary": 0}, "above 0"),
                               ({"canary": 100}, "below 100"),
                               ({"canary": 5, "seconds": 0}, "from 1"),
                               ({"canary": 5, "errors": 101}, "0 to 100"),
                               ({"canary": 5, "confirm": 5}, "not go together"),
                               ({"confirm": 0}, "from 1"),
                               ({"canary": "x"}, "must be a number")):
            self.assertIn(why, self.refused("reload", **arguments))
        alone = self.gateway(workers=0)
        self.assertIn("takes workers", self.refused("reload", canary=5))
        self.assertTrue(gateway and alone)
        told = run("reload", "--canary", "lots")
        self.assertEqual(told.returncode, 2)
        self.assertIn("a share such as 10%", told.stderr)


class Listeners(Case):
    def rewrite(self, gateway, change):
        path = pathlib.Path(gateway.config)
        path.write_text(change(path.read_text()))

    def test_one_is_added_and_removed_while_its_connections_live(self):
        gateway = self.gateway()
        path = str(gateway.directory / "x.sock")
        before = pathlib.Path(gateway.config).read_text()
        self.rewrite(gateway, lambda text: text.replace(
            "listen = {", "listen = { { 'unix:x.sock', handler = 'echo' }, "
            "{ '127.0.0.1:0', handler = 'echo' }, ", 1))
        changes = " ".join(self.control("reload")["changes"])
        self.assertIn("unix:", changes)
        self.assertIn("is added, for echo", changes)
        tcp = gateway.await_line(r"listening address=(127\S+) handler=echo")
        host, port = tcp.group(1).split(":")
        by_tcp = [self.start(connect((host, int(port)))) for _ in range(8)]
        by_path = [self.start(connect(path)) for _ in range(8)]
        for sock in by_tcp + by_path:
            self.assertEqual(ask(sock, b"hello"), b"hello")
        pathlib.Path(gateway.config).write_text(before)
        self.assertIn("is removed", " ".join(self.control("reload")["changes"]))
        for sock in by_tcp + by_path:
            self.assertEqual(ask(sock, b"still"), b"still")
        self.assertFalse(os.path.exists(path))
        self.assertRaises(OSError, connect, (host, int(port)))

    def test_a_port_that_is_taken_refuses_all(self):
        gateway = self.gateway()
        self.say(gateway, "two")
        self.rewrite(gateway, lambda text: text.replace(
            "listen = {", "listen = { { '%s', handler = 'echo' }, " %
            gateway.ports[0], 1))
        self.assertIn("cannot listen on", self.refused("reload"))
        client = self.client(gateway)
        client.sendall(b"a\n")
        self.assertEqual(read_line(client), b"one a 1 -\n")

    def test_another_number_of_workers_takes_a_restart(self):
        gateway = self.gateway()
        self.rewrite(gateway, lambda text: text.replace('["workers"] = 2',
                                                        "workers = 3")
                     .replace("workers = 2", "workers = 3"))
        self.assertIn("takes a restart", self.refused("reload"))


class Talker(threading.Thread):
    """Sends numbered lines on CONNECTIONS, split anywhere, and fails at the
    first answer that is lost, doubled or out of order."""

    def __init__(self, address, count):
        super().__init__(daemon=True)
        self.socks = [connect(address) for _ in range(count)]
        self.rounds, self.error, self.stopped = 0, None, False

    def run(self):
        try:
            while not self.stopped:
                self.rounds += 1
                line = b"n%d\n" % self.rounds
                cut = self.rounds % len(line)
                for sock in self.socks:
                    sock.sendall(line[:cut])
                for sock in self.socks:
                    sock.sendall(line[cut:])
                for sock in self.socks:
                    parts = read_line(sock).split()
                    if parts[1:3] != [b"n%d" % self.rounds,
                                      b"%d" % self.rounds]:
                        raise AssertionError(f"{parts} to {line}")
        except Exception as error:
            self.error = error

    def close(self):
        self.stopped = True
        self.join(30)
        for sock in self.socks:
            sock.close()


class Load(Case):
    def test_many_reloads_lose_nothing(self):
        gateway = self.gateway()
        talker = self.start(Talker(gateway.address(), CONNECTIONS))
        talker.start()
        began = time.monotonic()
        for number in range(2, RELOADS + 2):
            self.say(gateway, "odd" if number % 2 else "even")
            self.assertEqual(self.control("reload")["version"], number)
        rounds = talker.rounds
        until(lambda: talker.error or talker.rounds > rounds + 2)
        self.assertIsNone(talker.error)
        until(lambda: set(self.control.versions()) == {RELOADS + 1})
        talker.close()
        self.assertIsNone(talker.error)
        print(f"{RELOADS} reloads, {CONNECTIONS} connections, "
              f"{talker.rounds} rounds in {time.monotonic() - began:.1f} s",
              file=sys.stderr)

    def used(self):
        """KB that Lua holds on to, in all workers."""
        told = self.control("eval", code="collectgarbage(), "
                            "collectgarbage(), collectgarbage 'count'")
        return sum(float(one["result"][2]) for one in told)

    def test_old_versions_leave_nothing(self):
        gateway = self.gateway()
        self.control("eval", code="jit.off(), jit.flush()")  # traces come late
        clients = [self.client(gateway) for _ in range(20)]
        used = []
        for number in range(60):
            self.say(gateway, "odd" if number % 2 else "even")
            self.control("reload")
            for client in clients:
                ask(client, b"a\n", 10)
            self.control("reload", dry=True)
            gateway.write("handler1.lua", "return (")
            self.refused("reload")
            gateway.write("handler1.lua", BROKEN["state"][0])
            self.refused("reload")
            gateway.write("handler1.lua", TALK)
            used.append(self.used())
        # A version is some 9 KB in each worker.
        self.assertLess(used[-1] - used[20], 40 * 2)


if __name__ == "__main__":
    unittest.main()
