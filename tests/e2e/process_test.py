#!/usr/bin/python3
"""Whoever runs handlers has given up what it takes to start a gateway: the
identity of who started it, new privileges, and calls that no gateway needs.

Started by root, what runs handlers is nobody; started by anybody else, it is
that one, as there is nobody else that it could be."""
import grp
import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import ask, connect, read_line
from support.control import Case
from support.gateway import FRAMED, Gateway, Lua, PROGRAM, until
from support.pki import Pki

IS_ROOT = os.geteuid() == 0
UID = pwd.getpwnam("nobody").pw_uid if IS_ROOT else os.geteuid()
GID = grp.getgrnam("nogroup").gr_gid if IS_ROOT else os.getegid()
WHO = {"user": pwd.getpwuid(UID).pw_name, "group": grp.getgrgid(GID).gr_name}

# Each line is an expression, answered by its value.
PROBE = """
local ld = require "linedancer"
local ffi = require "ffi"
ffi.cdef "int setuid(unsigned); int unshare(int); int socket(int, int, int);"
local env = setmetatable({ ld = ld, ffi = ffi, C = ffi.C }, { __index = _G })
local states = {}
function states.line(conn)
  local line = conn:unpack 't"\\n"'
  if not line then return end
  local chunk = assert(load("return " .. line, "=line", "t", env))
  conn:write(tostring((chunk())) .. "\\n")
  return "line"
end
return { initial = "line", states = states, timeouts = { 60 } }
"""


def about(pid, key):
    """What the status of process PID says of KEY, as a list of words."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return re.search(rf"^{key}:\s*(.*)", text, re.M).group(1).split()


class Public(Gateway):
    """Its handlers can be read by everybody, but DIRECTORY/own by who starts
    it alone; everybody may write to DIRECTORY/all."""

    def write(self, name, text):
        self.directory.chmod(0o755)
        self.own = self.directory / "own"
        self.own.mkdir(mode=0o700, exist_ok=True)
        self.all = self.directory / "all"
        self.all.mkdir(exist_ok=True)
        self.all.chmod(0o777)
        return super().write(name, text)

    def running(self):
        """The processes that run handlers."""
        return self.workers() or [self.pid]

    def replace(self, old, new):
        path = pathlib.Path(self.config)
        path.write_text(path.read_text().replace(old, new))


class Test(Case):
    def gateway(self, *listen, workers=2, **config):
        def before():
            if IS_ROOT:
                os.setgroups([0, 1])
        gateway = self.start(Public(*listen, workers=workers, before=before,
                                    **WHO, **config))
        for number in range(workers):
            gateway.await_line("worker started", number)
        return gateway

    def value(self, gateway, expression, number=0):
        """What EXPRESSION is, in a handler."""
        with connect(gateway.address(number)) as sock:
            sock.sendall(expression.encode() + b"\n")
            return read_line(sock).decode().rstrip("\n")

    def serves(self, gateway, number=0):
        with connect(gateway.address(number)) as sock:
            self.assertEqual(ask(sock, b"\2hi", 2), b"hi")

    def is_confined(self, pid):
        self.assertEqual(about(pid, "Uid"), [str(UID)] * 4)
        self.assertEqual(about(pid, "Gid"), [str(GID)] * 4)
        self.assertEqual(int(about(pid, "CapPrm")[0], 16), 0)
        self.assertEqual(about(pid, "NoNewPrivs"), ["1"])
        if IS_ROOT:
            groups = os.getgrouplist(WHO["user"], GID)
            self.assertEqual({int(g) for g in about(pid, "Groups")},
                             set(groups))


class Identity(Test):
    def test_whoever_runs_handlers_is_the_user_and_stays_so(self):
        """No process that runs handlers has, or can get back, the rights of
        root; the supervisor, which runs none, stays what it is."""
        for workers in (0, 2):
            gateway = self.gateway({"handler": PROBE}, workers=workers)
            for pid in gateway.running():
                self.is_confined(pid)
            self.assertEqual(self.value(gateway, "C.setuid(0)"), "-1")
            if workers:
                self.assertEqual(about(gateway.pid, "Uid"),
                                 [str(os.geteuid())] * 4)
                self.assertEqual(about(gateway.pid, "NoNewPrivs"), ["0"])
            self.assertEqual(gateway.stop(), 0)

    def test_a_worker_that_takes_another_ones_place_is_the_user(self):
        gateway = self.gateway({"handler": FRAMED})
        os.kill(gateway.workers()[0], signal.SIGKILL)
        gateway.await_line("worker started", 2)
        for pid in gateway.workers():
            self.is_confined(pid)
        self.serves(gateway)

    def test_workers_end_with_their_supervisor(self):
        """Another identity takes the signal for that from them: it is asked
        for again, for those that do not hear that nobody speaks to them."""
        gateway = self.gateway({"handler": FRAMED})
        workers = gateway.workers()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
            self.addCleanup(kill, pid)
        gateway.signal(signal.SIGKILL)
        until(lambda: not any(os.path.exists(f"/proc/{pid}")
                              for pid in workers), "the end of the workers")

    def test_a_handler_is_loaded_by_the_user_at_a_reload_too(self):
        """What a handler does when it is loaded, it does as the user."""
        note = """local f = io.open(%s, "w")
            if f then f:write(io.open("/proc/self/status"):read("*a")) f:close() end
            """
        gateway = self.gateway({"handler": FRAMED})
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o777)
            seen = pathlib.Path(directory) / "seen"
            gateway.write("handler1.lua",
                          note % repr(str(seen)) + FRAMED)
            gateway.signal(signal.SIGHUP)
            gateway.await_line("reloaded version=2")
            text = seen.read_text()
            self.assertRegex(text, rf"Uid:\t{UID}\t{UID}\t{UID}\t{UID}\n")
            self.assertEqual(seen.stat().st_uid, UID)

    def test_handlers_that_only_root_may_read_are_refused(self):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            directory = pathlib.Path(directory)
            (directory / "secret.lua").write_text(FRAMED)
            (directory / "secret.lua").chmod(0)
            keys = f"user = '{WHO['user']}'"
            result = self.refused_to_start(directory, keys, "secret.lua")
            self.assertIn("Permission denied (handlers are read as user "
                          "'nobody')" if IS_ROOT else "was not found", result)

    def refused_to_start(self, directory, keys, handler="h.lua", user=None):
        """What a program says that does not start."""
        (directory / "h.lua").write_text(FRAMED)
        (directory / "c.lua").write_text(
            "return { workers = 1, %s, listen = { { '127.0.0.1:0', handler = "
            "'./%s' } } }" % (keys, handler))
        shutil.copy(PROGRAM, directory / "linedancer")
        result = subprocess.run([directory / "linedancer", "run", "c.lua"],
                                cwd=directory, capture_output=True, text=True,
                                timeout=30, user=user)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertNotIn("traceback", result.stderr)
        return result.stderr

    def test_who_is_not_root_becomes_nobody_else(self):
        with tempfile.TemporaryDirectory() as directory:
            os.chmod(directory, 0o755)
            other = "daemon" if WHO["user"] == "nobody" else "nobody"
            said = self.refused_to_start(
                pathlib.Path(directory), f"user = '{other}'",
                user=UID if IS_ROOT else None)
            self.assertIn(f"user: only root can become '{other}'; start as "
                          f"root, or as '{other}', or remove the key", said)

    def test_who_there_is_not_nobody_becomes(self):
        with tempfile.TemporaryDirectory() as directory:
            for keys, text in (
                    ("user = 'no.such'", "there is no user 'no.such'"),
                    ("user = 'root'", "'root' is root" if IS_ROOT else
                     "user: 'root' is root"),
                    (f"user = '{WHO['user']}', group = 'no.such'",
                     "there is no group 'no.such'")):
                self.assertIn(text, self.refused_to_start(
                    pathlib.Path(directory), keys))

    def test_it_takes_a_restart_to_be_somebody_else(self):
        """A reload cannot give back what has been given up."""
        for workers in (0, 1):
            gateway = self.gateway({"handler": FRAMED}, workers=workers)
            gateway.replace("user", "no_new_privs = false, user")
            gateway.signal(signal.SIGHUP)
            gateway.await_line("reload refused .*no_new_privs: what was given "
                               "up at the start cannot be changed")
            self.serves(gateway)


class Belongings(Test):
    """What only who starts it has, it can use."""

    def test_the_files_of_sockets_are_the_users_and_removed(self):
        """Sockets can be where only root may write, at a reload as well."""
        gateway = self.gateway(
            {"handler": FRAMED, "address": "unix:{dir}/own/a.sock"},
            control="own/control.sock")
        for name in ("a.sock", "control.sock"):
            stat = (gateway.own / name).stat()
            self.assertEqual((stat.st_uid, stat.st_gid), (UID, GID))
        self.serves(gateway)
        gateway.replace("a.sock", "b.sock")
        gateway.signal(signal.SIGHUP)
        gateway.await_line("reloaded version=2")
        with connect(str(gateway.own / "b.sock")) as sock:
            self.assertEqual(ask(sock, b"\2hi", 2), b"hi")
        self.assertEqual((gateway.own / "b.sock").stat().st_uid, UID)
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(os.listdir(gateway.own), [])

    def test_without_workers_sockets_are_bound_before(self):
        """The file may stay, where the user cannot remove it; then it does not
        stand in the way of the next one."""
        gateway = self.gateway(
            {"handler": FRAMED, "address": "unix:{dir}/own/a.sock"},
            {"handler": FRAMED, "address": "unix:{dir}/all/a.sock"}, workers=0)
        self.serves(gateway)
        self.assertEqual((gateway.own / "a.sock").stat().st_uid, UID)
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(os.listdir(gateway.own), ["a.sock"] if IS_ROOT else [])
        self.assertEqual(os.listdir(gateway.all), [])
        again = self.start(subprocess_of(gateway))
        again.expect(rf"listening address=unix:{gateway.own}/a.sock")

    def test_ports_of_root_are_bound_at_a_reload(self):
        gateway = self.gateway({"handler": FRAMED})
        port = free_port(IS_ROOT)
        gateway.replace("127.0.0.1:0", f"127.0.0.1:{port}")
        gateway.signal(signal.SIGHUP)
        gateway.await_line("reloaded version=2")
        with connect(("127.0.0.1", port)) as sock:
            self.assertEqual(ask(sock, b"\2hi", 2), b"hi")

    def pair(self, gateway_or_directory, name):
        """A certificate, and a key that only who starts it may read."""
        pki = Pki(gateway_or_directory)
        made = pki.make("localhost")
        os.chmod(made["key"], 0o600)
        return pki

    def peer(self, gateway, pki):
        """The certificate that a client is shown."""
        client = pki.client("localhost")
        client.check_hostname = False
        with client.wrap_socket(connect(gateway.address()),
                                server_hostname="localhost") as sock:
            self.assertEqual(ask(sock, b"\2hi", 2), b"hi")
            return sock.getpeercert(True)

    def test_keys_that_only_root_may_read_are_read_at_a_reload_too(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        pki = self.pair(directory, "localhost")
        tls = {"certificate": pki.path("localhost.pem"),
               "key": pki.path("localhost.key")}
        gateway = self.gateway({"handler": FRAMED, "tls": tls})
        before = self.peer(gateway, pki)
        self.pair(directory, "localhost")
        gateway.signal(signal.SIGHUP)
        gateway.await_line("reloaded version=2")

        def shows_another():
            """A worker has the version a moment after it is told to."""
            try:
                return self.peer(gateway, pki) != before
            except ssl.SSLCertVerificationError:
                return False
        until(shows_another, "the new certificate")

    def test_without_workers_they_are_read_once(self):
        """A reload by the user, who may not read them, changes nothing."""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        pki = self.pair(directory, "localhost")
        tls = {"certificate": pki.path("localhost.pem"),
               "key": pki.path("localhost.key")}
        gateway = self.gateway({"handler": FRAMED, "tls": tls}, workers=0)
        before = self.peer(gateway, pki)
        gateway.signal(signal.SIGHUP)
        gateway.await_line("reload refused .*Permission denied" if IS_ROOT else
                           "reloaded version=2")
        self.assertEqual(self.peer(gateway, pki), before)


class Filter(Test):
    def test_handlers_can_do_what_a_gateway_needs_and_no_more(self):
        """Programs, other identities and name spaces, and odd sockets are
        refused; files, names and connections are not."""
        for workers in (0, 2):
            gateway = self.gateway({"handler": PROBE}, {"handler": FRAMED},
                                   workers=workers, seccomp=True)
            for pid in gateway.running():
                self.assertEqual(about(pid, "Seccomp"), ["2"])
            for expression, value in (
                    ("os.execute('exit 0') == 0 or os.execute('exit 0') == true",
                     "false"),
                    ("io.popen('echo hi')", "nil"),
                    ("C.unshare(0x10000000) .. ' ' .. ffi.errno()", "-1 1"),
                    ("C.socket(17, 3, 0) .. ' ' .. ffi.errno()", "-1 97"),
                    ("io.open('/etc/hosts') ~= nil", "true"),
                    ("#io.open('/proc/self/status'):read '*a' > 9", "true")):
                self.assertEqual(self.value(gateway, expression), value,
                                 expression)
            up = f"ld.connect('localhost:{gateway.port(1)}', {{ timeout = 5 }})"
            talk = f"(function() local up = {up} up:write '\\2hi' " \
                   "return up:unpack 'c2' end)()"
            self.assertEqual(self.value(gateway, talk), "hi")
            self.serves(gateway, 1)
            gateway.signal(signal.SIGHUP)
            gateway.await_line("reloaded version=2")
            self.serves(gateway, 1)

    def test_without_it_they_can_do_more(self):
        """The expressions of the test above are right."""
        gateway = self.gateway({"handler": PROBE})
        for expression, value in (
                ("os.execute('exit 0') == 0 or os.execute('exit 0') == true",
                 "true"),
                ("io.popen('echo hi'):read '*l'", "hi")):
            self.assertEqual(self.value(gateway, expression), value)

    def test_tls_is_served(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        pki = Pki(directory)
        tls = pki.make("localhost")
        gateway = self.gateway({"handler": FRAMED, "tls": tls}, seccomp=True)
        with pki.client("localhost").wrap_socket(
                connect(gateway.address()),
                server_hostname="localhost") as sock:
            self.assertEqual(ask(sock, b"\2hi", 2), b"hi")

    def test_another_program_takes_over(self):
        """The supervisor, which executes it, is not filtered."""
        gateway = self.gateway({"handler": FRAMED}, seccomp=True)
        gateway.signal(signal.SIGUSR2)
        heir = int(gateway.await_line(r"upgrade pid=(\d+)").group(1))
        self.addCleanup(kill, heir, signal.SIGQUIT)
        gateway.await_line("draining workers=2")
        self.assertEqual(gateway.process.wait(15), 0)
        self.serves(gateway)
        children = f"/proc/{heir}/task/{heir}/children"
        for pid in pathlib.Path(children).read_text().split():
            self.is_confined(pid)

    def test_new_privileges_are_left_to_who_asks_for_them(self):
        gateway = self.gateway({"handler": FRAMED}, no_new_privs=False)
        for pid in gateway.workers():
            self.assertEqual(about(pid, "NoNewPrivs"), ["0"])


class Descriptors(Test):
    def test_too_few_of_them_are_warned_of_once(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256))
        for workers in (0, 2):
            gateway = self.start(Gateway(
                {"handler": FRAMED}, workers=workers, before=few,
                limits={"connections": 1000}))
            for number in range(workers):
                gateway.await_line("worker started", number)
            line = gateway.await_line(
                r"warn  the config allows 1000 connections, but with at most "
                r"256 open files for .* only (\d+) fit.*ulimit -n (\d+)")
            self.assertLess(int(line.group(1)), 256 * max(workers, 1))
            self.assertGreater(int(line.group(2)), 1000 / max(workers, 1))
            self.serves(gateway)
            self.assertEqual(gateway.stop(), 0)
            self.assertEqual(gateway.count("the config allows"), 1)

    def test_enough_of_them_are_not(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256))
        gateway = self.start(Gateway({"handler": FRAMED}, workers=1, before=few,
                                     limits={"connections": 200}))
        gateway.await_line("worker started")
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(gateway.count("the config allows"), 0)


def kill(pid, number=signal.SIGKILL):
    """End process PID, if it is still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def free_port(low):
    """A port that nobody listens on, LOW: one of those for root."""
    for port in range(700, 1000) if low else [0]:
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return sock.getsockname()[1]
    raise AssertionError("no port is free")


class subprocess_of:
    """Runs the config of a Gateway that has ended once more."""

    def __init__(self, gateway):
        self.process = subprocess.Popen([PROGRAM, "run", gateway.config],
                                        stderr=subprocess.PIPE, text=True)

    def expect(self, pattern):
        line = self.process.stderr.readline()
        if not re.search(pattern, line):
            raise AssertionError(f"{line!r} is not {pattern!r}")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


if __name__ == "__main__":
    unittest.main()
