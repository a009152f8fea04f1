#!/usr/bin/python3
"""The load over TLS, against servers that keep their word and that do not, and
the source of bulk data."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
from benchlib import servers, tls_servers

SIZE = 100000  # of a download


def bulk(size):
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def run_load(port, *arguments):
    return subprocess.run(
        [servers.program("tls_load"), "--port", str(port), "--warmup", "0",
         "--seconds", "0.05", "--connections", "3", "--timeout", "0.5",
         *arguments], capture_output=True, text=True, check=False)


def new_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls_servers.certificate())
    return context


class Peer:
    """A server that treats each connection as SERVE does, then closes; one
    that is FORGETFUL takes no ticket back."""

    def __init__(self, serve, tickets=True, plain=False, forgetful=False):
        self.serve, self.plain, self.forgetful = serve, plain, forgetful
        self.context = new_context()
        if not tickets:
            self.context.num_tickets = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            conn, _ = self.listener.accept()
            threading.Thread(target=self.meet, args=[conn],
                             daemon=True).start()

    def meet(self, conn):
        with conn:
            try:
                if self.plain:
                    self.serve(conn)
                    return
                context = new_context() if self.forgetful else self.context
                with context.wrap_socket(conn, server_side=True) as sock:
                    self.serve(sock)
                    sock.unwrap()
            except OSError:
                return


def answering(data):
    return lambda sock: sock.sendall(data)


def echoing(change=lambda data: data):
    def serve(sock):
        for data in iter(lambda: sock.recv(65536), b""):
            sock.sendall(change(data))
    return serve


class TlsTest(unittest.TestCase):
    def counted(self, peer, *arguments):
        done = run_load(peer.port, "--pid", str(os.getpid()), *arguments)
        self.assertEqual("", done.stderr)
        result = json.loads(done.stdout)
        self.assertIn("server_busy", result)
        return result

    def refused(self, peer, pattern, *arguments):
        done = run_load(peer.port, *arguments)
        self.assertEqual(1, done.returncode, done.stdout)
        self.assertRegex(done.stderr, pattern)

    def test_counts_handshakes_of_each_version(self):
        for answer in b"x", b"":
            for version in "1.2", "1.3":
                found = self.counted(Peer(answering(answer)), "--tls", version)
                self.assertGreater(found["messages"], 0)

    def test_counts_handshakes_that_resume(self):
        self.assertGreater(self.counted(
            Peer(answering(b"x")), "--resume")["messages"], 0)

    def test_refuses_a_server_that_gives_no_tickets(self):
        self.refused(Peer(answering(b"x"), tickets=False), "no tickets",
                     "--resume")

    def test_refuses_a_server_that_forgets_its_tickets(self):
        self.refused(Peer(answering(b"x"), forgetful=True),
                     "did not resume a session", "--resume")

    def test_refuses_another_answer(self):
        self.refused(Peer(answering(b"y")), "message 0 came changed")
        self.refused(Peer(answering(b"xx")), "more than it should")

    def test_counts_what_an_echo_returns(self):
        for size in "64", "16384":
            self.assertGreater(self.counted(
                Peer(echoing()), "--mode", "echo", "--size",
                size)["messages"], 0)

    def test_refuses_a_message_that_came_back_changed(self):
        def spoil(data):
            return data[:-1] + bytes([data[-1] ^ 1])
        self.refused(Peer(echoing(spoil)), "came changed", "--mode", "echo")

    def test_refuses_an_echo_that_hangs_up_or_keeps_silent(self):
        self.refused(Peer(answering(b"")), "closed a connection",
                     "--mode", "echo")
        for mode in "echo", "idle":
            self.refused(Peer(echoing(lambda data: b"")),
                         "no answer within 0.5 s", "--mode", mode)

    def test_counts_the_bytes_of_downloads(self):
        found = self.counted(Peer(answering(bulk(SIZE))), "--mode", "bulk",
                             "--size", str(SIZE))
        self.assertGreater(found["bytes"], SIZE)

    def test_refuses_a_download_that_is_changed_or_cut_off(self):
        whole = bulk(SIZE)
        changed = whole[:70000] + b"\0" + whole[70001:]
        for data, why in ((changed, "came changed"),
                          (whole[:-1], "closed a connection"),
                          (whole + b"x", "more than it should")):
            self.refused(Peer(answering(data)), why, "--mode", "bulk",
                         "--size", str(SIZE))

    def test_refuses_a_server_that_does_not_speak_tls(self):
        self.refused(Peer(answering(b"hello"), plain=True), "handshake: ")

    def test_the_source_sends_what_is_expected_and_ends(self):
        server = servers.started([servers.program("source_raw"), str(SIZE)])
        self.addCleanup(server.stop)
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", server.port)) as sock:
                with sock.makefile("rb") as file:
                    self.assertEqual(bulk(SIZE), file.read())

    def test_explains_a_wrong_command_line(self):
        for arguments, said in (
                (["--mode", "loud"], "no such mode: loud"),
                (["--tls", "1.1"], "no such version: 1.1"),
                (["--mode", "echo", "--size", "16385"], "more than one record"),
                (["more"], "unexpected argument: more")):
            done = run_load(1, *arguments)
            self.assertEqual(2, done.returncode)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
