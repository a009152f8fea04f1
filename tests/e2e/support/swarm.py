#!/usr/bin/python3
"""Many clients of one echo: `swarm.py PORT COUNT` obeys its standard input.

  connect   begin COUNT connections; prints how many were refused at once
  talk      each connection sends its number, twice, and reads it back; prints
            how many got all of it, a wrong answer, and a reset after a part;
            those that got nothing still wait, or were refused
"""
import errno
import resource
import select
import socket
import sys
import time

PORT, COUNT = int(sys.argv[1]), int(sys.argv[2])
SILENCE = 1.5  # seconds without any answer at all: the rest wait


def begin(count):
    """COUNT non-blocking sockets that connect; the refused are left out."""
    socks = {}
    for _ in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        code = sock.connect_ex(("127.0.0.1", PORT))
        if code in (0, errno.EINPROGRESS):
            socks[sock.fileno()] = sock
        else:
            sock.close()
    return socks


class Talk:
    """One client's exchange."""

    def __init__(self, sock):
        self.sock = sock
        self.text = b"client %d\n" % sock.fileno()
        self.got, self.rounds, self.end = b"", 0, None

    def write(self):
        self.sock.send(self.text)

    def read(self):
        """More to come?"""
        part = self.sock.recv(100)
        self.got += part
        if not part:
            self.end = "lost"
        elif self.got == self.text:
            self.rounds, self.got = self.rounds + 1, b""
            if self.rounds == 2:
                self.end = "answered"
            else:
                self.write()
        elif not self.text.startswith(self.got):
            self.end = "wrong"
        return self.end is None


def step(talk, event, poll):
    """Go on with TALK, one of whose sockets has EVENT."""
    number = talk.sock.fileno()
    try:
        if event & select.EPOLLIN:
            if not talk.read():
                poll.unregister(number)
        elif event & select.EPOLLOUT:
            talk.write()
            poll.modify(number, select.EPOLLIN)
        else:
            poll.unregister(number)
    except OSError:
        poll.unregister(number)
        talk.end = "lost" if talk.rounds or talk.got else "refused"


def talk_all(socks):
    poll = select.epoll()
    talks = {number: Talk(sock) for number, sock in socks.items()}
    for number in talks:
        poll.register(number, select.EPOLLOUT)
    heard = time.monotonic()
    while time.monotonic() - heard < SILENCE:
        for number, event in poll.poll(SILENCE):
            step(talks[number], event, poll)
            if event & select.EPOLLIN:
                heard = time.monotonic()
    ends = [talk.end for talk in talks.values()]
    return [ends.count(end) for end in ("answered", "wrong", "lost")]


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    socks = {}
    for line in sys.stdin:
        if line == "connect\n":
            socks = begin(COUNT)
            print(COUNT - len(socks), flush=True)
        elif line == "talk\n":
            print(*talk_all(socks), flush=True)


if __name__ == "__main__":
    main()
