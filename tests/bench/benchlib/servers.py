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
NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"
NGINX_RTMP = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
LIBRARIES = {"tls_load": ("-lssl", "-lcrypto")}
PORT = r"^port (\d+)"
PORT_OF_LISTENER = r'^(?=.*listening).*address="?127\.0\.0\.1:(\d+)'

_scratch = tempfile.TemporaryDirectory(prefix="bench-")


def scratch():
    """A directory that is removed at the end."""
    return _scratch.name


class Missing(Exception):
    """A server that this machine does not have; the text says what to do."""


class Server:
    """A process that listens on PORT of 127.0.0.1, and what it needs BESIDE
    itself, which is not measured."""

    def __init__(self, process, port, beside=None):
        self.process = process
        self.port = port
        self.beside = beside
        self.mode = None
        self.load = []  # what the load generator is to be told besides

    def stop(self):
        self.process.stop()
        if self.beside:
            self.beside.stop()


def program(name):
    """Our own program: what CMake built, or else what gcc makes of it."""
    built = os.path.join(BUILD, "bench", name)
    if os.path.exists(built):
        return built
    target = os.path.join(_scratch.name, name)
    if not os.path.exists(target):
        processes.run(["gcc", "-O2", "-std=c11", "-o", target,
                       os.path.join(BENCH, name + ".c"),
                       *LIBRARIES.get(name, ())])
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


def native(_mode):
    return started([program("native")])


def handler_file(name):
    """Our own for the benchmark, or one that comes with Linedancer."""
    for directory in (BENCH, ROOT):
        path = os.path.join(directory, "handlers", name + ".lua")
        if os.path.exists(path):
            return path
    raise Failure("no handler " + name)


def linedancer(handler, workers=1, env=None):
    binary = os.path.join(BUILD, "linedancer")
    if not os.path.exists(binary):
        raise Missing("not built: " + os.path.relpath(binary))
    cores = [processes.SERVER_CORE]
    if workers > 1:
        cores = processes.pairs()[0]
    return started([binary, "run", os.path.join(BENCH, "gateway.lua")],
                   PORT_OF_LISTENER, cwd=ROOT, cores=cores,
                   env=dict(env or {}, BENCH_WORKERS=str(workers),
                            BENCH_HANDLER=handler_file(handler)))


def linedancer_workers(mode):
    handler, workers = mode
    return linedancer(handler, workers)


def linedancer_proxied(handler):
    """Each connection begins with a header of the PROXY protocol."""
    server = linedancer(handler, env={"BENCH_PROXY": "1"})
    server.load = ["--proxy", "2"]
    return server


def linedancer_unwatched(handler):
    return linedancer(handler, env={"BENCH_TURN": "0"})


def linedancer_messages(mode):
    where, _ = mode
    return linedancer("messages", 2 if where == "across" else 1)


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


def erl(module, mode, *options, **more):
    need("erlang-base", "erl", "erlc")
    processes.run(["erlc", "-o", _scratch.name,
                   os.path.join(PEERS, module + ".erl")])
    return started(["erl", "-noshell", "+SDcpu", "1:1", "+SDio", "1",
                    "+sbwtdcpu", "none", "+sbwtdio", "none", *options,
                    "-pa", _scratch.name, "-s", module, "main", mode], **more)


def erlang(mode):
    return erl("echo", mode, "+S", "1:1", "+sbwt", "none")


def erlang_messages(mode):
    """Schedulers that wait busily a moment cost less when two take turns:
    12-20 us a round trip and not 45-49."""
    where, _ = mode
    if where == "across":
        return erl("messages", where, "+S", "2:2",
                   cores=processes.pairs()[0])
    return erl("messages", where, "+S", "1:1", "+sbwt", "none")


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


def fanout_raw(_mode):
    return started([program("fanout_raw")])


def backend():
    """What proxies forward to: the raw loop, on the load's core."""
    return started([program("raw")], cores=[processes.LOAD_CORE])


def proxied(start_proxy, start_backend=backend):
    """A proxy that START_PROXY(port) starts before a backend of its own."""
    behind = start_backend()
    try:
        server = start_proxy(behind.port)
    except (Missing, Failure):
        behind.stop()
        raise
    server.beside = behind
    return server


def proxy_raw(_mode):
    return proxied(lambda port: started([program("proxy_raw"), str(port)]))


def proxy_linedancer(_mode):
    return proxied(lambda port: linedancer(
        "proxy", env={"BENCH_BACKEND": "127.0.0.1:%d" % port}))


def proxy_haproxy(_mode):
    need("haproxy", "haproxy")

    def start_proxy(port):
        with processes.listener() as sock:
            process = Process(
                ["haproxy", "-db", "-f",
                 os.path.join(PEERS, "haproxy_proxy.cfg")],
                env={"BENCH_BACKEND": str(port),
                     "BENCH_LISTEN_FD": str(sock.fileno())},
                pass_fds=[sock.fileno()])
            return Server(process, sock.getsockname()[1])
    return proxied(start_proxy)


def nginx(template, module, package, **values):
    """nginx with a config in which @NAME@ stands for a value."""
    need("nginx", "nginx")
    if not os.path.exists(module):
        raise Missing("not installed: " + package)
    own = processes.free_port()
    with open(os.path.join(PEERS, template)) as file:
        text = file.read()
    values.update(LISTEN=own, MODULE=module, SCRATCH=_scratch.name)
    for name, value in values.items():
        text = text.replace("@%s@" % name, str(value))
    config = os.path.join(_scratch.name, template)
    with open(config, "w") as file:
        file.write(text)
    process = Process(["nginx", "-e", "stderr", "-c", config])
    process.wait_to_listen(own)
    return Server(process, own)


def proxy_nginx(_mode):
    return proxied(lambda port: nginx(
        "nginx.conf", NGINX_STREAM, "libnginx-mod-stream", BACKEND=port))


def rtmp_raw(merge):
    return started([program("rtmp_raw"), merge])


def rtmp_linedancer(merge):
    return linedancer("rtmp", env={"BENCH_MERGE": merge})


def rtmp_nginx(_mode):
    return nginx("nginx_rtmp.conf", NGINX_RTMP, "libnginx-mod-rtmp")


START = {"raw": raw, "linedancer": linedancer, "haproxy": haproxy,
         "erlang": erlang, "luv": luv, "cqueues": cqueues, "node": node,
         "redis": redis, "linedancer workers": linedancer_workers,
         "linedancer unwatched": linedancer_unwatched,
         "linedancer proxied": linedancer_proxied,
         "linedancer messages": linedancer_messages,
         "linedancer native": native,
         "erlang messages": erlang_messages, "raw fanout": fanout_raw,
         "raw proxy": proxy_raw, "linedancer proxy": proxy_linedancer,
         "haproxy proxy": proxy_haproxy, "nginx proxy": proxy_nginx,
         "raw rtmp": rtmp_raw, "linedancer rtmp": rtmp_linedancer,
         "nginx rtmp": rtmp_nginx}

VERSIONS = {
    "haproxy": ["haproxy", "-v"],
    "erlang": ["erl", "-noshell", "-eval",
               "io:put_chars([\"OTP \", erlang:system_info(otp_release), "
               "\" erts \", erlang:system_info(version)]), halt()."],
    "luv": ["luajit", "-e", "print(require('luv').version_string())"],
    "cqueues": ["luajit", "-e", "print(require('cqueues').VERSION)"],
    "node": ["node", "--version"],
    "nginx": ["nginx", "-v"],
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


def start(name, mode):
    """Start a server, or raise Missing or Failure."""
    try:
        server = START[name](mode)
        server.mode = mode
        return server
    except FileNotFoundError as error:
        raise Failure(str(error)) from error
