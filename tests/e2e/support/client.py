"""Clients of a gateway: well-behaved ones, and the others."""
import socket
import struct
import threading
import time

from support.gateway import PATIENCE


def connect(address, receive=None):
    """A connected socket; RECEIVE bytes of kernel buffer for what comes."""
    family = (socket.AF_UNIX if isinstance(address, str) else
              socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    sock = socket.socket(family, socket.SOCK_STREAM)
    if receive:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    sock.settimeout(PATIENCE)
    sock.connect(address)
    return sock


def reset(sock):
    """End SOCK by a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                    struct.pack("ii", 1, 0))
    sock.close()


def read(sock, size):
    """Exactly SIZE bytes, or as many as come before the end."""
    parts = bytearray()
    while len(parts) < size:
        part = sock.recv(min(size - len(parts), 1 << 20))
        if not part:
            break
        parts += part
    return bytes(parts)


def read_all(sock):
    """All until a clean end; a reset raises."""
    return read(sock, 1 << 40)


def read_line(sock):
    parts = bytearray()
    while not parts.endswith(b"\n"):
        part = sock.recv(1)
        if not part:
            break
        parts += part
    return bytes(parts)


def ask(sock, data, size=None):
    """Send DATA and read as many bytes, or SIZE."""
    sock.sendall(data)
    return read(sock, size or len(data))


class Bystander:
    """A well-behaved client that is served all the while: it sends numbered
    lines to an echo listener, in a thread, and fails at the first answer that
    is not its own, or that does not come.  Use as a context manager."""

    def __init__(self, address):
        self.sock = connect(address)
        self.stopped, self.error, self.rounds = False, None, 0
        self.thread = threading.Thread(target=self.talk, daemon=True)

    def talk(self):
        try:
            while not self.stopped:
                line = b"line %d\n" % self.rounds
                if ask(self.sock, line) != line:
                    raise AssertionError(f"wrong answer to {line}")
                self.rounds += 1
                time.sleep(0.001)  # leave the processor to the others
        except Exception as error:
            self.error = error

    def more(self, rounds=3):
        """Wait until it was served ROUNDS more times."""
        goal = self.rounds + rounds
        while self.rounds < goal and self.thread.is_alive():
            self.thread.join(0.001)
        if self.error:
            raise self.error

    def __enter__(self):
        self.thread.start()
        self.more()
        return self

    def __exit__(self, kind, *rest):
        try:
            if not kind:
                self.more()
        finally:
            self.stopped = True
            self.thread.join()
            self.sock.close()
