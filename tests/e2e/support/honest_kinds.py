"""Honest clients of a soak with faults, each a thread: what they are owed they
get, unless their worker was killed."""
import ssl
import threading

from support.client import connect, read, read_line

TURNS = 40      # of one connection, which then leaves
AGAIN = 2       # seconds until what was not heard is said again
SAID_MOST = 30  # times


class Lost(Exception):
    """The end came instead of an answer."""


def expect(got, wanted):
    if got == wanted:
        return
    if wanted.startswith(got):
        raise Lost
    raise AssertionError(f"{got} instead of {wanted}")


class Honest(threading.Thread):
    """Connects again and again.  WORKERS knows which worker has which
    connection, and which were killed: see Workers in faults_test.py.  The
    listener is named as the class is."""

    def __init__(self, number, address, workers):
        super().__init__(daemon=True)
        self.listener = type(self).__name__
        self.label = f"{self.listener}{number}"
        self.address, self.workers = address, workers
        self.answers, self.visits, self.excused, self.repeats = 0, 0, 0, 0
        self.stopped, self.error = False, None

    def connect(self):
        return [connect(self.address)]

    def greet(self, socks):
        pass

    def visit(self):
        """A connection, from its beginning to its end."""
        socks, mark = [], self.workers.mark()
        homes = None
        self.visits += 1
        try:
            socks = self.connect()
            homes = [self.workers.home_of(sock, self.listener)
                     for sock in socks]
            self.greet(socks)
            for turn in range(TURNS):
                if self.stopped:
                    break
                self.turn(socks, turn)
                self.answers += 1
        except (Lost, OSError) as problem:
            if not self.workers.excuse(homes, mark):
                raise AssertionError(f"{self.label}: {problem!r}, and nobody "
                                     f"has killed {homes}") from problem
            self.excused += 1
        finally:
            for sock in socks:
                sock.close()

    def run(self):
        try:
            while not self.stopped:
                self.visit()
        except Exception as error:
            self.error = error

    def stop(self, patience):
        self.stopped = True
        self.join(patience)
        if self.is_alive():
            raise AssertionError(f"{self.label} still waits for an answer")
        if self.error:
            raise self.error


def send_cut(sock, text, at):
    at %= len(text)
    sock.sendall(text[:at])
    sock.sendall(text[at:])


class Echo(Honest):
    def turn(self, socks, turn):
        line = b"line %d of %s\n" % (turn, self.label.encode())
        send_cut(socks[0], line, turn)
        expect(read(socks[0], len(line)), line)


class Tls(Echo):
    """The same over TLS: this thread alone uses its socket."""

    def __init__(self, number, address, workers, context, host):
        super().__init__(number, address, workers)
        self.context, self.host = context, host

    def connect(self):
        sock = connect(self.address)
        try:
            return [self.context.wrap_socket(sock, server_hostname=self.host)]
        except ssl.SSLError as problem:
            raise OSError(f"no handshake: {problem}") from problem


class Store(Honest):
    def turn(self, socks, turn):
        key = b"%s-%d" % (self.label.encode(), self.visits)
        text = b"INCR %s\r\nSET %s.t %d\r\nGET %s.t\r\n" % (key, key, turn, key)
        answer = b":%d\r\n+OK\r\n$%d\r\n%d\r\n" % (turn + 1,
                                                   len(b"%d" % turn), turn)
        send_cut(socks[0], text, turn)
        expect(read(socks[0], len(answer)), answer)


class Pair(Honest):
    """Two members of a chat: one says what the other hears.  A topic may lose
    a line when there are too many, so what is not heard is said again."""

    def connect(self):
        return [connect(self.address), connect(self.address)]

    def greet(self, socks):
        self.heard = b""
        self.names = [b"%s-%d%c" % (self.label.encode(), self.visits, end)
                      for end in b"ab"]
        for sock, name in zip(socks, self.names):
            sock.sendall(name + b"\n")
            while b"* welcome, " + name not in (line := read_line(sock)):
                if not line.endswith(b"\n"):
                    raise Lost

    def hear(self, sock):
        """The next line that the other says; None if none comes in time."""
        beginning = self.names[0] + b": "
        while True:
            line, end, rest = self.heard.partition(b"\n")
            if end:
                self.heard = rest
                if line.startswith(beginning):
                    return int(line[len(beginning):])
                continue
            try:
                part = sock.recv(1 << 16)
            except TimeoutError:
                return None
            if not part:
                raise Lost
            self.heard += part

    def turn(self, socks, turn):
        socks[1].settimeout(AGAIN)
        for _ in range(SAID_MOST):
            send_cut(socks[0], b"%d\n" % turn, turn)
            while (heard := self.hear(socks[1])) is not None:
                if heard == turn:
                    return
                if heard > turn:
                    raise AssertionError(f"{heard} before {turn} was said")
            self.repeats += 1
        raise AssertionError(f"{turn} was never heard")
