"""Honest clients of a soak with faults, each a thread: what they are owed they
get, unless their worker was killed."""
import ssl
import threading

from support.client import connect, read, read_line

TURNS = 40  # of one connection, which then leaves


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
    connection, and which were killed: see Workers in faults_test.py."""

    def __init__(self, name, address, workers):
        super().__init__(daemon=True)
        self.label, self.address, self.workers = name, address, workers
        self.answers, self.visits, self.excused = 0, 0, 0
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
            homes = [self.workers.home_of(sock) for sock in socks]
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

    def __init__(self, name, address, workers, context, host):
        super().__init__(name, address, workers)
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
    """Two members of a chat: one says what the other hears."""

    def connect(self):
        return [connect(self.address), connect(self.address)]

    def greet(self, socks):
        self.names = [b"%s-%d%c" % (self.label.encode(), self.visits, end)
                      for end in b"ab"]
        for sock, name in zip(socks, self.names):
            sock.sendall(name + b"\n")
            self.await_line(sock, b"* welcome, " + name)

    def await_line(self, sock, beginning):
        while True:
            line = read_line(sock)
            if not line.endswith(b"\n"):
                raise Lost
            if line.startswith(beginning):
                return line

    def turn(self, socks, turn):
        line = b"turn %d\n" % turn
        send_cut(socks[0], line, turn)
        expect(self.await_line(socks[1], self.names[0] + b": "),
               self.names[0] + b": " + line)
