#!/usr/bin/python3
"""Who is honest is served while others attack, and nothing is left of those.

  attacks_test.py [--full]     small attacks, or as large as can be from here

Attackers and honest clients are processes of their own (support/attacker.py
and support/honest.py).  Each attack comes twice.  It is asserted that every
answer to the honest is right, that descriptors and connections are as before,
and that the second time takes no more memory than the first.  What is printed
besides, latencies alone and under attack, depends on the machine."""
import json
import os
import pathlib
import resource
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import control, gateway as support
from support.client import ask, connect
from support.gateway import until

SUPPORT = pathlib.Path(__file__).parent / "support"
FULL = "--full" in sys.argv
HONEST = 20                       # connections
REQUESTS = 5000 if FULL else 300  # of the honest, for each measurement
PATIENT = 200                     # seconds until all of a large attack is there
BIG = 400_000                     # bytes of what the deaf ask for
GROWTH = 2000                     # KB, or a tenth, that a second time may add
TICKS = os.sysconf("SC_CLK_TCK")
if FULL:
    support.PATIENCE = PATIENT


def size(full, small):
    return full if FULL else small


def descriptors(count):
    """To be called in a process before it runs the gateway."""
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def show(one):
    """The latencies of the honest."""
    return (f"p99 {one['p99']} ms (p50 {one['p50']}, most {one['most']}, "
            f"fresh p99 {one['fresh']})")


def keep_apart(pid, serves):
    """Have a large attack's processes and the gateway, which SERVES, use cores
    of their own, as machines of their own would."""
    cores = sorted(os.sched_getaffinity(0))
    if FULL and len(cores) > 1:
        os.sched_setaffinity(pid, cores[:1] if serves else cores[1:])


class Process:
    """A program of tests/e2e/support, which reads and writes lines."""

    def __init__(self, name, *arguments):
        self.process = subprocess.Popen(
            ["/usr/bin/python3", SUPPORT / name, *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        keep_apart(self.process.pid, False)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("a helper has died")
        return line

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Honest(Process):
    def __init__(self, gateway):
        super().__init__("honest.py", gateway.port(), HONEST)
        self.result()

    def result(self):
        answer = json.loads(self.hear())
        if "error" in answer:
            raise AssertionError("of the honest: " + answer["error"])
        return answer

    def ask(self, *words):
        self.tell(" ".join(map(str, words)))
        return self.result()


class Attack(Process):
    def __init__(self, gateway, kind, count, interval=5):
        super().__init__("attacker.py", kind, gateway.port(), count, interval)

    def await_it(self):
        self.hear()

    def end(self):
        """What became of the attacker's connections."""
        self.tell("stop")
        return json.loads(self.hear())


class Attacked(control.Case):
    def gateway(self, **config):
        gateway = self.controlled({"handler": "resp", "backlog": 4096},
                                  workers=0, **config)
        keep_apart(gateway.pid, True)
        with connect(gateway.address()) as sock:
            big = b"$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n%s\r\n" % (BIG, b"x" * BIG)
            self.assertEqual(ask(sock, b"*3\r\n" + big, 5), b"+OK\r\n")
        return gateway

    def facts(self, gateway):
        """What must not grow: (descriptors, connections)."""
        return gateway.descriptors(), self.control("status")["connections"]

    def is_full(self):
        worker = self.control("status")["workers"][0]
        return any(one["full"] for one in worker["listeners"])

    def memory(self, gateway):
        """KB, without what is garbage."""
        self.control("eval", code="collectgarbage()")
        return gateway.status("VmRSS")

    def assert_no_growth(self, memory):
        """MEMORY before, after one time, and after another."""
        self.assertLess(memory[2] - memory[1], max(memory[1] / 10, GROWTH))

    def report(self, attacks, alone, under, memory, ends):
        sums = {}
        for one in ends:
            for key, value in one.items():
                sums[key] = sums.get(key, 0) + value
        print(f"\n{attacks[0][0]} {sum(one[1] for one in attacks)}: alone "
              f"{show(alone)}; under attack {show(under)}; attackers {sums}; "
              f"Rss {' -> '.join(map(str, memory))} KB", file=sys.stderr)


class Attacks(Attacked):
    def strike(self, gateway, honest, attacks):
        """One time: how the honest fared, and what became of the others."""
        running = [self.start(Attack(gateway, *one)) for one in attacks]
        for one, (kind, *_) in zip(running, attacks):
            if kind != "flood":
                one.await_it()
            else:
                until(self.is_full, "a full gateway")
        under = honest.ask("run", REQUESTS)
        for one, (kind, *_) in zip(running, attacks):
            if kind == "flood":
                one.await_it()
        return under, [one.end() for one in running]

    def attack(self, *attacks, fresh=True, **config):
        """ATTACKS, arguments of Attack each, all at once and twice.  Returns
        what became of the attackers' connections the second time."""
        gateway = self.gateway(**config)
        honest = self.start(Honest(gateway))
        honest.ask("fresh", "on" if fresh else "off")
        alone = honest.ask("run", REQUESTS)
        until(lambda: self.facts(gateway)[1] == HONEST)
        before, memory = self.facts(gateway), [self.memory(gateway)]
        for _ in range(2):
            under, ends = self.strike(gateway, honest, attacks)
            until(lambda: self.facts(gateway) == before,
                  f"what was before, {before}, after an attack,")
            memory.append(self.memory(gateway))
        self.report(attacks, alone, under, memory, ends)
        honest.ask("run", REQUESTS)
        self.assert_no_growth(memory)
        self.assertEqual(gateway.count("code=error"), 0)
        self.assertEqual(gateway.stop(), 0)
        return ends

    def test_slow_senders_hold_nobody_up(self):
        for end in self.attack(("slowloris", size(5000, 300), size(5, 0.1))):
            self.assertEqual(end["lost"], 0)

    def test_those_who_come_and_leave_at_once_leave_nothing(self):
        self.attack(("leave", size(20000, 1000)))

    def test_resets_in_the_middle_of_commands_leave_nothing(self):
        self.attack(("reset", size(20000, 1000)))

    def test_those_who_never_read_cost_no_more_than_their_limit(self):
        self.attack(("deaf", size(400, 40)))

    def test_those_beyond_the_limit_wait_and_are_served(self):
        """The listener pauses at limits.connections; the kernel's queue holds
        the rest, and each gets its answer when it is its turn."""
        count = size(12500, 500)
        floods = [("flood", count, 0.2)] * size(4, 2)
        for end in self.attack(*floods, fresh=False,
                               limits={"connections": size(1000, 100)}):
            self.assertEqual(end["answered"], count)


class Descriptors(Attacked):
    def processor(self, gateway):
        """Seconds that the gateway has used."""
        text = pathlib.Path(f"/proc/{gateway.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def exhaust(self, gateway, honest, squat, most):
        """With SQUAT's connections: how the honest fare, and the share of a
        processor that the gateway takes when nobody says anything."""
        squat.await_it()
        until(lambda: gateway.descriptors() == most)
        honest.ask("fresh", "off")
        under = honest.ask("run", REQUESTS)
        began, used = time.monotonic(), self.processor(gateway)
        until(lambda: time.monotonic() - began >= size(5, 1))
        used = self.processor(gateway) - used
        return under, used / (time.monotonic() - began)

    def test_without_descriptors_nothing_spins_and_newcomers_wait(self):
        """Who is connected is served on; the others are when descriptors are
        free again; in between, the gateway sleeps."""
        most, count = size(1000, 200), size(4000, 600)
        gateway = self.gateway(before=descriptors(most))
        honest = self.start(Honest(gateway))
        alone = honest.ask("run", REQUESTS)
        until(lambda: self.facts(gateway)[1] == HONEST)
        before, memory = self.facts(gateway), [self.memory(gateway)]
        for _ in range(2):
            squat = self.start(Attack(gateway, "squat", count))
            under, share = self.exhaust(gateway, honest, squat, most)
            self.assertLess(share, 0.5)
            newcomer = self.client(gateway)
            newcomer.sendall(b"PING\r\n")
            ends = [squat.end()]
            self.assertEqual(ask(newcomer, b"", 7), b"+PONG\r\n")
            newcomer.close()
            until(lambda: self.facts(gateway) == before)
            memory.append(self.memory(gateway))
        self.report([("squat", count)], alone, under, memory, ends)
        print(f"exhausted, it took {100 * share:.1f} % of a processor",
              file=sys.stderr)
        honest.ask("fresh", "on")
        honest.ask("run", REQUESTS)
        self.assert_no_growth(memory)
        self.assertEqual(gateway.stop(), 0)


if __name__ == "__main__":
    unittest.main(argv=[one for one in sys.argv if one != "--full"],
                  warnings="ignore")
