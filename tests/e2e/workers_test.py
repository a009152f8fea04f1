#!/usr/bin/python3
"""Worker processes and their supervisor: who serves, who takes over when one
dies, and that nothing else does."""
import os
import pathlib
import signal
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import ask, connect, read, read_all, read_line
from support.gateway import FRAMED, Gateway, Lua, run, until

WHO = str(pathlib.Path(__file__).parent / "support" / "who.lua")
LINE = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info |warn |error) \S"

# Each line is answered by what the config's function makes of it.
ANSWERING = """
local states = {}
function states.line(conn)
  local line = conn:read_line()
  if not line then return end
  conn:write(conn.options.answer(line), "\\n")
  return "line"
end
return { initial = "line", states = states, timeouts = { 60 },
  options = { answer = function() return "nothing" end } }
"""
ANSWER = Lua("""function(line)
  local crypto = require("linedancer").crypto
  if line == "secret" then return crypto.hex(crypto.secret "a") end
  local file = assert(io.open "/proc/self/stat")
  local pid = file:read "*n"
  file:close()
  return tostring(pid)
end""")


def alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] not in "ZX"


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def open_for_writing(fifo):
    """FIFO, once somebody reads it, or else None."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


def who(address):
    """The process that a new connection is served by; the connection."""
    sock = connect(address)
    sock.sendall(b"who\n")
    return int(read_line(sock)), sock


def with_each(address, pids):
    """A connection to each of PIDS, as they are met."""
    met = {}

    def all_met():
        pid, sock = who(address)
        if pid in met:
            sock.close()
        met.setdefault(pid, sock)
        return set(pids) <= set(met)
    until(all_met, f"a connection to each of {pids}")
    return met


def started(gateway, count):
    """The pids of the first COUNT workers that became ready."""
    return [int(gateway.await_line(r"worker started worker=\d+ pid=(\d+)",
                                   number).group(1))
            for number in range(count)]


class Visitors:
    """Clients that connect, ask one question and leave, over and over.
    RESETS counts those that were cut off, WORST is the longest visit."""

    def __init__(self, address, count=4):
        self.address, self.stopped = address, False
        self.visits, self.resets, self.worst = 0, 0, 0.0
        self.errors, self.lock = [], threading.Lock()
        self.threads = [threading.Thread(target=self.visit, daemon=True)
                        for _ in range(count)]

    def visit(self):
        while not self.stopped:
            since = time.monotonic()
            try:
                sock = connect(self.address)
                try:
                    sock.sendall(b"bye\n")
                    whole = read_all(sock) == b"bye\n"
                except (ConnectionResetError, BrokenPipeError):
                    whole = False
                sock.close()
            except OSError as error:
                self.errors.append(error)
                return
            with self.lock:
                self.visits += 1
                self.resets += not whole
                self.worst = max(self.worst, time.monotonic() - since)

    def more(self, count=200):
        goal = self.visits + count
        until(lambda: self.visits >= goal or self.errors, "more visits")
        if self.errors:
            raise self.errors[0]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.more()
        return self

    def __exit__(self, kind, *rest):
        self.stopped = True
        for thread in self.threads:
            thread.join()
        if self.errors and not kind:
            raise self.errors[0]


class Serving(unittest.TestCase):
    def test_there_is_a_worker_for_each_processor_unless_said_otherwise(self):
        count = len(os.sched_getaffinity(0))
        with Gateway({"handler": WHO}, workers=None) as gateway:
            self.assertEqual(sorted(started(gateway, count)),
                             sorted(gateway.workers()))
            self.assertEqual(gateway.stop(), 0)

    def test_all_workers_serve_each_listener(self):
        with Gateway({"handler": WHO}, {"handler": WHO, "address": "[::]:0"},
                     {"handler": WHO, "address": "unix:{dir}/s"},
                     workers=2) as gateway:
            pids = started(gateway, 2)
            self.assertEqual(gateway.count("listening"), 3)
            for number in range(3):
                address = gateway.address(number)
                if address[0] == "::":
                    address = ("::1", address[1])
                for sock in with_each(address, pids).values():
                    self.assertEqual(ask(sock, b"hello\n"), b"hello\n")
                    sock.close()
            path = gateway.address(2)
            self.assertEqual(gateway.stop(), 0)
            self.assertFalse(os.path.exists(path))

    def test_each_has_the_functions_of_the_config_and_the_same_secret(self):
        secrets = []
        for _ in range(2):
            with Gateway({"handler": ANSWERING, "options": {"answer": ANSWER}},
                         workers=2) as gateway:
                met = with_each(gateway.address(), started(gateway, 2))
                for sock in met.values():
                    sock.sendall(b"secret\n")
                told = {read_line(sock) for sock in met.values()}
                self.assertEqual(len(told), 1, told)
                secrets.append(told.pop())
        self.assertRegex(secrets[0], rb"^[0-9a-f]{64}\s*$")
        self.assertNotEqual(*secrets)

    def test_a_second_gateway_on_the_port_is_refused(self):
        with Gateway({"handler": WHO}, workers=2) as gateway:
            address = "127.0.0.1:%d" % gateway.port()
            for workers in "2", "1", "0":
                second = run("run", "--listen", address, "--handler", WHO,
                             "--workers", workers)
                self.assertEqual(second.returncode, 1)
                self.assertIn(f"cannot listen on {address}: Address already "
                              "in use", second.stderr)
            for sock in with_each(gateway.address(),
                                  started(gateway, 2)).values():
                self.assertEqual(ask(sock, b"hello\n"), b"hello\n")

    def test_limits_on_connections_are_shared_out(self):
        with Gateway({"handler": WHO, "max_connections": 4},
                     workers=2) as gateway:
            pids = started(gateway, 2)
            served = with_each(gateway.address(), pids)
            waiting = [connect(gateway.address()) for _ in range(20)]
            for sock in waiting:
                sock.sendall(b"who\n")
                sock.settimeout(0.2)
            answers = []
            for sock in waiting:
                try:
                    answers.append(int(read_line(sock)))
                except TimeoutError:
                    pass
            for pid in pids:
                self.assertEqual(answers.count(pid), 1, answers)
            self.assertEqual(len(served), 2)


class Dying(unittest.TestCase):
    def test_only_the_connections_of_a_killed_worker_are_lost(self):
        with Gateway({"handler": WHO}, workers=2) as gateway:
            pids = started(gateway, 2)
            victim, survivor = pids
            mine = with_each(gateway.address(), pids)
            with Visitors(gateway.address()) as visitors:
                since = time.monotonic()
                os.kill(victim, signal.SIGKILL)
                fresh = started(gateway, 3)[2]
                ready = time.monotonic() - since
                visitors.more(2000)
            self.assertEqual(ask(mine[survivor], b"hello\n"), b"hello\n")
            self.assertEqual(mine[victim].recv(1), b"")
            with_each(gateway.address(), [survivor, fresh])
            print(f"\n{visitors.visits} visits, {visitors.resets} cut off, "
                  f"longest {1e3 * visitors.worst:.1f} ms, replaced in "
                  f"{1e3 * ready:.0f} ms", file=sys.stderr)
            # Each had at most one question in service.
            self.assertLessEqual(visitors.resets, len(visitors.threads))
            self.assertLess(visitors.worst, 1)
            self.assertLess(ready, 1)
            gateway.await_line(r"worker died worker=\d pid=%d signal=9" %
                               victim)

    def test_clients_of_a_dead_worker_go_to_another_one(self):
        """Those in the queue of its socket are accepted by the survivor."""
        with Gateway({"handler": WHO}, workers=2) as gateway:
            victim, survivor = started(gateway, 2)
            os.kill(victim, signal.SIGSTOP)
            waiting = [connect(gateway.address()) for _ in range(40)]
            for sock in waiting:
                sock.sendall(b"who\n")
            os.kill(victim, signal.SIGKILL)
            for sock in waiting:
                self.assertNotEqual(read_line(sock), b"")

    def test_clients_wait_while_no_worker_lives(self):
        with Gateway({"handler": WHO}, workers=1) as gateway:
            pid = started(gateway, 1)[0]
            with Visitors(gateway.address(), 2) as visitors:
                for _ in range(3):
                    visitors.more(100)
                    os.kill(pid, signal.SIGKILL)
                    visitors.more(100)
                    pid = gateway.workers()[0]
            self.assertLessEqual(visitors.resets, 6)

    def test_a_stopped_worker_is_replaced(self):
        with Gateway({"handler": WHO}, workers=2,
                     limits={"heartbeat": 1}) as gateway:
            victim, survivor = started(gateway, 2)
            os.kill(victim, signal.SIGSTOP)
            gateway.await_line(r"worker killed worker=\d pid=%d "
                               'why="no answer"' % victim)
            fresh = started(gateway, 3)[2]
            with_each(gateway.address(), [survivor, fresh])

    def test_before_that_its_clients_are_served_by_another(self):
        with Gateway({"handler": WHO}, workers=2,
                     limits={"heartbeat": 6}) as gateway:
            victim, survivor = started(gateway, 2)
            os.kill(victim, signal.SIGSTOP)
            waiting = [connect(gateway.address()) for _ in range(20)]
            for sock in waiting:
                sock.sendall(b"who\n")
            for sock in waiting:
                self.assertEqual(int(read_line(sock)), survivor)
            self.assertEqual(gateway.count("worker killed"), 0)
            os.kill(victim, signal.SIGCONT)
            with_each(gateway.address(), [victim, survivor])

    def test_a_worker_whose_handler_never_returns_is_replaced(self):
        with Gateway({"handler": WHO}, workers=2,
                     limits={"heartbeat": 1, "turn": 0}) as gateway:
            pids = started(gateway, 2)
            socks = with_each(gateway.address(), pids)
            victim, survivor = pids
            socks[victim].sendall(b"spin\n")
            gateway.await_line(r"worker killed worker=\d pid=%d " % victim)
            self.assertEqual(socks[victim].recv(1), b"")
            self.assertEqual(ask(socks[survivor], b"hello\n"), b"hello\n")
            with_each(gateway.address(), started(gateway, 3)[1:])

    def test_too_many_deaths_are_given_up_on(self):
        with Gateway({"handler": WHO}, workers=2) as gateway:
            for death in range(11):
                os.kill(started(gateway, 2 + death)[-1], signal.SIGKILL)
            self.assertEqual(gateway.wait(), 1)
            gateway.await_line("giving up .*10 restarts in 60 seconds")

    def test_a_start_that_fails_is_not_tried_again(self):
        handler = ('return { states = { a = function() end }, '
                   'start = function() error "no luck" end }')
        path = pathlib.Path("/tmp") / (self.id() + ".lua")
        path.write_text(handler)
        try:
            result = run("run", "--listen", "127.0.0.1:0", "--handler",
                         str(path), "--workers", "2")
        finally:
            path.unlink()
        self.assertEqual(result.returncode, 1)
        self.assertIn("no luck", result.stderr)
        self.assertIn("could not start", result.stderr)

    def test_a_replacement_runs_what_the_first_one_ran(self):
        """Even when the files have changed, or gone."""
        with Gateway({"handler": "local words = require 'words'\n"
                      "return function(conn) conn:write(words) end"},
                     workers=1, path=["lib"],
                     files={"lib/words.lua": "return 'old'"}) as gateway:
            pid = started(gateway, 1)[0]
            self.assertEqual(read_all(connect(gateway.address())), b"old")
            gateway.write("handler1.lua", "syntax error")
            gateway.write("gateway.lua", "return {}")
            (gateway.directory / "lib" / "words.lua").unlink()
            os.kill(pid, signal.SIGKILL)
            started(gateway, 2)
            self.assertEqual(read_all(connect(gateway.address())), b"old")

    def test_one_that_starts_amid_a_reload_has_no_more_descriptors(self):
        """The supervisor's pipes to the child that loads are not its own."""
        with Gateway({"handler": "return function() end"}, workers=1) as gateway:
            pid = started(gateway, 1)[0]
            before = descriptors(pid)
            gate = str(gateway.directory / "gate")
            os.mkfifo(gate)
            gateway.write("handler1.lua", f"io.open('{gate}'):read()\n"
                          "return function() end")
            gateway.signal(signal.SIGHUP)
            writer = until(lambda: open_for_writing(gate), "a reader")
            self.addCleanup(os.close, writer)
            os.kill(pid, signal.SIGKILL)
            self.assertEqual(descriptors(started(gateway, 2)[1]), before)

    def test_no_worker_outlives_its_supervisor(self):
        with Gateway({"handler": WHO}, workers=2) as gateway:
            pids = started(gateway, 2)
            gateway.signal(signal.SIGKILL)
            self.assertEqual(gateway.wait(), -signal.SIGKILL)
            until(lambda: not any(map(alive, pids)), "the end of the workers")
            with self.assertRaises(ConnectionRefusedError):
                connect(gateway.address())


class Stopping(unittest.TestCase):
    def half_a_frame(self, address, count):
        socks = [connect(address) for _ in range(count)]
        for sock in socks:
            self.assertEqual(ask(sock, b"\1b\5he", 1), b"b")
        return socks

    def test_a_drain_lets_frames_be_finished_in_all_workers(self):
        for number in signal.SIGTERM, signal.SIGINT:
            with Gateway({"handler": FRAMED}, workers=2,
                         drain=30) as gateway:
                started(gateway, 2)
                busy = self.half_a_frame(gateway.address(), 16)
                idle = connect(gateway.address())
                self.assertEqual(ask(idle, b"\1a", 1), b"a")
                gateway.signal(number)
                gateway.await_line("draining workers=2 seconds=30")
                self.assertEqual(read_all(idle), b"")
                with self.assertRaises(ConnectionRefusedError):
                    connect(gateway.address())
                for sock in busy:
                    sock.sendall(b"llo")
                    self.assertEqual(read_all(sock), b"hello")
                self.assertEqual(gateway.wait(), 0)
                self.assertEqual(gateway.count("stopped"), 1)

    def test_the_deadline_of_a_drain_ends_what_is_left(self):
        with Gateway({"handler": FRAMED}, workers=2, drain=0.3) as gateway:
            started(gateway, 2)
            busy = self.half_a_frame(gateway.address(), 4)
            gateway.signal(signal.SIGTERM)
            for sock in busy:
                self.assertEqual(read_all(sock), b"")
            self.assertEqual(gateway.wait(), 0)

    def test_a_worker_that_dies_while_the_gateway_stops_is_told(self):
        with Gateway({"handler": FRAMED}, workers=2, drain=30) as gateway:
            victim = started(gateway, 2)[0]
            busy = self.half_a_frame(gateway.address(), 16)
            gateway.signal(signal.SIGTERM)
            gateway.await_line("draining workers=2")
            os.kill(victim, signal.SIGKILL)
            gateway.await_line("worker died .* signal=9")
            for sock in busy:
                sock.close()
            self.assertEqual(gateway.wait(), 1)

    def test_a_second_signal_or_sigquit_stops_at_once(self):
        for signals in ([signal.SIGTERM, signal.SIGINT], [signal.SIGQUIT]):
            with Gateway({"handler": FRAMED}, workers=2,
                         drain=3600) as gateway:
                started(gateway, 2)
                busy = self.half_a_frame(gateway.address(), 4)
                if len(signals) > 1:
                    gateway.signal(signals[0])
                    gateway.await_line("draining")
                gateway.signal(signals[-1])
                self.assertEqual(gateway.wait(), 0)
                gateway.await_line("stopping now")
                for sock in busy:
                    sock.close()

    def test_signals_to_the_whole_group_drain_too(self):
        """As a terminal or a service manager sends them."""
        with Gateway({"handler": FRAMED}, workers=2, drain=30,
                     before=os.setsid) as gateway:
            started(gateway, 2)
            busy = self.half_a_frame(gateway.address(), 4)
            os.killpg(gateway.pid, signal.SIGINT)
            gateway.await_line("draining workers=2")
            for sock in busy:
                sock.sendall(b"llo")
                self.assertEqual(read_all(sock), b"hello")
            self.assertEqual(gateway.wait(), 0)

    def test_a_worker_that_does_not_answer_is_stopped_too(self):
        with Gateway({"handler": WHO}, workers=2) as gateway:
            victim = started(gateway, 2)[0]
            os.kill(victim, signal.SIGSTOP)
            gateway.signal(signal.SIGQUIT)
            self.assertEqual(gateway.wait(), 0)
            self.assertFalse(alive(victim))

    def test_a_hangup_reloads_in_the_same_processes(self):
        with Gateway({"handler": WHO}, workers=2) as gateway:
            pids = started(gateway, 2)
            gateway.signal(signal.SIGHUP)
            gateway.await_line("info  reloaded version=2")
            self.assertEqual(sorted(gateway.workers()), sorted(pids))


class Logging(unittest.TestCase):
    def test_the_lines_of_all_workers_are_whole(self):
        with Gateway({"handler": WHO}, workers=2) as gateway:
            pids = started(gateway, 2)
            socks = list(with_each(gateway.address(), pids).values())
            for sock in socks:
                sock.sendall(b"shout 5000\nshout 200\n" * 100)
            for sock in socks:
                read(sock, 100 * len(b"shout 5000\nshout 200\n"))
            self.assertEqual(gateway.stop(), 0)
            lines = [line for line in gateway.lines if line]
            self.assertEqual(sum("xxx" in line for line in lines), 400)
            for line in lines:
                self.assertRegex(line, LINE)
                self.assertLess(len(line), 4096)
                if "xxx" in line:
                    self.assertRegex(line, r"x worker=[12]$")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
