"""A raw RTMP client, with every freedom that the wire leaves a peer."""
import hashlib
import hmac
import os
import socket
import struct
import time

from support.client import connect, read
from support.gateway import PATIENCE

AUDIO, VIDEO, DATA, COMMAND = 8, 9, 18, 20
PLAYER_KEY = b"Genuine Adobe Flash Player 001"
VIDEO_HEADER = bytes.fromhex("1700000000014d400cffe1001967"
                             "4d400ceca0a0cfcf808800000300080000030190"
                             "78a14cb001000468ce0fc8")
AUDIO_HEADER = b"\xaf\x00\x12\x10"


class Undefined:
    """ActionScript's undefined."""


def encode(*values):
    """VALUES in AMF0."""
    out = bytearray()
    for value in values:
        if value is None:
            out += b"\5"
        elif isinstance(value, bool):
            out += b"\1" + bytes([value])
        elif isinstance(value, (int, float)):
            out += b"\0" + struct.pack(">d", value)
        elif isinstance(value, str):
            out += b"\2" + struct.pack(">H", len(value.encode()))
            out += value.encode()
        elif isinstance(value, dict):
            out += b"\3"
            for key, item in value.items():
                out += struct.pack(">H", len(key)) + key.encode()
                out += encode(item)
            out += b"\0\0\x09"
        else:
            raise TypeError(value)
    return bytes(out)


def decode_one(data, at):
    kind, at = data[at], at + 1
    if kind == 0:
        return struct.unpack_from(">d", data, at)[0], at + 8
    if kind == 1:
        return data[at] != 0, at + 1
    if kind == 2:
        size = struct.unpack_from(">H", data, at)[0]
        return data[at + 2:at + 2 + size].decode(), at + 2 + size
    if kind in (3, 8):
        at += 4 if kind == 8 else 0
        result = {}
        while True:
            size = struct.unpack_from(">H", data, at)[0]
            key = data[at + 2:at + 2 + size].decode()
            at += 2 + size
            if key == "" and data[at] == 9:
                return result, at + 1
            result[key], at = decode_one(data, at)
    if kind == 5:
        return None, at
    if kind == 6:
        return Undefined, at
    if kind == 10:
        count, at = struct.unpack_from(">I", data, at)[0], at + 4
        items = []
        for _ in range(count):
            item, at = decode_one(data, at)
            items.append(item)
        return items, at
    raise ValueError(f"AMF0 marker {kind}")


def decode(data):
    values, at = [], 0
    while at < len(data):
        value, at = decode_one(data, at)
        values.append(value)
    return values


def basic_header(fmt, csid):
    if csid < 64:
        return bytes([fmt << 6 | csid])
    if csid < 320:
        return bytes([fmt << 6, csid - 64])
    return bytes([fmt << 6 | 1]) + struct.pack("<H", csid - 64)


def chunks(kind, time_ms, stream, body, csid=3, size=128, repeat=True):
    """A message as chunks: fmt 0, then fmt 3, which repeat an extended time
    or not."""
    extended = struct.pack(">I", time_ms) if time_ms >= 0xFFFFFF else b""
    out = [basic_header(0, csid), struct.pack(">I", min(time_ms, 0xFFFFFF))[1:],
           struct.pack(">I", len(body))[1:], bytes([kind]),
           struct.pack("<I", stream), extended, body[:size]]
    for at in range(size, len(body), size):
        out += [basic_header(3, csid), extended if repeat else b"",
                body[at:at + size]]
    return b"".join(out)


def key_frame(text):
    return b"\x17\x01\0\0\0" + text


def frame(text):
    return b"\x27\x01\0\0\0" + text


def sound(text):
    return b"\xaf\x01" + text


class Message:
    def __init__(self, kind, time_ms, stream, body):
        self.kind, self.time, self.stream, self.body = (kind, time_ms, stream,
                                                        body)

    def __repr__(self):
        return f"<{self.kind} at {self.time}: {self.body[:20]!r}>"


class Parser:
    """Cuts messages out of the chunks that feed() is given."""

    def __init__(self):
        self.data, self.size, self.streams = bytearray(), 128, {}

    def feed(self, data):
        self.data += data
        while True:
            message = self.next()
            if message is None:
                return
            if message.kind == 1:
                self.size = struct.unpack(">I", message.body)[0]
            yield message

    def next(self):
        """The next whole message, or None."""
        while True:
            used, message = self.chunk()
            if used == 0:
                return None
            del self.data[:used]
            if message:
                return message

    def chunk(self):
        data = self.data
        if len(data) < 3:
            return 0, None
        fmt, csid, at = data[0] >> 6, data[0] & 63, 1
        if csid == 0:
            csid, at = 64 + data[1], 2
        elif csid == 1:
            csid, at = 64 + data[1] + 256 * data[2], 3
        s = self.streams.setdefault(csid, {"body": b"", "extended": False})
        size = (11, 7, 3, 0)[fmt]
        if len(data) < at + size + 4:
            if len(data) < at + size or fmt < 3 and data[at:at + 3] == b"\xff" * 3:
                return 0, None
        new = dict(s)
        if fmt < 3:
            stamp = int.from_bytes(data[at:at + 3], "big")
            if fmt < 2:
                new["size"] = int.from_bytes(data[at + 3:at + 6], "big")
                new["kind"] = data[at + 6]
            if fmt == 0:
                new["stream"] = int.from_bytes(data[at + 7:at + 11], "little")
            at += size
            new["extended"] = stamp == 0xFFFFFF
            if new["extended"]:
                stamp, at = struct.unpack_from(">I", data, at)[0], at + 4
            new["delta"] = stamp
            new["time"] = stamp if fmt == 0 else (s["time"] + stamp) % 2**32
        else:
            if s["extended"]:
                at += 4
            if not s["body"]:
                new["time"] = (s["time"] + s["delta"]) % 2**32
        piece = min(new["size"] - len(s["body"]), self.size)
        if len(data) < at + piece:
            return 0, None
        new["body"] = s["body"] + bytes(data[at:at + piece])
        self.streams[csid] = new
        if len(new["body"]) < new["size"]:
            return at + piece, None
        message = Message(new["kind"], new["time"], new.get("stream", 0),
                          new["body"])
        new["body"] = b""
        return at + piece, message


class Client:
    """A connection past its handshake.  RECEIVE: bytes of kernel buffer."""

    def __init__(self, address, digest=False, receive=None):
        self.sock = connect(address, receive)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.parser, self.waiting, self.tid = Parser(), [], 1
        self.answers = True  # pings
        self.handshake(digest)

    def handshake(self, digest):
        c1 = bytearray(os.urandom(1536))
        c1[0:8] = bytes(4) + (b"\x80\0\x07\x02" if digest else bytes(4))
        if digest:
            at = 12 + sum(c1[8:12]) % 728
            rest = bytes(c1[:at] + c1[at + 32:])
            c1[at:at + 32] = hmac.new(PLAYER_KEY, rest,
                                      hashlib.sha256).digest()
        self.sock.sendall(b"\3" + c1)
        answer = read(self.sock, 3073)
        if len(answer) != 3073 or answer[0] != 3:
            raise AssertionError(f"no handshake: {answer[:10]!r}")
        if not digest and answer[1537:] != bytes(c1):
            raise AssertionError("S2 is not C1")
        self.sock.sendall(answer[1:1537])

    def send(self, *args, **options):
        self.sock.sendall(chunks(*args, **options))

    def command(self, stream, name, *values):
        """Send a command; its transaction."""
        self.tid += 1
        self.send(COMMAND, 0, stream, encode(name, self.tid, *values))
        return self.tid

    def receive(self, seconds=PATIENCE):
        """The next message; None at the end."""
        deadline = time.monotonic() + seconds
        while not self.waiting:
            self.sock.settimeout(max(0.001, deadline - time.monotonic()))
            data = self.sock.recv(1 << 16)
            if not data:
                return None
            for message in self.parser.feed(data):
                is_ping = message.kind == 4 and message.body[:2] == b"\0\6"
                if is_ping and self.answers:
                    self.send(4, 0, 0, b"\0\7" + message.body[2:], csid=2)
                self.waiting.append(message)
        return self.waiting.pop(0)

    def until(self, wanted):
        """The first message for which WANTED(message) holds."""
        while True:
            message = self.receive()
            if message is None:
                raise AssertionError("the end came first")
            if wanted(message):
                return message

    def result(self, tid):
        """The values of the answer to TID."""
        return decode(self.until(
            lambda m: m.kind == COMMAND and decode(m.body)[1] == tid).body)

    def status(self, code):
        """Wait for the onStatus CODE."""
        def matches(message):
            if message.kind != COMMAND:
                return False
            values = decode(message.body)
            return values[0] == "onStatus" and values[3]["code"] == code
        return self.until(matches)

    def open(self, app="live"):
        self.tid = 0
        values = self.result(self.command(0, "connect", {
            "app": app, "type": "nonprivate", "tcUrl": f"rtmp://here/{app}"}))
        assert values[0] == "_result", values
        values = self.result(self.command(0, "createStream", None))
        assert values[3] == 1, values
        return self

    def publish(self, name, app="live"):
        self.open(app)
        self.command(1, "publish", None, name, "live")
        self.status("NetStream.Publish.Start")
        return self

    def play(self, name, app="live"):
        self.open(app)
        self.command(1, "play", None, name)
        self.status("NetStream.Play.Start")
        return self

    def headers(self, time_ms=0):
        """Send what a publisher begins with."""
        self.send(DATA, time_ms, 1, encode("@setDataFrame", "onMetaData",
                                           {"width": 320, "height": 180}))
        self.send(VIDEO, time_ms, 1, VIDEO_HEADER, csid=6)
        self.send(AUDIO, time_ms, 1, AUDIO_HEADER, csid=4)

    def video(self, time_ms, body):
        self.send(VIDEO, time_ms, 1, body, csid=6)

    def audio(self, time_ms, body):
        self.send(AUDIO, time_ms, 1, body, csid=4)

    def next_video(self):
        """The next frame that is no header."""
        return self.until(lambda m: m.kind == VIDEO and m.body[1] == 1)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.close()
