"""Starts processes on a core, reads their CPU time and memory, ends them.

Everything started here is ended here: when the runner leaves, however it
leaves, each process and what it started gets SIGTERM, then SIGKILL.
"""

import atexit
import ctypes
import os
import re
import resource
import signal
import socket
import subprocess
import tempfile
import time

SERVER_CORE, LOAD_CORE = 0, 1
START_TIMEOUT = 20.0
STOP_TIMEOUT = 5.0
PR_SET_PDEATHSIG = 1
CPUCLOCK_SCHED = 2

_running = []
_libc = ctypes.CDLL(None)


class Failure(Exception):
    """Something that the person who runs the benchmark has to know."""


def use_all_descriptors():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pin(*cores):
    """Keep to these cores, if there are two; for a child, before it runs."""
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, cores)


def pairs():
    """Cores for two workers and cores for two loads: apart where there are
    four, else the second worker shares a core with the loads."""
    if len(os.sched_getaffinity(0)) >= 4:
        return (SERVER_CORE, 2), (LOAD_CORE, 3)
    return (SERVER_CORE, LOAD_CORE), (LOAD_CORE, LOAD_CORE)


def listener():
    """A listening socket on a free port, for a server that inherits it."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(4096)
    return sock


def free_port():
    """A port that was free a moment ago, for a server that cannot choose."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def run(command, timeout=60.0):
    """Run a command on the load's core; returns what it printed."""
    try:
        done = subprocess.run(command, preexec_fn=lambda: pin(LOAD_CORE),
                              capture_output=True, text=True, check=False,
                              timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise Failure("%s: not done within %g s"
                      % (command[0], timeout)) from error
    if done.returncode != 0:
        said = (done.stderr + done.stdout).strip() or "said nothing"
        raise Failure("%s: %s" % (command[0], said))
    return done.stdout


class Process:
    """A child on cores of its own, its output in a file."""

    def __init__(self, command, cores=(SERVER_CORE,), env=None, pass_fds=(),
                 **options):
        self.command = command
        self.family = []
        self.log = tempfile.NamedTemporaryFile(prefix="bench-", suffix=".log")
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", self.log)

        def prepare():
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            pin(*cores)

        try:
            self.popen = subprocess.Popen(
                command, stderr=self.log, preexec_fn=prepare,
                env=dict(os.environ, **(env or {})), pass_fds=pass_fds,
                **options)
        except OSError as error:
            raise Failure("%s: %s" % (command[0], error)) from error
        _running.append(self)

    def said(self):
        with open(self.log.name, errors="replace") as log:
            return log.read()

    def tail(self, lines):
        return "\n".join(self.said().strip().splitlines()[-lines:])

    def fail(self, what):
        said = self.tail(8)
        raise Failure("%s %s%s" % (" ".join(self.command), what,
                                   said and ":\n" + said))

    def check(self):
        """Raise, if the process is no longer there."""
        if self.popen.poll() is not None:
            self.fail("ended with status %d" % self.popen.returncode)

    def wait_for(self, pattern):
        """The first match of PATTERN in what the process says."""
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            match = re.search(pattern, self.said(), re.M)
            if match:
                return match
            self.check()
            time.sleep(0.02)
        return self.fail("did not say /%s/ within %g s"
                         % (pattern, START_TIMEOUT))

    def wait_to_listen(self, port):
        """For a server that does not say when it is ready."""
        end_at = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end_at:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                self.check()
                time.sleep(0.02)
        self.fail("did not listen within %g s" % START_TIMEOUT)

    def finish(self, timeout=60.0):
        """What a child said that ends by itself."""
        try:
            if self.popen.wait(timeout) != 0:
                self.fail("failed")
        except subprocess.TimeoutExpired:
            self.fail("was not done within %g s" % timeout)
        return self.said()

    def pids(self):
        """The process, what it started, and what that started, once that
        stays the same from one look to the next."""
        self.check()
        if not self.family:
            now, end_at = None, time.monotonic() + START_TIMEOUT
            while now != self.family and time.monotonic() < end_at:
                now, self.family = self.family, descendants(self.popen.pid)
                time.sleep(0.05)
        return self.family

    def look_again(self):
        """What serves may have been started after what listens."""
        self.family = []

    def stop(self):
        if self not in _running:
            return
        _running.remove(self)
        family = [(pid, started(pid)) for pid in descendants(self.popen.pid)]
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for pid, since in family:
            if pid != self.popen.pid and since and started(pid) == since:
                end(pid)
        self.log.close()


def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def started(pid):
    """When PID started, or None: tells a process from a later namesake."""
    try:
        with open("/proc/%d/stat" % pid) as stat:
            return stat.read().rsplit(")", 1)[1].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None


def children(pid):
    found = []
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/children" % (pid, task)) as file:
                found += [int(child) for child in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def descendants(pid):
    family = [pid]
    for member in family:
        family += children(member)
    return family


def cpu_seconds(pids):
    """CPU time of the processes, in all their threads."""
    return sum(time.clock_gettime_ns((~pid << 3) | CPUCLOCK_SCHED)
               for pid in pids) / 1e9


def memory(pids):
    """Private and resident bytes of the processes."""
    private = resident = 0
    for pid in pids:
        with open("/proc/%d/smaps_rollup" % pid) as rollup:
            fields = dict(re.findall(r"^(\w+):\s+(\d+) kB", rollup.read(),
                                     re.M))
        private += int(fields["Private_Clean"]) + int(fields["Private_Dirty"])
        resident += int(fields["Rss"])
    return private * 1024, resident * 1024


def stop_all():
    for process in list(_running):
        process.stop()


def leave(number, _frame):
    raise SystemExit(128 + number)


atexit.register(stop_all)
for _number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(_number, leave)
