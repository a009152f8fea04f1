#!/usr/bin/python3
"""The control socket: what it tells and changes, and that nobody who abuses it
is noticed by anybody else."""
import json
import os
import pathlib
import pty
import select
import signal
import stat
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import control
from support.client import Bystander, ask, connect, read_all, read_line
from support.control import Control
from support.gateway import BUILD, FRAMED, PROGRAM, run, until

LINE = """
local ld = require "linedancer"
local states = {}
function states.line(conn)
  local line = conn:read_line()
  if not line then return end
  conn:write(line, "\\n")
  return "line"
end
return { initial = "line", states = states, timeouts = { 60 },
  commands = {
    add = function(a, b) return a + b end,
    nothing = function() end,
    wait = function() ld.sleep(0.01) return { "waited" } end,
    fail = function() error "no luck" end,
  } }
"""

# It never is between frames: only a drain's end ends it.
STUBBORN = """
return { states = { held = function(conn)
  conn:unpack "B"
  conn:expect(100)
end }, timeouts = { 60 }, on_drain = function() end }
"""


# Prints what each shell would offer for the words it is given.
COMPLETE = {
    "bash": 'source <(linedancer completion bash); COMP_LINE="$*"; '
            'COMP_POINT=${#COMP_LINE}; _linedancer "$1"; '
            'printf "%s\\n" "${COMPREPLY[@]}"',
    "zsh": 'compdef() {}; compadd() { shift; print -l -- "$@" }; '
           '_files() { print files }; eval "$(linedancer completion zsh)"; '
           'words=("$@") CURRENT=$#; _linedancer',
}


class Case(control.Case):
    def gateway(self, *handlers, **config):
        return self.controlled(*({"handler": h} for h in handlers or (LINE,)),
                               **config)


class Asking(Case):
    def test_it_is_its_owners_alone(self):
        gateway = self.gateway()
        mode = os.stat(self.control.path).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        gateway.stop()
        self.assertFalse(os.path.exists(self.control.path))

    def test_it_tells_of_connections_in_all_workers(self):
        for workers in 0, 2:
            with self.subTest(workers=workers):
                gateway = self.gateway(workers=workers)
                clients = [self.client(gateway) for _ in range(20)]
                for client in clients:
                    ask(client, b"a\n")
                status = self.control("status")
                self.assertEqual(status["connections"], 20)
                self.assertEqual(len(status["workers"]), max(workers, 1))
                conns = self.control("conns")["conns"]
                self.assertEqual(
                    sorted(c["peer"] for c in conns),
                    sorted("%s:%d" % c.getsockname() for c in clients))
                self.assertEqual({(c["state"], c["version"]) for c in conns},
                                 {("line", 1)})
                self.assertEqual(len(self.control("conns", limit=3)["conns"]),
                                 3)

    def test_connections_are_found_by_what_they_are(self):
        gateway = self.gateway(LINE, STUBBORN)
        self.client(gateway)
        held = self.client(gateway, 1)
        held.sendall(b"x")
        peer = "%s:%d" % held.getsockname()
        listener = until(lambda: [
            c for c in self.control("conns", peer=peer)["conns"]
            if c["state"] == "held"])[0]["listener"]
        for found, filters in (
                (1, {"handler": "handler2"}), (0, {"handler": "handler3"}),
                (1, {"state": "held"}), (2, {"version": 1}),
                (0, {"version": 2}), (2, {"peer": "127.0.0.1:"}),
                (0, {"older": 3600}), (2, {"older": 0}),
                (1, {"state": "held", "peer": peer}),
                (2 if listener == "127.0.0.1:0" else 1,
                 {"listener": listener})):
            with self.subTest(filters):
                conns = self.control("conns", **filters)["conns"]
                self.assertEqual(len(conns), found)

    def test_a_connection_is_ended(self):
        gateway = self.gateway()
        client, other = self.client(gateway), self.client(gateway)
        ask(client, b"a\n")
        peer = "%s:%d" % client.getsockname()
        conn = self.control("conns", peer=peer)["conns"][0]["id"]
        self.assertEqual(self.control("kill", conn=conn), [conn])
        self.assertEqual(read_all(client), b"")
        self.assertEqual(ask(other, b"b\n"), b"b\n")
        self.assertIn("no connection", self.refused("kill", conn=conn))

    def test_a_handlers_own_commands(self):
        self.gateway()
        call = {"handler": "handler1"}
        self.assertEqual(self.control("call", name="add", args=[1, 2],
                                      **call), 3)
        self.assertEqual(self.control("call", name="nothing", **call), True)
        self.assertEqual(self.control("call", name="wait", **call),
                         ["waited"])
        self.assertIn("no luck", self.refused("call", name="fail", **call))
        self.assertIn("did you mean 'add'",
                      self.refused("call", name="ad", **call))
        self.assertIn("did you mean 'handler1'",
                      self.refused("call", name="add", handler="handler"))

    def test_limits_and_the_log_are_set(self):
        gateway = self.gateway(workers=1)
        self.assertEqual(self.control("set", name="limits.connections",
                                      value=2), 2)
        clients = [self.client(gateway) for _ in range(2)]
        for client in clients:
            ask(client, b"a\n")
        late = self.client(gateway)
        late.sendall(b"late\n")
        until(lambda: any(listener["full"] for worker in
                          self.control("status")["workers"]
                          for listener in worker["listeners"]))
        self.control("set", name="limits.connections", value=100)
        self.assertEqual(read_line(late), b"late\n")
        self.assertIn("cannot be set", self.refused("set", name="x", value=1))
        self.control("loglevel", level="debug")
        self.client(gateway)
        gateway.await_line("debug connection opened")
        self.assertIn("did you mean 'debug'",
                      self.refused("loglevel", level="debg"))

    def test_lua_runs_in_each_worker(self):
        self.gateway()
        self.assertEqual(self.control("eval", code="1 + 1, nil, 'x'"),
                         [{"slot": n, "result": ["2", "nil", "x"]}
                          for n in (1, 2)])
        self.assertEqual(self.control("eval", code="y = 5", worker=2),
                         [{"slot": 2, "result": []}])
        self.assertIn("attempt to", self.refused("eval", code="nope()"))

    def test_a_worker_that_hangs_is_told_of(self):
        gateway = self.gateway()
        mine = {w["pid"]: w["worker"] for w in
                self.control("status")["workers"]}
        answering = self.control("eval", code="require('linedancer.bus').slot")
        self.assertEqual(len(answering), 2)
        for victim in gateway.workers():
            os.kill(victim, signal.SIGSTOP)
            fresh = None
            try:
                fresh = Control(gateway, patience=4)
                status = fresh("status")
                self.assertEqual(
                    status["problems"],
                    ["worker %d does not answer" % mine[victim]])
                return
            except TimeoutError:
                pass  # it is the one that accepted
            finally:
                os.kill(victim, signal.SIGCONT)
                if fresh:
                    fresh.close()
        self.fail("no worker answers")


class Tracing(Case):
    def trace(self, gateway, client, **arguments):
        """A control connection that traces CLIENT, and its events so far."""
        peer = "%s:%d" % client.getsockname()
        conn = until(lambda: self.control("conns", peer=peer)["conns"])[0]["id"]
        tracer = self.start(Control(gateway))
        tracer.sock.sendall(json.dumps({
            "command": "trace", "conn": conn, **arguments}).encode() + b"\n")
        first = json.loads(tracer.file.readline())
        self.assertEqual(first["event"]["what"], "state")
        return conn, tracer

    def events(self, tracer, count):
        events = []
        for _ in range(count):
            event = json.loads(tracer.file.readline())["event"]
            events.append([event["what"]] + event["values"])
        return events

    def test_it_shows_what_a_connection_does_and_costs_others_nothing(self):
        gateway = self.gateway()
        # One on each worker, as the tracer is on one of them.
        for client in [self.client(gateway) for _ in range(4)]:
            ask(client, b"before\n")
            other = self.client(gateway)
            conn, tracer = self.trace(gateway, client)
            ask(other, b"other\n")
            ask(client, b"read already\n")
            self.assertEqual(self.events(tracer, 2), [
                ["write", '"read already"', '"\\n"'], ["state", '"line"']])
            client.sendall(b"he")
            ask(client, b"llo\0\n", 7)
            self.assertEqual(self.events(tracer, 3), [
                ["read_line", "0x68656c6c6f00"],
                ["write", "0x68656c6c6f00", '"\\n"'],
                ["state", '"line"']])
            self.assertIn("traced already", self.refused("trace", conn=conn))
            client.close()
            self.assertEqual(self.events(tracer, 2),
                             [["read_line", "nil"], ["closed", '"done"']])
            self.assertEqual(json.loads(tracer.file.readline())["result"], 8)

    def test_bytes_may_be_hidden_and_it_ends_in_time(self):
        gateway = self.gateway()
        client = self.client(gateway)
        conn, tracer = self.trace(gateway, client, hidden=True, seconds=0.5)
        ask(client, b"secret\nsecret\n")
        self.assertEqual(self.events(tracer, 4), [
            ["write", "<6 bytes>", "<1 bytes>"], ["state", "<4 bytes>"],
            ["read_line", "<6 bytes>"], ["write", "<6 bytes>", "<1 bytes>"]])
        self.events(tracer, 1)
        self.assertTrue(json.loads(tracer.file.readline())["ok"])
        ask(client, b"on\n")
        self.assertEqual(len(self.control("conns")["conns"]), 1)
        self.trace(gateway, client)  # and can begin again
        self.assertIn("no connection", self.refused("trace", conn="9.9.9.9"))
        self.assertIn("above 0", self.refused("trace", conn=conn, seconds=0))

    def test_one_that_moves_to_newer_code_is_traced_no_more(self):
        gateway = self.gateway()
        client = self.client(gateway)
        ask(client, b"a\n")
        _, tracer = self.trace(gateway, client)
        gateway.write("handler1.lua", LINE.replace(
            'conn:write(line', 'conn:write("new ", line'))
        self.control("reload")
        until(lambda: self.control.versions() == {2: 1})
        ask(client, b"b\n", 6)
        self.assertEqual(self.events(tracer, 1), [["moved", 2]])

    def test_the_program_shows_it(self):
        gateway = self.gateway()
        client = self.client(gateway)
        ask(client, b"a\n")
        conn = self.control("conns")["conns"][0]["id"]
        told = run("trace", conn, "--for", "0.3", "--control",
                   self.control.path)
        self.assertRegex(told.stdout, r"^ +[0-9.]+  state +\"line\"\n"
                         "1 events\n$")


class Draining(Case):
    def test_a_listener_drains_and_comes_back(self):
        gateway = self.gateway(LINE, "echo")
        listener = self.control("status")["workers"][0]["listeners"][1]
        clients = [self.client(gateway, 1) for _ in range(10)]
        for client in clients:
            ask(client, b"a")
        other = self.client(gateway)
        result = self.control("drain", handler="echo", deadline=2)
        self.assertEqual(result["cut"], [])
        for client in clients:
            self.assertEqual(read_all(client), b"")
        self.assertEqual(ask(other, b"b\n"), b"b\n")
        late = self.client(gateway, 1)
        late.sendall(b"late")
        self.assertEqual(self.control("drain", handler="echo", cancel=True),
                         {"cancelled": True})
        self.assertEqual(late.recv(4), b"late")
        self.assertEqual(listener["handler"], "echo")
        self.assertIn("unknown handler", self.refused("drain", handler="x"))

    def test_those_that_do_not_finish_are_cut_and_listed(self):
        gateway = self.gateway(STUBBORN)
        clients = [self.client(gateway) for _ in range(5)]
        for client in clients:
            client.sendall(b"x")
        until(lambda: len(self.control("conns", state="held")["conns"]) == 5)
        result = self.control("drain", handler="handler1", deadline=0.3)
        self.assertEqual(result["cut"], {"held": 5})

    def process_of(self, gateway, worker):
        try:
            return {w["worker"]: w["pid"]
                    for w in self.control("status")["workers"]}.get(worker)
        except OSError:  # it was that worker's
            self.control = self.start(Control(gateway))

    def test_a_worker_drains_and_another_takes_its_place(self):
        gateway = self.gateway(FRAMED, "echo")
        half = [self.client(gateway) for _ in range(12)]
        with Bystander(gateway.address(1)) as bystander:
            for client in half:
                client.sendall(b"\x04ab")
            until(lambda: len([c for c in self.control("conns")["conns"]
                               if c["unread"] == 2]) == 12)
            other = 1 + (self.worker_of(bystander) == 1)
            former = self.process_of(gateway, other)
            self.assertEqual(self.control("drain", worker=other, deadline=60),
                             {"draining": True, "worker": other})
            gateway.await_line(f"draining worker={other} seconds=60")
            for client in half:
                client.sendall(b"cd")
                self.assertEqual(client.recv(4), b"abcd")
            until(lambda: self.process_of(gateway, other) not in (None, former))
            late = [self.client(gateway) for _ in range(12)]
            for client in late:
                self.assertEqual(ask(client, b"\x01x", 1), b"x")
        self.assertEqual(gateway.count("worker died|worker killed"), 0)

    def worker_of(self, bystander):
        port = bystander.sock.getsockname()[1]
        conns = self.control("conns", peer=f"127.0.0.1:{port}")["conns"]
        return int(conns[0]["id"].split(".")[0])

    def worker_that_is_left(self):
        """One without connections leaves at once, and whoever asks it."""
        try:
            control = self.start(Control(self.gateway_now))
            problems = control("status").get("problems", [])
            return control if "worker" in "".join(problems) else None
        except (ConnectionError, BrokenPipeError):
            return None

    def test_the_whole_gateway_drains_and_can_be_watched(self):
        gateway = self.gateway_now = self.gateway(STUBBORN, drain=3)
        client = self.client(gateway)
        client.sendall(b"x")
        until(lambda: self.control("conns", state="held")["conns"])
        self.assertEqual(self.control("drain"), {"draining": True})
        gateway.await_line("draining workers=2")
        self.assertRaises(OSError, self.client, gateway)
        self.control = until(self.worker_that_is_left)
        self.assertEqual(len(self.control("conns")["conns"]), 1)
        self.assertIn("stopping", self.refused("reload"))
        client.sendall(b"y" * 100)
        self.assertEqual(gateway.wait(), 0)


class Abuse(Case):
    def test_what_is_no_request_is_answered_and_dropped(self):
        gateway = self.gateway()
        with Bystander(gateway.address()):
            for junk, answer in (
                    (b"\n", "not JSON"), (b"hello\n", "not JSON"),
                    (b"\0\xff" * 100 + b"\n", "not JSON"),
                    (b"[" * 1000 + b"\n", "not JSON"),
                    (b"x" * (1 << 17) + b"\n", "at most 65536 bytes")):
                sock = self.start(connect(self.control.path))
                sock.sendall(junk)
                said = json.loads(read_all(sock))
                self.assertFalse(said["ok"])
                self.assertIn(answer, said["error"])
            for request in (5, [], {}, {"command": 5}, {"command": "stats"},
                            {"command": "conns", "limit": "x"},
                            {"command": "status", "x": 1}):
                self.assertFalse(self.control.request(request)["ok"])
            self.assertIn("did you mean 'status'", self.refused("stats"))
            self.assertEqual(self.control("status")["connections"], 1)

    def test_a_line_without_end_costs_nothing(self):
        gateway = self.gateway(workers=0)
        with Bystander(gateway.address()):
            sock = self.start(connect(self.control.path))
            before = gateway.status("VmRSS")
            sent = 0
            try:
                while sent < 1 << 30:
                    sent += sock.send(b"x" * (1 << 20))
            except OSError:
                pass
            self.assertLess(sent, 1 << 26)
            self.assertLess(gateway.status("VmRSS"), before + 4096)

    def test_500_clients_that_say_nothing(self):
        gateway = self.gateway()
        with Bystander(gateway.address()):
            crowd = [self.start(connect(self.control.path))
                     for _ in range(500)]
            self.assertEqual(self.control("status")["connections"], 1)
            for sock in crowd:
                sock.close()
            fresh = self.start(Control(gateway))
            self.assertEqual(fresh("status")["connections"], 1)

    def test_a_client_that_never_reads(self):
        gateway = self.gateway(workers=0)
        clients = [self.client(gateway) for _ in range(50)]
        with Bystander(gateway.address()):
            sock = self.start(connect(self.control.path, receive=4096))
            sock.settimeout(0.2)
            sent = 0
            try:
                while sent < 1 << 24:
                    sent += sock.send(b'{"command":"conns"}\n' * 100)
            except TimeoutError:
                pass
            self.assertLess(gateway.status("VmRSS"), 64 << 10)
            self.assertEqual(len(self.control("conns")["conns"]), 51)
        self.assertEqual(len(clients), 50)


class Program(Case):
    def test_its_commands_show_tables_and_json(self):
        gateway = self.gateway()
        client = self.client(gateway)
        ask(client, b"a\n")
        told = run("conns", "--control", self.control.path)
        self.assertEqual((told.returncode, told.stderr), (0, ""))
        self.assertRegex(told.stdout, r"^ID +PEER +HANDLER +STATE .*\n\S+ +"
                         r"127\.0\.0\.1:\d+ +handler1 +line +1 .*\n$")
        told = run("conns", "--config", gateway.config, "--json")
        self.assertEqual(len(json.loads(told.stdout)["conns"]), 1)
        told = run("status", "--control", self.control.path)
        self.assertIn("version 1, 1 connections", told.stdout)
        told = run("call", "handler1", "add", "1", "2", "--control",
                   self.control.path)
        self.assertEqual(told.stdout, "3\n")
        told = run("console", "--control", self.control.path,
                   stdin="1 + 1\n\nerror 'x'\nfor i = 3, 3 do\n  return i\nend\n")
        self.assertEqual((told.returncode, told.stdout),
                         (1, "1: 2\n2: 2\n1: 3\n2: 3\n"))
        told = run("kill", "9.9.9.9", "--control", self.control.path)
        self.assertEqual((told.returncode, told.stdout), (1, ""))
        self.assertIn("no connection", told.stderr)
        told = run("drain", gateway.ports[0], "--control", self.control.path)
        self.assertIn("unknown listener", told.stderr)

    def complete(self, shell, *words):
        """What SHELL offers in the place of the last of WORDS."""
        path = f"{BUILD}:{os.environ['PATH']}"
        told = subprocess.run(
            [shell, *({"bash": ["--norc"], "zsh": ["-f"]}[shell]), "-c",
             COMPLETE[shell], shell, "linedancer", *words], text=True,
            capture_output=True, timeout=15, env=dict(
                os.environ, PATH=path, LINEDANCER_CONTROL=self.control.path))
        self.assertEqual(told.stderr, "")
        return told.stdout.split()

    def test_shells_complete_what_there_is(self):
        gateway = self.gateway()
        client = self.client(gateway)
        ask(client, b"a\n")
        [conn] = self.control("conns")["conns"]
        for shell in COMPLETE:
            with self.subTest(shell):
                self.assertEqual(self.complete(shell, "re"), ["reload"])
                self.assertEqual(self.complete(shell, "reload", "--p"),
                                 ["--promote"])
                self.assertEqual(self.complete(shell, "kill", ""),
                                 [conn["id"]])
                self.assertEqual(self.complete(shell, "conns", "--state", "l"),
                                 ["line"])
                self.assertEqual(self.complete(shell, "drain", "127.0.0.1:"),
                                 ["0" if shell == "bash" else "127.0.0.1:0"])
                self.assertEqual(self.complete(shell, "check", "x"),
                                 ["files"] * (shell == "zsh"))

    def see(self, terminal, text):
        """Read until TEXT has come."""
        seen = b""
        while not seen.endswith(text):
            self.assertTrue(select.select([terminal], [], [], 15)[0], seen)
            seen += os.read(terminal, 1)

    def test_the_console_remembers_what_was_typed(self):
        gateway = self.gateway()
        history = gateway.directory / "history"
        for keys in b"20 + 2\n", b"\x1b[A\n":  # the second is "up"
            terminal, other = pty.openpty()
            console = subprocess.Popen(
                [PROGRAM, "console", "--control", self.control.path, "--worker",
                 "1"], stdin=other, stdout=other, stderr=other,
                env=dict(os.environ, LINEDANCER_HISTORY=str(history),
                         TERM="vt100"))
            os.close(other)
            self.see(terminal, b"linedancer> ")
            os.write(terminal, keys)
            self.see(terminal, b"22\r\n")
            self.see(terminal, b"linedancer> ")

            def has_ended():
                # libedit asks before it listens: a ^D in between is none, and
                # stays in the line.
                os.write(terminal, b"\x15\4")
                if select.select([terminal], [], [], 0)[0]:
                    try:
                        os.read(terminal, 1000)  # or it waits for that
                    except OSError:
                        pass
                return console.poll() is not None
            until(has_ended)
            self.assertEqual(console.returncode, 0)
            os.close(terminal)
        self.assertEqual(history.stat().st_mode & 0o777, 0o600)

    def test_it_says_when_there_is_no_gateway(self):
        told = run("status", "--control", "/nonexistent/x.sock")
        self.assertEqual((told.returncode, told.stdout), (3, ""))
        self.assertIn("no gateway at /nonexistent/x.sock", told.stderr)
        told = run("conns", "--older", "x")
        self.assertEqual(told.returncode, 2)
        self.assertIn("--older takes a number", told.stderr)
        self.assertEqual(run("kill").returncode, 2)
        self.assertEqual(run("status", "extra").returncode, 2)
        self.assertEqual(run("status", "--help").returncode, 0)


if __name__ == "__main__":
    unittest.main()
