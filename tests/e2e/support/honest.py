#!/usr/bin/python3
"""Honest clients of a store: `honest.py PORT CONNECTIONS` obeys its standard
input.

  run N          N requests, by one connection after the other; every tenth is
                 made by a client that comes for it alone, if there are fresh
  fresh on|off   whether there are (on, at first)

Each counts in a key of its own, so an answer that is lost, wrong or given to
another shows in all answers from then on.  Answers {"count", "p50", "p99",
"most", "fresh"}: the latencies in ms, of fresh ones the p99; or {"error"}."""
import json
import os
import socket
import sys
import time

try:
    os.nice(-20)  # what attackers on the same machine do to us is not meant
except PermissionError:
    pass
PATIENCE = 120  # seconds for an answer: it may take long, but it has to come
PAUSE = 0.001   # seconds between two requests


class Client:
    def __init__(self, port, key):
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.key, self.count = key, 0

    def ask(self):
        self.count += 1
        self.sock.sendall(b"INCR %s\r\n" % self.key)
        expected, got = b":%d\r\n" % self.count, b""
        while len(got) < len(expected):
            part = self.sock.recv(len(expected) - len(got))
            if not part:
                raise AssertionError("the end came instead of an answer")
            got += part
        if got != expected:
            raise AssertionError(f"{got} instead of {expected}")


class Clients:
    def __init__(self, port, count):
        self.port, self.turn, self.fresh = port, 0, True
        self.known = [Client(port, b"%d-%d" % (os.getpid(), i))
                      for i in range(count)]
        for one in self.known:
            one.ask()

    def come_and_go(self):
        one = Client(self.port, b"%d-f%d" % (os.getpid(), self.turn))
        one.ask()
        one.sock.close()

    def run(self, count):
        known, fresh = [], []
        for _ in range(count):
            self.turn += 1
            began = time.perf_counter()
            if self.fresh and self.turn % 10 == 0:
                self.come_and_go()
                fresh.append(time.perf_counter() - began)
            else:
                self.known[self.turn % len(self.known)].ask()
                known.append(time.perf_counter() - began)
            time.sleep(PAUSE)
        known.sort()
        fresh.sort()
        return {"count": count, "p50": at(known, 0.5), "p99": at(known, 0.99),
                "most": at(known, 1), "fresh": at(fresh, 0.99)}


def at(values, share):
    """The quantile SHARE of sorted VALUES, in ms."""
    if not values:
        return None
    return round(1000 * values[min(len(values) - 1,
                                   int(len(values) * share))], 3)


def main():
    clients = Clients(int(sys.argv[1]), int(sys.argv[2]))
    print("{}", flush=True)
    for line in sys.stdin:
        command, value = line.split()
        if command == "run":
            answer = clients.run(int(value))
        else:
            clients.fresh = value == "on"
            answer = {}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    try:
        main()
    except Exception as problem:
        print(json.dumps({"error": repr(problem)}), flush=True)
