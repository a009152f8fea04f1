"""Programs with a gateway inside: built against what is installed, and run."""
import atexit
import fcntl
import functools
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading

from support.example import LOCAL
from support.gateway import BUILD, Gateway

VALGRIND = ["valgrind", "--quiet", "--leak-check=full",
            "--show-leak-kinds=all", "--errors-for-leak-kinds=all",
            "--error-exitcode=99"]


def directory():
    """One that is gone with this process."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="ld-host-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@functools.cache
def prefix():
    """Where what is built has been installed.  The build directory has files
    that know the prefix, so that one is installed at a time."""
    where = directory()
    with open(BUILD / "install.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["cmake", "--install", BUILD, "--prefix", where],
                       check=True, stdout=subprocess.DEVNULL)
    return where


@functools.cache
def environment():
    """Variables by which the installed is found, and nothing else."""
    found = next(prefix().rglob("linedancer.pc")).parent
    module = next(prefix().rglob("lua/5.1/linedancer.so")).parent
    return {"PATH": os.environ["PATH"], "HOME": str(prefix()),
            "LC_ALL": "C.UTF-8", "PKG_CONFIG_PATH": str(found),
            "LD_LIBRARY_PATH": str(found.parent),
            "LUA_CPATH": f"{module}/?.so"}


@functools.cache
def built(name):
    """A copy of the installed example embed/NAME, made if it is in C, whose
    listeners are at any port."""
    examples = prefix() / "share" / "linedancer" / "examples"
    where = directory() / name
    shutil.copytree(examples / "embed" / name, where)
    for file in where.glob("*.lua"):
        file.write_text(LOCAL.sub("127.0.0.1:0", file.read_text()))
    if (where / "Makefile").exists():
        result = subprocess.run(
            ["make", "-C", where, "CFLAGS=-O1 -g -Wall -Wextra -Werror"],
            env=environment(), text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        assert result.returncode == 0, result.stdout
    return where


def run(name, *command, **options):
    """COMMAND in the directory of example NAME, until it ends."""
    return subprocess.run(command, cwd=built(name), env=environment(),
                          capture_output=True, text=True, timeout=60,
                          **options)


class Host(Gateway):
    """Runs COMMAND in a copy of the directory of example NAME.  What it writes
    to standard error is its log; `process` has stdin and stdout.  Use as a
    context manager."""

    def __init__(self, name, *command, listeners=1, **variables):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ld-e2e-"))
        self.here = self.directory / name
        shutil.copytree(built(name), self.here)
        self.lines, self.read = [], threading.Condition()
        self.process = subprocess.Popen(
            command, cwd=self.here, env={**environment(), **variables},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace")
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        self.ports = []
        try:
            for number in range(listeners):
                self.ports.append(self.next_port(number))
        except BaseException:
            self.close()
            raise

    def edit(self, name, old, new):
        """Replace OLD by NEW in file NAME of the example."""
        text = (self.here / name).read_text()
        assert old in text, (name, old)
        (self.here / name).write_text(text.replace(old, new))

    def close(self):
        self.process.stdin.close()
        super().close()
        self.process.stdout.close()
