"""The place where a page runs: a network of its own, and what it started."""
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

SET_CHILD_SUBREAPER = 36
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def raise_loopback():
    with socket.socket() as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        reply = fcntl.ioctl(sock, SIOCGIFFLAGS, request)
        flags = struct.unpack_from("16sh", reply)[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS,
                    struct.pack("16sh14x", b"lo", flags | IFF_UP))


def own_network(build):
    """Start this program again where all ports are free.  Where that cannot
    be, wait until no other page runs; the lock is held until the end."""
    if os.environ.get("DOCS_NETWORK") == "own":
        raise_loopback()
        return None
    probe = ["unshare", "-rn", "true"]
    if shutil.which("unshare") and not subprocess.run(
            probe, stderr=subprocess.DEVNULL).returncode:
        os.environ["DOCS_NETWORK"] = "own"
        os.execvp("unshare", ["unshare", "-rn", sys.executable, *sys.argv])
    return lock(build / "docs-network.lock")


def lock(path):
    """PATH, open and locked for as long as it is open."""
    file = open(path, "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def adopt():
    """Become the parent of what the page's processes leave behind."""
    ctypes.CDLL(None, use_errno=True).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children(pid):
    for file in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            yield from map(int, file.read_text().split())
        except OSError:
            pass


def descendants(pid):
    for child in list(children(pid)):
        yield child
        yield from descendants(child)


def end_all(patience=5):
    """End every process that this one has brought about: by SIGTERM, so that
    each may leave its files in order, and those that stay by SIGKILL.  A
    process whose parent ends just now may be found by a later look only."""
    deadline = time.monotonic() + patience
    asked = set()
    while reap():
        late = time.monotonic() > deadline
        for pid in set(descendants(os.getpid())) - (set() if late else asked):
            asked.add(pid)
            try:
                os.kill(pid, signal.SIGKILL if late else signal.SIGTERM)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


def reap():
    """Are there still children?  Those that have ended are waited for."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def prefix(build):
    """What `cmake --install` puts somewhere, and who looks for it there."""
    where = build / "docs-prefix"
    with lock(build / "docs-prefix.lock"):
        result = subprocess.run(
            ["cmake", "--install", build, "--prefix", where],
            stdout=subprocess.DEVNULL)
        if result.returncode:
            sys.exit(f"what is built in {build} cannot be installed")
    found = next(where.rglob("linedancer.pc"))
    return {"PKG_CONFIG_PATH": str(found.parent),
            "LD_LIBRARY_PATH": str(found.parent.parent),
            "CMAKE_PREFIX_PATH": str(where)}
