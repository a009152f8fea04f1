"""Asks a gateway through its control socket."""
import json
import unittest

from support.client import connect
from support.gateway import Gateway, until


class Control:
    """A connection to the control socket of GATEWAY.  Each command returns
    its result; one that is refused raises Refused."""

    def __init__(self, gateway, patience=60):
        self.path = str(gateway.directory / "control.sock")
        self.sock = connect(self.path)
        self.sock.settimeout(patience)
        self.file = self.sock.makefile("rb")

    def request(self, value):
        self.sock.sendall(json.dumps(value).encode() + b"\n")
        line = self.file.readline()
        if not line:
            raise ConnectionError("the gateway hung up")
        return json.loads(line)

    def __call__(self, command, **arguments):
        answer = self.request({"command": command, "id": 1, **arguments})
        if not answer["ok"]:
            raise Refused(answer["error"])
        return answer["result"]

    def versions(self):
        """{ version: connections } of all listeners but its own."""
        counts = {}
        for one in self("versions")["versions"]:
            if one["listener"] != "control":
                counts[one["version"]] = (counts.get(one["version"], 0) +
                                          one["connections"])
        return {v: n for v, n in counts.items() if n}

    def close(self):
        self.file.close()
        self.sock.close()


class Refused(Exception):
    pass


class Case(unittest.TestCase):
    """Closes what it starts."""

    def start(self, thing):
        self.addCleanup(thing.close)
        return thing

    def controlled(self, *listen, workers=2, **config):
        """A gateway whose workers all know of each other; self.control asks
        it."""
        gateway = self.start(Gateway(*listen, workers=workers,
                                     control="control.sock", **config))
        gateway.await_line("listening .* handler=linedancer.control")
        for number in range(workers):
            gateway.await_line("worker started", number)
        self.control = self.start(Control(gateway))
        until(lambda: "problems" not in self.control("status"))
        return gateway

    def client(self, gateway, number=0):
        return self.start(connect(gateway.address(number)))

    def refused(self, command, **arguments):
        """Why COMMAND is."""
        with self.assertRaises(Refused) as refused:
            self.control(command, **arguments)
        return str(refused.exception)
