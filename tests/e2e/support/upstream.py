"""Servers for a gateway to connect to, and a DNS server that misleads it."""
import socket
import struct
import threading

from support.gateway import PATIENCE


class Upstream:
    """Answers each line with ANSWER(line, number of the connection), bytes;
    None ends the connection.  FAMILY and ADDRESS as of a socket."""

    def __init__(self, answer, family=socket.AF_INET,
                 address=("127.0.0.1", 0)):
        self.answer = answer
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address)
        self.listener.listen(128)
        self.address = self.listener.getsockname()
        self.changed = threading.Condition()
        self.accepted, self.ended = [], 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                self.accepted.append(sock)
                number = len(self.accepted)
                self.changed.notify_all()
            threading.Thread(target=self.serve, args=(sock, number),
                             daemon=True).start()

    def serve(self, sock, number):
        try:
            for line in sock.makefile("rb"):
                reply = self.answer(line.strip(), number)
                if reply is None:
                    break
                sock.sendall(reply)
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        with self.changed:
            self.ended += 1
            self.changed.notify_all()

    def until(self, condition):
        """Wait for CONDITION(self)."""
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self), PATIENCE):
                raise AssertionError(f"{len(self.accepted)} were accepted, "
                                     f"{self.ended} have ended")

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.accepted:
            sock.close()


class BlackHole:
    """A port on which nobody accepts, and whose queue is full."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.address = self.listener.getsockname()
        self.queued = []
        for _ in range(3):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(self.address)
            self.queued.append(sock)

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        for sock in [*self.queued, self.listener]:
            sock.close()


class Resolver:
    """A DNS server.  ZONES maps a name to {"A": ..., "AAAA": ...}: a list of
    addresses, or None to stay silent.  Other names do not exist."""

    TYPES = {1: ("A", socket.AF_INET), 28: ("AAAA", socket.AF_INET6)}

    def __init__(self, zones):
        self.zones = zones
        self.asked = []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "%s:%d" % self.socket.getsockname()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            if not query:
                return
            reply = self.reply(query)
            if reply:
                self.socket.sendto(reply, peer)

    def reply(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += query[at] + 1
        question = query[12:at + 5]
        kind, family = self.TYPES[struct.unpack(">H", question[-4:-2])[0]]
        name = ".".join(labels)
        self.asked.append((name, kind))
        found = self.zones.get(name, {}).get(kind, [])
        if found is None:
            return None
        code = 0 if name in self.zones else 3
        records = b"".join(
            b"\xc0\x0c" + question[-4:] + struct.pack(">IH", 60, len(packed))
            + packed
            for packed in (socket.inet_pton(family, one) for one in found))
        return (query[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, len(found),
                                        0, 0) + question + records)

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.socket.sendto(b"", self.socket.getsockname())
        self.thread.join()
        self.socket.close()
