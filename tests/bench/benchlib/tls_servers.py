"""The servers over TLS: all have the same certificate, TLS 1.2 and 1.3, tickets
and no cache of sessions, and one worker; the load says which cipher.

A server's mode says what it does for a client:
answer   send "x" and close; HAProxy, which has no such thing in TCP mode, but
         closes
echo     pass all on to the raw echo, on the load's core, and back
bulk     the same before what sends BULK bytes and closes
and for ours alone, to see what the way to the backend costs: "own echo" and
"own bulk" are handlers without a backend."""

import os

from . import processes
from .processes import Process
from .servers import (NGINX_STREAM, PEERS, Server, backend, linedancer, need,
                      nginx, program, proxied, scratch, started)

BULK = 65798144  # as handlers/bulk.lua has it

HANDLERS = {"answer": "one_byte", "own echo": "echo", "own bulk": "bulk"}


def certificate():
    """A file with a key and a certificate, which is made at first."""
    need("openssl", "openssl")
    pem = os.path.join(scratch(), "tls.pem")
    if not os.path.exists(pem):
        key = os.path.join(scratch(), "tls.key")
        crt = os.path.join(scratch(), "tls.crt")
        processes.run([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj",
            "/CN=localhost", "-keyout", key, "-out", crt])
        with open(pem, "w") as file:
            for part in crt, key:
                with open(part) as source:
                    file.write(source.read())
    return pem


def source():
    """What bulk data comes from, on the load's core."""
    return started([program("source_raw"), str(BULK)],
                   cores=[processes.LOAD_CORE])


def before(mode, start_proxy):
    return proxied(start_proxy, source if mode == "bulk" else backend)


def tls_linedancer(mode):
    pem = certificate()
    if mode in HANDLERS:
        return linedancer(HANDLERS[mode], env={"BENCH_TLS": pem})
    return before(mode, lambda port: linedancer("proxy", env={
        "BENCH_TLS": pem, "BENCH_BACKEND": "127.0.0.1:%d" % port}))


def tls_nginx(mode):
    def start(answer):
        return nginx("nginx_tls.conf", NGINX_STREAM, "libnginx-mod-stream",
                     PEM=certificate(), ANSWER=answer)
    if mode == "answer":
        return start("return x")
    return before(mode, lambda port: start("proxy_pass 127.0.0.1:%d" % port))


def tls_haproxy(mode):
    need("haproxy", "haproxy")
    pem = certificate()

    def start(port):
        with processes.listener() as sock:
            process = Process(
                ["haproxy", "-db", "-f",
                 os.path.join(PEERS, "haproxy_tls.cfg")],
                env={"BENCH_BACKEND": str(port), "BENCH_PEM": pem,
                     "BENCH_MODE": "reject" if mode == "answer" else "pass",
                     "BENCH_LISTEN_FD": str(sock.fileno())},
                pass_fds=[sock.fileno()])
            return Server(process, sock.getsockname()[1])
    if mode == "answer":
        return start(1)  # never connected to
    return before(mode, start)


START = {"linedancer tls": tls_linedancer, "nginx tls": tls_nginx,
         "haproxy tls": tls_haproxy}
