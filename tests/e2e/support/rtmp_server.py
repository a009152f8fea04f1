"""An RTMP server, whose manners are the test's."""
import os
import socket
import threading

from support import rtmp, rtmp_wire as wire
from support.client import read
from support.gateway import PATIENCE


class Session(rtmp.Client):
    """What a server has of a client; NUMBER is that of its connection."""

    def __init__(self, sock, number):  # pylint: disable=super-init-not-called
        self.sock, self.number = sock, number
        self.parser, self.waiting, self.tid = rtmp.Parser(), [], 1
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def greet(self):
        c1 = read(self.sock, 1537)[1:]
        self.sock.sendall(b"\3" + bytes(8) + os.urandom(1528) + c1)
        read(self.sock, 1536)
        return self

    def asked(self, name):
        """The values of the client's command NAME."""
        return rtmp.decode(self.until(
            lambda m: m.kind == rtmp.COMMAND and
            rtmp.decode(m.body)[0] == name).body)

    def answer(self, name, *values):
        """Answer command NAME by a _result with VALUES."""
        tid = self.asked(name)[1]
        self.sock.sendall(wire.command(0, "_result", tid, *values))

    def tell(self, code, level="status"):
        self.sock.sendall(wire.command(1, "onStatus", 0, None, {
            "level": level, "code": code, "description": code}))

    def connected(self):
        self.greet().answer("connect", {"fmsVer": "FMS/3"}, {
            "level": "status", "code": "NetConnection.Connect.Success"})
        return self

    def created(self):
        self.connected().answer("createStream", None, 1)
        return self

    def plays(self):
        """Let it play."""
        self.created().asked("play")
        self.tell("NetStream.Play.Start")
        return self

    def publishes(self):
        """Let it publish."""
        self.created().asked("publish")
        self.tell("NetStream.Publish.Start")
        return self

    def wait(self):
        """Until the client ends, whatever it says."""
        self.sock.settimeout(None)
        while self.sock.recv(1 << 16):
            pass


class Server:
    """Calls SERVE(session) for each connection, in a thread, and then closes
    that.  Use as a context manager."""

    def __init__(self, serve):
        self.serve, self.sessions = serve, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.changed = threading.Condition()
        threading.Thread(target=self.accept, daemon=True).start()

    def url(self, path):
        return f"rtmp://127.0.0.1:{self.listener.getsockname()[1]}/{path}"

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.changed:
                session = Session(sock, len(self.sessions) + 1)
                self.sessions.append(session)
                self.changed.notify_all()
            threading.Thread(target=self.run, args=(session,),
                             daemon=True).start()

    def run(self, session):
        try:
            self.serve(session)
        except (OSError, AssertionError, IndexError):
            pass  # the client has left: the test will tell whether it should
        session.close()

    def session(self, number):
        """Connection NUMBER, once it is there."""
        with self.changed:
            if not self.changed.wait_for(
                    lambda: len(self.sessions) >= number, PATIENCE):
                raise AssertionError(f"{len(self.sessions)} connections")
            return self.sessions[number - 1]

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for session in self.sessions:
            session.close()

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.close()
