"""RTMP on the wire, chunk by chunk, as oddly as a peer may cut it.

support.rtmp sends each message in the plain way; here every field of every
chunk is the test's own, and several messages may be under way at a time."""
import itertools
import struct

from support.rtmp import COMMAND, VIDEO, basic_header, encode

EXTENDED = 0xFFFFFF
AGGREGATE, AMF3_DATA, AMF3_COMMAND = 22, 15, 17


def basic(fmt, csid, size=None):
    """The basic header; SIZE bytes of it, where more than one form will do."""
    if size is None:
        return basic_header(fmt, csid)
    if size == 1:
        return bytes([fmt << 6 | csid])
    if size == 2:
        return bytes([fmt << 6, csid - 64])
    return bytes([fmt << 6 | 1]) + struct.pack("<H", csid - 64)


def head(fmt, csid, stamp=0, size=0, kind=VIDEO, stream=1, extended=None,
         basic_size=None):
    """The header of a chunk with FMT 0 to 2: STAMP is its time or delta.
    EXTENDED: whether that goes into four bytes more; by default, if it has
    to."""
    if extended is None:
        extended = stamp >= EXTENDED
    out = basic(fmt, csid, basic_size)
    out += struct.pack(">I", EXTENDED if extended else stamp)[1:]
    if fmt < 2:
        out += struct.pack(">I", size)[1:] + bytes([kind])
    if fmt < 1:
        out += struct.pack("<I", stream)
    if extended:
        out += struct.pack(">I", stamp)
    return out


def cut(body, size=128, first=0):
    """BODY in pieces of SIZE bytes, the first of FIRST if that is not 0."""
    at = min(first or size, len(body))
    return [body[:at], *(body[i:i + size] for i in range(at, len(body), size))]


def pieces(fmt, csid, body, stamp=0, size=128, kind=VIDEO, stream=1,
           extended=None, repeat=True, basic_size=None):
    """The chunks of a message, a list: one with FMT, which may be 3, then
    those with fmt 3.  STAMP is the time or delta, also of an opening fmt 3,
    which tells whether it is extended.  REPEAT: continuing chunks repeat an
    extended time."""
    if extended is None:
        extended = stamp >= EXTENDED
    again = struct.pack(">I", stamp) if extended else b""
    if fmt < 3:
        begin = head(fmt, csid, stamp, len(body), kind, stream, extended,
                     basic_size)
    else:
        begin = basic(3, csid, basic_size) + again
    more = basic(3, csid, basic_size) + (again if repeat else b"")
    return [(more if i else begin) + piece
            for i, piece in enumerate(cut(body, size))]


def message(*args, **options):
    """As pieces(), in one."""
    return b"".join(pieces(*args, **options))


def interleave(*lists):
    """The chunks of several messages, in turns."""
    turns = itertools.zip_longest(*lists, fillvalue=b"")
    return b"".join(b"".join(turn) for turn in turns)


def control(kind, *values):
    """A protocol control message, of u32 VALUES."""
    return message(0, 2, struct.pack(f">{len(values)}I", *values), kind=kind,
                   stream=0)


def chunk_size(size):
    return control(1, size)


def abort(csid):
    return control(2, csid)


def event(what, *values):
    """A user control message, with u32 VALUES."""
    return message(0, 2, struct.pack(f">H{len(values)}I", what, *values),
                   kind=4, stream=0)


def command(stream, name, tid, *values, csid=3, kind=COMMAND, size=128):
    body = encode(name, tid, *values)
    if kind == AMF3_COMMAND:
        body = b"\0" + body
    return message(0, csid, body, kind=kind, stream=stream, size=size)


def aggregate(parts, stream=1):
    """The body of an aggregate of PARTS (kind, time, body)."""
    out = b""
    for kind, stamp, body in parts:
        out += (bytes([kind]) + struct.pack(">I", len(body))[1:] +
                struct.pack(">I", stamp & 0xFFFFFF)[1:] +
                bytes([stamp >> 24]) + struct.pack(">I", stream)[1:] + body +
                struct.pack(">I", len(body) + 11))
    return out


def ecma(pairs):
    """A dict as an ECMA array, whose count is off as many encoders have it."""
    return b"\x08\0\0\0\0" + encode(pairs)[1:]
