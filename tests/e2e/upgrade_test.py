#!/usr/bin/python3
"""Another program takes the place of one that serves: nobody is refused, what
is under way is finished, and a failure changes nothing."""
import os
import pathlib
import signal
import socket
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import ask, connect, read, read_all
from support.control import Control, Refused
from support.gateway import FRAMED, Gateway, until


class Visitor(threading.Thread):
    """Connects, asks and leaves, again and again; remembers what failed."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.visits, self.refused = address, 0, 0
        self.cut, self.stopped = 0, False

    def run(self):
        while not self.stopped:
            try:
                sock = connect(self.address)
            except ConnectionRefusedError:
                self.refused += 1
                continue
            with sock:
                try:
                    sock.sendall(b"\2hi")
                    self.cut += read(sock, 2) != b"hi"
                except ConnectionError:
                    self.cut += 1
            self.visits += 1


class Upgrade(unittest.TestCase):
    def start(self, thing):
        self.addCleanup(thing.close)
        return thing

    def gateway(self, **config):
        gateway = self.start(Gateway(
            {"handler": FRAMED}, {"handler": FRAMED, "address": "unix:x.sock"},
            workers=2, control="control.sock", **config))
        self.heirs(gateway)
        gateway.await_line("worker started", 1)
        return gateway

    def heirs(self, gateway):
        """See to it that whoever takes its place is stopped in the end, before
        the log, which it has as well, is awaited."""
        def stop():
            for match in gateway.matches(r"upgrade pid=(\d+)"):
                try:
                    os.kill(int(match.group(1)), signal.SIGQUIT)
                except ProcessLookupError:
                    pass
        self.addCleanup(stop)

    def upgrade(self, gateway, number=0):
        """The process that takes its place, once it has."""
        gateway.signal(signal.SIGUSR2)
        pid = gateway.await_line(r"upgrade pid=(\d+)", number).group(1)
        gateway.await_line("draining workers=2", number)
        return int(pid)

    def test_nobody_is_refused_and_what_is_under_way_is_finished(self):
        gateway = self.gateway(drain=20)
        visitors = [Visitor(gateway.address()) for _ in range(4)]
        visitors.append(Visitor(str(gateway.directory / "x.sock")))
        half = [self.start(connect(gateway.address())) for _ in range(8)]
        for sock in half:
            sock.sendall(b"\4ha")
        control = self.start(Control(gateway))
        until(lambda: len([c for c in control("conns")["conns"]
                           if c["state"] == "frame" and c["unread"]]) == 8)
        for visitor in visitors:
            visitor.start()
        until(lambda: all(v.visits > 10 for v in visitors))
        heir = self.upgrade(gateway)
        before = [v.visits for v in visitors]
        until(lambda: all(v.visits > b + 50
                          for v, b in zip(visitors, before)))
        for visitor in visitors:
            visitor.stopped = True
            visitor.join(10)
        visits = sum(v.visits for v in visitors)
        refused = sum(v.refused for v in visitors)
        cut = sum(v.cut for v in visitors)
        print(f"{visits} visits, {refused} refused, {cut} cut", file=sys.stderr)
        self.assertEqual((refused, cut), (0, 0))
        for sock in half:
            self.assertEqual(ask(sock, b"lf", 4), b"half")
            self.assertEqual(read_all(sock), b"")  # it drains
        self.assertEqual(gateway.process.wait(15), 0)
        fresh = self.start(Control(gateway))
        self.assertEqual({w["worker"] for w in fresh("status")["workers"]},
                         {1, 2})
        self.assertEqual(ask(self.start(connect(gateway.address())),
                             b"\2hi", 2), b"hi")
        os.kill(heir, signal.SIGTERM)
        gateway.await_line("info  stopped", 1)
        self.assertFalse(os.path.exists(gateway.directory / "x.sock"))

    def test_one_that_cannot_start_changes_nothing(self):
        gateway = self.gateway()
        good = pathlib.Path(gateway.config).read_text()
        pathlib.Path(gateway.config).write_text("return {")
        gateway.signal(signal.SIGUSR2)
        gateway.await_line("upgrade failed .*exit=1")
        self.assertEqual(ask(self.start(connect(gateway.address())),
                             b"\2hi", 2), b"hi")
        pathlib.Path(gateway.config).write_text(good)
        self.upgrade(gateway)
        self.assertEqual(ask(self.start(connect(gateway.address())),
                             b"\2hi", 2), b"hi")

    def test_nothing_is_reloaded_meanwhile(self):
        gateway = self.gateway()
        control = self.start(Control(gateway))
        path = pathlib.Path(gateway.config)
        path.write_text("for _ = 1, 1e9 do end " + path.read_text())
        gateway.signal(signal.SIGUSR2)
        gateway.await_line("upgrade pid=")
        with self.assertRaisesRegex(Refused, "upgrade is under way"):
            control("reload")
        gateway.await_line("draining workers=2")

    def test_it_can_be_done_again_and_again(self):
        gateway = self.gateway()
        visitor = Visitor(gateway.address())
        visitor.start()
        heir = self.upgrade(gateway)
        for number in range(1, 4):
            os.kill(heir, signal.SIGUSR2)
            heir = int(gateway.await_line(r"upgrade pid=(\d+)",
                                          number).group(1))
            gateway.await_line("draining workers=2", number)
        visits = visitor.visits
        until(lambda: visitor.visits > visits + 50)
        visitor.stopped = True
        visitor.join(10)
        self.assertEqual((visitor.refused, visitor.cut), (0, 0))

    def manager(self):
        """What a service manager listens on."""
        path = tempfile.mktemp(prefix="ld-notify-")
        manager = self.start(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        manager.settimeout(15)
        manager.bind(path)
        self.addCleanup(os.unlink, path)
        os.environ["NOTIFY_SOCKET"] = path
        self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
        return manager

    def test_a_service_manager_is_told_without_workers_too(self):
        manager = self.manager()
        gateway = self.start(Gateway({"handler": FRAMED}, workers=0))
        self.assertEqual(manager.recv(100), b"READY=1")
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(manager.recv(100), b"STOPPING=1")

    def test_a_service_manager_is_told(self):
        manager = self.manager()
        gateway = self.gateway()
        ready = "MAINPID=%d\nREADY=1"
        config = pathlib.Path(gateway.config).read_text()
        self.assertEqual(manager.recv(100).decode(), ready % gateway.pid)
        for good in (True, False):
            if not good:
                pathlib.Path(gateway.config).write_text("return {")
            gateway.signal(signal.SIGHUP)
            self.assertRegex(manager.recv(100).decode(),
                             r"^RELOADING=1\nMONOTONIC_USEC=\d+$")
            self.assertEqual(manager.recv(100), b"READY=1")
        pathlib.Path(gateway.config).write_text(config)
        heir = self.upgrade(gateway)
        self.assertEqual(manager.recv(100).decode(), ready % heir)
        # It may have listened to the process that it knew alone.
        self.assertEqual(manager.recv(100).decode(), "MAINPID=%d" % heir)
        os.kill(heir, signal.SIGTERM)
        self.assertEqual(manager.recv(100), b"STOPPING=1")

    def test_it_listens_where_the_config_says_now(self):
        gateway = self.gateway()
        path = pathlib.Path(gateway.config)
        path.write_text(path.read_text().replace("x.sock", "y.sock"))
        self.upgrade(gateway)
        self.assertEqual(ask(self.start(connect(
            str(gateway.directory / "y.sock"))), b"\2hi", 2), b"hi")


class Activation(unittest.TestCase):
    """Sockets that a service manager holds."""

    def start(self, thing):
        self.addCleanup(thing.close)
        return thing

    def sockets(self):
        """One by TCP, and one of a unix path."""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        path = os.path.join(directory, "x.sock")
        tcp = self.start(socket.create_server(("127.0.0.1", 0), backlog=100))
        unix = self.start(socket.socket(socket.AF_UNIX))
        unix.bind(path)
        unix.listen(100)
        return tcp, unix

    def gateway(self, sockets, workers, **config):
        addresses = ["127.0.0.1:%d" % sockets[0].getsockname()[1],
                     "unix:" + sockets[1].getsockname()]
        gateway = self.start(Gateway(
            *({"handler": FRAMED, "address": a} for a in addresses),
            workers=workers, passed=sockets, **config))
        for number in range(workers):
            gateway.await_line("worker started", number)
        return gateway

    def visitors(self, sockets):
        visitors = [Visitor(sock.getsockname()) for sock in sockets]
        for visitor in visitors:
            visitor.start()
        until(lambda: all(v.visits > 10 for v in visitors))
        return visitors

    def judge(self, visitors):
        visits = [visitor.visits for visitor in visitors]
        until(lambda: all(v.visits > n + 10 for v, n in zip(visitors, visits)))
        for visitor in visitors:
            visitor.stopped = True
            visitor.join(10)
            self.assertEqual((visitor.refused, visitor.cut), (0, 0))

    def test_clients_wait_while_there_is_no_gateway(self):
        sockets = self.sockets()
        for workers in 2, 0, 2:
            with self.subTest(workers=workers):
                gateway = self.gateway(sockets, workers)
                visitors = self.visitors(sockets)
                self.assertEqual(gateway.stop(), 0)
                gateway.close()
                gateway = self.gateway(sockets, workers)
                self.judge(visitors)
                self.assertEqual(gateway.stop(), 0)

    def test_whoever_takes_over_has_them_too(self):
        sockets = self.sockets()
        gateway = self.gateway(sockets, 2, drain=20)
        visitors = self.visitors(sockets)
        gateway.signal(signal.SIGUSR2)
        heir = int(gateway.await_line(r"upgrade pid=(\d+)").group(1))
        self.addCleanup(os.kill, heir, signal.SIGQUIT)
        gateway.await_line("worker started", 3)
        self.assertEqual(gateway.process.wait(15), 0)
        self.judge(visitors)

    def test_one_that_nobody_listens_on_is_told_of(self):
        gateway = self.start(Gateway({"handler": FRAMED}, workers=1,
                                     passed=self.sockets()))
        gateway.await_line("no listener is for passed=2 used=0")

    def test_those_of_another_process_are_not_taken(self):
        os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
        self.addCleanup(os.environ.pop, "LISTEN_FDS")
        self.addCleanup(os.environ.pop, "LISTEN_PID")
        with Gateway({"handler": FRAMED}) as gateway:
            self.assertEqual(ask(self.start(connect(gateway.address())),
                                 b"\2hi", 2), b"hi")


if __name__ == "__main__":
    unittest.main()
