"""The servers that are compared: how each is found, started and asked for
its port. A server is started once per row and mode, on the server's core."""

import os
import re
import shutil
import subprocess
import tempfile

from . import processes
from .processes import Failure, Process

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(os.path.dirname(BENCH))
BUILD = os.path.abspath(os.environ.get("BUILD") or os.path.join(ROOT, "build"))
PEERS = os.path.join(BENCH, "peers")
PORT = r"^port (\d+)"
PORT_OF_LISTENER = r'^(?=.*listening).*address="?127\.0\.0\.1:(\d+)'

_scratch = tempfile.TemporaryDirectory(prefix="bench-")


class Missing(Exception):
    """A server that this machine does not have; the text says what to do."""


class Server:
    """A process that listens on PORT of 127.0.0.1."""

    def __init__(self, process, port):
        self.process = process
        self.port = port

    def stop(self):
        self.process.stop()


def program(name):
    """Our own program: what CMake built, or else what gcc makes of it."""
    built = os.path.join(BUILD, "bench", name)
    if os.path.exists(built):
        return built
    target = os.path.join(_scratch.name, name)
    if not os.path.exists(target):
        processes.run(["gcc", "-O2", "-std=c11", "-o", target,
                       os.path.join(BENCH, name + ".c")])
    return target


def need(package, *commands):
    for command in commands:
        if not shutil.which(command):
            raise Missing("not installed: " + package)


def need_module(package, module):
    need("luajit", "luajit")
    probe = subprocess.run(["luajit", "-e", "require '%s'" % module],
                           capture_output=True, check=False)
    if probe.returncode != 0:
        raise Missing("not installed: " + package)


def started(command, pattern=PORT, **options):
    process = Process(command, **options)
    return Server(process, int(process.wait_for(pattern).group(1)))


def raw(_mode):
    return started([program("raw")])


def linedancer(handler):
    """HANDLER is a module, or a file beside this one."""
    binary = os.path.join(BUILD, "linedancer")
    if not os.path.exists(binary):
        raise Missing("not built: " + os.path.relpath(binary))
    path = os.path.join(BENCH, "handlers", handler + ".lua")
    return started([binary, "run", os.path.join(BENCH, "gateway.lua")],
                   PORT_OF_LISTENER, cwd=ROOT,
                   env={"BENCH_HANDLER":
                        path if os.path.exists(path) else handler})


def haproxy(mode):
    need("haproxy", "haproxy")
    with processes.listener() as sock:
        port = sock.getsockname()[1]
        process = Process(
            ["haproxy", "-db", "-f", os.path.join(PEERS, "haproxy.cfg")],
            env={"BENCH_PEERS": PEERS, "BENCH_MODE": mode,
                 "BENCH_LISTEN_FD": str(sock.fileno())},
            pass_fds=[sock.fileno()])
        return Server(process, port)


def erlang(mode):
    need("erlang-base", "erl", "erlc")
    processes.run(["erlc", "-o", _scratch.name,
                   os.path.join(PEERS, "echo.erl")])
    return started(["erl", "-noshell", "+S", "1:1", "+SDcpu", "1:1",
                    "+SDio", "1", "+sbwt", "none", "+sbwtdcpu", "none",
                    "+sbwtdio", "none", "-pa", _scratch.name,
                    "-s", "echo", "main", mode])


def luv(mode):
    need_module("lua-luv", "luv")
    return started(["luajit", os.path.join(PEERS, "luv.lua"), mode])


def cqueues(mode):
    need_module("lua-cqueues", "cqueues")
    return started(["luajit", os.path.join(PEERS, "cqueues.lua"), mode])


def node(mode):
    need("nodejs", "node")
    return started(["node", os.path.join(PEERS, "node.js"), mode])


def redis(_mode):
    need("redis-server", "redis-server")
    port = processes.free_port()
    process = Process(["redis-server", "--port", str(port), "--bind",
                       "127.0.0.1", "--save", "", "--appendonly", "no",
                       "--daemonize", "no"], cwd=_scratch.name)
    process.wait_for("Ready to accept connections")
    return Server(process, port)


START = {"raw": raw, "linedancer": linedancer, "haproxy": haproxy,
         "erlang": erlang, "luv": luv, "cqueues": cqueues, "node": node,
         "redis": redis}

VERSIONS = {
    "haproxy": ["haproxy", "-v"],
    "erlang": ["erl", "-noshell", "-eval",
               "io:put_chars([\"OTP \", erlang:system_info(otp_release), "
               "\" erts \", erlang:system_info(version)]), halt()."],
    "luv": ["luajit", "-e", "print(require('luv').version_string())"],
    "cqueues": ["luajit", "-e", "print(require('cqueues').VERSION)"],
    "node": ["node", "--version"],
    "redis": ["redis-server", "--version"],
    "luajit": ["luajit", "-v"],
    "linedancer": [os.path.join(BUILD, "linedancer"), "version"],
}


def versions(peers):
    """What answers to each name, as far as it is there."""
    found = {}
    for peer in peers:
        command = VERSIONS.get(peer)
        if command and shutil.which(command[0]):
            said = subprocess.run(command, capture_output=True, text=True,
                                  check=False)
            lines = (said.stdout or said.stderr).strip().splitlines()
            found[peer] = re.sub(r"\s+", " ", lines[0])[:70] if lines else "?"
    return found


def start(peer, mode):
    """Start a server, or raise Missing or Failure."""
    try:
        return START[peer](mode)
    except FileNotFoundError as error:
        raise Failure(str(error)) from error
