"""What soaks share: a crowd of clients that do anything, the sanitized gateway
that they meet, and the counts of what its workers still hold."""
import re
import socket

from support.client import connect, read_line, reset
from support.gateway import Gateway

PATIENT = 120   # seconds until a sanitized gateway, after much work, answers
EXPECTED = re.compile("(connection|task) failed .*"
                      "(code=(?!error)|as told|returned 'nowhere')")
REPORTS = r"Sanitizer|runtime error|[Aa]ssertion|worker died|Z error "
LEFT = ("slot", "joined", "kilobytes")  # counts that do not go back to zero


class Soaked(Gateway):
    """Keeps no line about what failed as it was to."""

    def read_log(self):
        for line in self.process.stderr:
            if not EXPECTED.search(line):
                with self.read:
                    self.lines.append(line.rstrip("\n"))
                    self.read.notify_all()
        with self.read:
            self.lines.append(None)
            self.read.notify_all()


class Counts:
    """One connection to the count of each worker."""

    def __init__(self, address, workers):
        self.socks = {}
        while len(self.socks) < workers:
            sock = connect(address)
            sock.settimeout(PATIENT)
            slot = self.ask(sock, "count")["slot"]
            if self.socks.setdefault(slot, sock) is not sock:
                sock.close()

    @staticmethod
    def ask(sock, order):
        sock.sendall(order.encode() + b"\n")
        answer = read_line(sock).decode()
        assert answer.endswith("\n"), "a worker is gone"
        return {key: int(value)
                for key, value in re.findall(r"(\S+)=(\d+)", answer)}

    def counts(self):
        return [self.ask(sock, "count") for sock in self.socks.values()]

    def sync(self):
        """Let the workers come this far."""
        for sock in self.socks.values():
            self.ask(sock, "sync")

    def sweep(self):
        for sock in self.socks.values():
            self.ask(sock, "sweep")

    def left(self):
        """What each worker still has, but for this connection."""
        for counts in self.counts():
            counts["slots"] -= 1
            left = {key: value for key, value in counts.items()
                    if value and key not in LEFT}
            if left:
                return left
        return None


class Crowd:
    """The clients."""

    def __init__(self, addresses, chance):
        self.addresses, self.chance = addresses, chance
        self.socks, self.opened, self.sent = [], 0, 0

    def join(self):
        sock = connect(self.chance.choice(self.addresses),
                       self.chance.choice((None, None, None, 4096)))
        sock.setblocking(False)
        self.socks.append(sock)
        self.opened += 1

    def leave(self, place):
        sock = self.socks[place]
        self.socks[place] = self.socks[-1]
        self.socks.pop()
        how = self.chance.random()
        try:
            if how < 0.3:
                sock.shutdown(socket.SHUT_WR)
            if 0.2 < how < 0.5:
                reset(sock)
        except OSError:
            pass
        sock.close()

    def talk(self, sock):
        """Some orders, of which the last may be cut short."""
        orders = self.chance.randbytes(3 * self.chance.randrange(1, 9))
        if self.chance.random() < 0.05:
            orders = orders[:-1]
        if self.chance.random() < 0.05:
            orders += self.chance.randbytes(500)
        self.sent += sock.send(orders)

    def step(self):
        place = self.chance.randrange(len(self.socks))
        sock, what = self.socks[place], self.chance.random()
        try:
            if what < 0.75:
                self.talk(sock)
            elif what < 0.94:
                if not sock.recv(1 << 18):
                    self.leave(place)
            elif what < 0.95:
                sock.shutdown(socket.SHUT_WR)
            else:
                self.leave(place)
        except BlockingIOError:
            pass
        except OSError:
            self.leave(place)

    def clear(self):
        while self.socks:
            self.leave(0)
