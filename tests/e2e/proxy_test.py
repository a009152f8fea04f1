#!/usr/bin/python3
"""Handler proxy between real sockets: much at a time, slow readers, ends."""
import hashlib
import pathlib
import socket
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import ask, connect, read, read_all, reset
from support.gateway import PATIENCE, Gateway, until

MEGABYTE = 1 << 20


class Upstream:
    """A listening socket; each connection is handled by SERVE(sock)."""

    def __init__(self, serve, receive=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        if receive:
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                     receive)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.serve, self.failure = serve, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            sock, _ = self.listener.accept()
            with sock:
                sock.settimeout(PATIENCE)
                self.serve(sock)
        except Exception as failure:  # pylint: disable=broad-except
            self.failure = failure

    def join(self):
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the upstream did not end"
        if self.failure:
            raise self.failure

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def proxy(upstream, **options):
    options["upstream"] = upstream.address
    return Gateway({"handler": "proxy", "options": options})


def pattern(size):
    """SIZE bytes that do not repeat soon."""
    block = bytes(range(251)) * 4177  # about a megabyte, 251 is prime
    return (block * (size // len(block) + 1))[:size]


class Proxy(unittest.TestCase):
    def test_bytes_go_both_ways_and_each_end_is_passed_on(self):
        seen = []

        def serve(sock):
            seen.append(read_all(sock))
            sock.sendall(b"all of " + seen[0])

        with Upstream(serve) as upstream, proxy(upstream) as gateway:
            with connect(gateway.address()) as client:
                client.sendall(b"a request")
                client.shutdown(socket.SHUT_WR)
                self.assertEqual(read_all(client), b"all of a request")
            upstream.join()
            self.assertEqual(seen, [b"a request"])

    def test_the_upstream_may_end_first(self):
        got = []

        def serve(sock):
            sock.sendall(b"greeting")
            sock.shutdown(socket.SHUT_WR)
            got.append(read_all(sock))

        with Upstream(serve) as upstream, proxy(upstream) as gateway:
            with connect(gateway.address()) as client:
                self.assertEqual(read_all(client), b"greeting")
                client.sendall(b"last words")
            upstream.join()
            self.assertEqual(got, [b"last words"])

    def test_100_megabytes_to_a_slow_reader_take_little_memory(self):
        body = pattern(100 * MEGABYTE)
        digest = hashlib.sha256()
        resting = []

        def serve(sock):
            for step in range(100):
                if step in (5, 50):  # let everything fill up
                    resting.append(stalled(gateway))
                digest.update(read(sock, MEGABYTE))

        with Upstream(serve, receive=65536) as upstream:
            with proxy(upstream) as gateway:
                before = gateway.status("VmRSS")
                with connect(gateway.address()) as client:
                    client.sendall(body)
                    upstream.join()
                grown = gateway.status("VmHWM") - before
        self.assertEqual(digest.digest(), hashlib.sha256(body).digest())
        self.assertEqual(len(resting), 2)
        self.assertLess(grown, 16384, "KB")

    def test_much_goes_both_ways_at_once(self):
        body = pattern(30 * MEGABYTE)

        def echo(sock):
            while part := sock.recv(MEGABYTE):
                sock.sendall(part)

        with Upstream(echo) as upstream, proxy(upstream) as gateway:
            with connect(gateway.address()) as client:
                sender = threading.Thread(target=send_all, args=(client, body))
                sender.start()
                self.assertTrue(read_all(client) == body)
                sender.join()
            upstream.join()

    def test_one_message_at_a_time(self):
        def echo(sock):
            while part := sock.recv(MEGABYTE):
                sock.sendall(part)

        with Upstream(echo) as upstream, proxy(upstream) as gateway:
            with connect(gateway.address()) as client:
                for size in (1, 64, 1000, 16384, 65536, 65537, 300000, 7):
                    self.assertEqual(len(ask(client, pattern(size))), size)

    def test_a_reset_is_passed_on(self):
        def hang_up(sock):
            read(sock, 2)
            reset(sock)

        with Upstream(hang_up) as upstream, proxy(upstream) as gateway:
            with connect(gateway.address()) as client:
                client.sendall(b"go")
                with self.assertRaises(ConnectionResetError):
                    read_all(client)
            gateway.await_line("code=reset")

        served = threading.Event()

        def expect_reset(sock):
            read(sock, 2)
            served.set()
            try:
                read_all(sock)
            except ConnectionResetError:
                return
            raise AssertionError("a reset looked like an end")

        with Upstream(expect_reset) as upstream, proxy(upstream) as gateway:
            client = connect(gateway.address())
            client.sendall(b"go")
            served.wait(PATIENCE)
            reset(client)
            upstream.join()

    def test_an_upstream_that_is_not_there(self):
        with socket.socket() as deaf:  # bound, and not listening
            deaf.bind(("127.0.0.1", 0))
            options = {"upstream": "127.0.0.1:%d" % deaf.getsockname()[1]}
            with Gateway({"handler": "proxy", "options": options}) as gateway:
                with connect(gateway.address()) as client:
                    self.assertEqual(read_all(client), b"")
                gateway.await_line("no upstream .*code=refused")

    def test_an_upstream_that_ends_leaves_no_descriptor(self):
        with Upstream(lambda sock: None) as upstream:
            with proxy(upstream) as gateway:
                before = gateway.descriptors()
                with connect(gateway.address()) as client:
                    self.assertEqual(read_all(client), b"")
                until(lambda: gateway.descriptors() <= before,
                      "the end of both sides")


def send_all(sock, body):
    sock.sendall(body)
    sock.shutdown(socket.SHUT_WR)


def stalled(gateway):
    """Wait until the gateway has nothing more to do; its memory, in KB."""
    until(lambda: gateway.naps(10) == 10, "rest")
    return gateway.status("VmRSS")


if __name__ == "__main__":
    unittest.main()
