#!/usr/bin/python3
"""Workers are killed and code is reloaded while clients of all kinds come, do
anything, and die; the program has ASan, UBSan and LSan.

  faults_test.py [--minutes N] [--seed N]     (default 0.3, and 1)

Honest clients get every answer that they are owed, unless their worker was
killed.  At the end nothing may be left: connections, tasks, timers and names by
the workers' own count, and descriptors.  Each process that was not killed ends
without a word from a sanitizer."""
import argparse
import os
import pathlib
import random
import signal
import ssl
import sys
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).parent
os.environ["BUILD"] = os.environ.get("BUILD", "build") + "/sanitized"
sys.path.insert(0, str(HERE))
from support import control, gateway as support, honest_kinds as honest
from support.client import ask, connect
from support.crowd import Counts, Crowd, PATIENT, REPORTS, Soaked
from support.gateway import SOURCE, until
from support.pki import Pki

SUPPORT = HERE / "support"
ALIVE = 100    # connections of the crowd at a time
SLOTS = 2
# The supervisor gives up at ten workers that die in a minute.
KILLS = 8      # seconds between two
RELOADS = 2
# What is as it should be: a reload whose worker is killed, and a soak's state
# that is not there, in a connection that moves.
REFUSED = ("error reload refused why=.worker . died while it prepared|"
           "error upgrade failed .*there is no state 'nowhere'")
options = argparse.Namespace(minutes=0.3, seed=1)
support.PATIENCE = PATIENT


class Workers:
    """Which worker a connection is in, and which were killed.  A worker is
    (slot, incarnation).  May be used by all threads."""

    def __init__(self, gateway):
        self.gateway, self.lock = gateway, threading.Lock()
        self.killed, self.control = [], None

    def ask(self, command, **arguments):
        """Until a worker that lives on has answered."""
        with self.lock:
            while True:
                try:
                    self.control = self.control or control.Control(
                        self.gateway, PATIENT)
                    return self.control(command, **arguments)
                except OSError:
                    if self.control:
                        self.control.close()
                    self.control = None

    def hang_up(self):
        with self.lock:
            if self.control:
                self.control.close()
            self.control = None

    def mark(self):
        return len(self.killed)

    def home_of(self, sock, listener):
        """The worker of the connection SOCK to LISTENER, as others may have
        the same port; None when it cannot be told."""
        own = "%s:%d" % sock.getsockname()
        for one in self.ask("conns", peer=own, listener=listener)["conns"]:
            if one["peer"] == own:
                return tuple(map(int, one["id"].split(".")[:2]))
        return None

    def excuse(self, homes, mark):
        """May connections in HOMES, which began at MARK, break?  One whose
        worker is not known may if any was killed since."""
        if homes and None not in homes:
            return any(home in self.killed for home in homes)
        return len(self.killed) > mark

    def all(self):
        """The workers, once all are there: { pid: (slot, incarnation) }."""
        def look():
            status = self.ask("status")
            return "problems" not in status and status["workers"]
        return {one["pid"]: (one["worker"], one["incarnation"])
                for one in until(look, "all workers")}

    def kill(self, chance):
        pid, worker = chance.choice(sorted(self.all().items()))
        self.killed.append(worker)
        os.kill(pid, signal.SIGKILL)
        self.gateway.await_line("worker died", len(self.killed) - 1)
        self.gateway.await_line("worker started",
                                SLOTS + len(self.killed) - 1)
        self.all()


class Chaos(threading.Thread):
    """Kills workers, and reloads with changed handlers, FILES, in between."""

    def __init__(self, gateway, workers, files):
        super().__init__(daemon=True)
        self.gateway, self.workers, self.files = gateway, workers, files
        self.chance = random.Random(options.seed)
        self.done, self.error = threading.Event(), None
        self.reloads, self.refused = 0, 0

    def change(self):
        name = self.chance.choice(sorted(self.files))
        self.gateway.write(name, self.files[name] +
                           f"\n-- change {self.reloads}\n")

    def reload(self):
        self.change()
        self.reloads += 1
        if self.chance.random() < 0.5:
            self.gateway.signal(signal.SIGHUP)
            return
        try:
            self.workers.ask("reload")
        except control.Refused:
            self.refused += 1  # that of a signal may be under way

    def run(self):
        try:
            killed = time.monotonic() - KILLS / 2
            while not self.done.wait(RELOADS):
                self.reload()
                if time.monotonic() - killed >= KILLS:
                    killed = time.monotonic()
                    self.workers.kill(self.chance)
        except Exception as error:
            self.error = error


COMMANDS = [b"PING\r\n", b"INCR n\r\n", b"*2\r\n$3\r\nGET\r\n$1\r\nn\r\n",
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$50000\r\n", b"GET big\r\n" * 50,
            b"RPUSH l a b\r\nLRANGE l 0 -1\r\n", b"*1\r\n$-5\r\n", b"DEL l\r\n"]


class Mob(Crowd):
    """A crowd some of whom talk to others than the soak's own handler.
    PLACES are (address, function of chance that says what to send)."""

    def __init__(self, addresses, chance, places):
        super().__init__(addresses, chance)
        self.places, self.kinds = places, {}

    def join(self):
        try:
            self.connect()
        except ConnectionResetError:
            pass  # the worker that had taken it was killed at that moment

    def connect(self):
        if self.chance.random() < 0.5:
            return super().join()
        address, words = self.chance.choice(self.places)
        sock = connect(address, self.chance.choice((None, 4096)))
        sock.setblocking(False)
        self.socks.append(sock)
        self.kinds[sock] = words
        self.opened += 1

    def leave(self, place):
        self.kinds.pop(self.socks[place], None)
        super().leave(place)

    def talk(self, sock):
        words = self.kinds.get(sock)
        if not words:
            return super().talk(sock)
        text = words(self.chance)
        if self.chance.random() < 0.2:
            text = text[:self.chance.randrange(len(text) + 1)]
        self.sent += sock.send(text)


def any_bytes(chance):
    return chance.randbytes(chance.randrange(1, 3000))


def a_line(chance):
    return b"j%d\n" % chance.randrange(1000)


def hello(context):
    """The beginning of a TLS handshake, as a client says it."""
    out = ssl.MemoryBIO()
    one = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="a.test")
    try:
        one.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def descriptors(pid):
    """What each of the process's is, without the number of its kind."""
    folder, kinds = pathlib.Path(f"/proc/{pid}/fd"), []
    for one in os.listdir(folder):
        try:
            kinds.append(os.readlink(folder / one).split(":")[0])
        except OSError:
            pass  # it was closed right now
    return sorted(kinds)


def is_same(now, before):
    """Are descriptors as they were?  One pipe, for splice(), is made when it
    is needed, and kept."""
    return now in (before, sorted(before + ["pipe", "pipe"]))


class Faults(control.Case):
    def gateway(self, pki):
        """All that is to be met, with handlers that can be changed."""
        path = pki.directory / "s"
        self.files = {name: (SOURCE / "handlers" / name).read_text()
                      for name in ("echo.lua", "line.lua")}
        soak = {"handler": str(SUPPORT / "soak.lua"),
                "options": {"unix": str(path)}}
        one = self.start(Soaked(
            {"handler": "./echo.lua", "name": "Echo"},
            {"handler": "resp", "name": "Store"},
            {"handler": "./line.lua", "name": "Pair"},
            {"handler": "./echo.lua", "tls": pki.make("a.test"), "name": "Tls"},
            soak, {**soak, "address": f"unix:{path}"},
            {"handler": str(SUPPORT / "soak_control.lua")},
            files=self.files, workers=SLOTS, control="control.sock",
            path=[str(SUPPORT)], limits={"heartbeat": PATIENT}))
        for number in range(SLOTS):
            one.await_line("worker started", number)
        return one

    def honest(self, gateway, workers, pki):
        """Two of each kind."""
        kinds = []
        for i in "12":
            kinds += [
                honest.Echo(i, gateway.address(0), workers),
                honest.Store(i, gateway.address(1), workers),
                honest.Pair(i, gateway.address(2), workers),
                honest.Tls(i, gateway.address(3), workers,
                           pki.client("a.test"), "a.test")]
        return kinds

    def mob(self, gateway, pki):
        words = hello(pki.client("a.test"))
        return Mob([gateway.address(4), gateway.address(5)],
                   random.Random(options.seed), [
            (gateway.address(0), any_bytes),
            (gateway.address(1), lambda c: b"".join(c.choices(COMMANDS, k=5))),
            (gateway.address(2), a_line), (gateway.address(3), any_bytes),
            (gateway.address(3), lambda _: words)])

    def play(self, gateway, mob, threads):
        """Go on for as long as it is wanted, or until something is wrong."""
        end = time.monotonic() + 60 * options.minutes
        steps = 0
        while time.monotonic() < end and not any(t.error for t in threads):
            while len(mob.socks) < ALIVE:
                mob.join()
            mob.step()
            steps += 1
            if steps % 40 == 0:
                self.keep_pace(gateway)
        mob.clear()

    def keep_pace(self, gateway):
        """Let the gateway come this far."""
        try:
            with connect(gateway.address(0)) as sock:
                ask(sock, b"x")
        except OSError:
            pass  # its worker was killed

    def held(self, gateway, workers):
        """When nobody is there: the descriptors of each process, and what the
        workers still hold, which should be None."""
        until(lambda: workers.ask("status")["connections"] == 0,
              "a gateway without connections")
        by_slot = {slot: pid for pid, (slot, _) in workers.all().items()}
        workers.hang_up()
        counts = Counts(gateway.address(6), SLOTS)
        counts.sweep()
        left = counts.left()
        for sock in counts.socks.values():
            sock.close()
        return [descriptors(pid) for pid in
                [gateway.pid] + [by_slot[slot] for slot in sorted(by_slot)]
                ], left

    def assert_as_before(self, gateway, workers, before):
        held = None

        def is_as_before():
            nonlocal held
            held = self.held(gateway, workers)
            return held[1] is None and all(map(is_same, held[0], before))
        try:
            until(is_as_before)
        except AssertionError:
            self.fail(f"{held} is left, and not {before}")

    def test_nothing_is_lost_and_nothing_is_left(self):
        directory = tempfile.TemporaryDirectory(prefix="ld-faults-")
        self.addCleanup(directory.cleanup)
        pki = Pki(directory.name)
        gateway = self.gateway(pki)
        workers = Workers(gateway)
        before, left = self.held(gateway, workers)
        self.assertIsNone(left)
        chaos = Chaos(gateway, workers, self.files)
        crowd, mob = self.honest(gateway, workers, pki), self.mob(gateway, pki)
        for one in [chaos, *crowd]:
            one.start()
        self.play(gateway, mob, [chaos, *crowd])
        chaos.done.set()
        chaos.join(PATIENT)
        try:
            for one in crowd:
                one.stop(PATIENT)
            if chaos.error:
                raise chaos.error
        except Exception:
            print(f"killed: {workers.killed}\n{gateway.log()}")
            raise
        self.report(mob, crowd, chaos, workers)
        self.assert_as_before(gateway, workers, before)
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(gateway.count("worker died"), len(workers.killed))
        self.assertEqual(gateway.count(REPORTS) - gateway.count(REFUSED),
                         len(workers.killed), gateway.log())

    def report(self, mob, crowd, chaos, workers):
        answers = {one.label: (one.answers, one.excused, one.repeats)
                   for one in crowd}
        print(f"\n{mob.opened} connections (seed {options.seed}), "
              f"{len(workers.killed)} workers killed, {chaos.reloads} reloads, "
              f"{chaos.refused} refused; answers to the honest, how many lost "
              f"their worker, and what was said again: {answers}", file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--minutes", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=1)
    rest = parser.parse_known_args(namespace=options)[1]
    unittest.main(argv=sys.argv[:1] + rest, warnings="ignore")
