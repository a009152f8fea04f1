#!/usr/bin/python3
"""Servers of all manners, from which streams are pulled and to which they are
pushed: the bad ones are left, and tried again."""
import os
import pathlib
import struct
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import rtmp, rtmp_wire as wire
from support.case import Case
from support.rtmp_pair import Pair
from support.rtmp_server import Server

KEY = rtmp.key_frame(b"at last")


def deep():
    return b"\3\0\1a" * 10000


def raw(*parts):
    """A command whose last value is no AMF0 of ours."""
    return wire.message(0, 3, b"".join(parts), kind=rtmp.COMMAND, stream=0)


class Bad:
    """What servers do to their first client; each ends the pull, but those of
    LATE, which do so when a time is over."""

    LATE = ("says_nothing", "greets_and_says_nothing", "plays_nothing")

    def closes(self, session):
        pass

    def speaks_http(self, session):
        session.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        session.wait()

    def wants_rtmpe(self, session):
        session.sock.sendall(b"\6" + bytes(3072))
        session.wait()

    def ends_in_the_handshake(self, session):
        session.sock.sendall(b"\3" + bytes(2000))

    def sends_garbage(self, session):
        session.greet().sock.sendall(os.urandom(100000))

    def refuses_the_app(self, session):
        tid = session.greet().asked("connect")[1]
        session.sock.sendall(wire.command(0, "_error", tid, None, {
            "level": "error", "code": "NetConnection.Connect.Rejected"}))
        session.wait()

    def answers_by_deep_amf(self, session):
        session.greet().asked("connect")
        session.sock.sendall(raw(rtmp.encode("_result", 1), deep()))
        session.sock.sendall(wire.chunk_size(0))
        session.wait()

    def announces_empty_chunks(self, session):
        session.greet().asked("connect")
        session.sock.sendall(wire.chunk_size(0))
        session.wait()

    def opens_chunk_streams_without_end(self, session):
        session.connected()
        for csid in range(3, 1000):
            session.sock.sendall(wire.message(0, csid, b"", kind=8))
        session.wait()

    def creates_no_stream(self, session):
        tid = session.connected().asked("createStream")[1]
        session.sock.sendall(wire.command(0, "_error", tid, None, {}))
        session.wait()

    def creates_a_stream_that_is_no_number(self, session):
        session.connected().answer("createStream", None, float("nan"))
        session.wait()

    def creates_a_stream_beyond_numbers(self, session):
        session.connected().answer("createStream", None, 1e300)
        session.wait()

    def has_no_such_stream(self, session):
        session.created().asked("play")
        session.tell("NetStream.Play.StreamNotFound", "error")
        session.wait()

    def tells_of_the_end_at_once(self, session):
        session.plays().tell("NetStream.Play.UnpublishNotify")
        session.wait()

    def declares_what_is_too_much(self, session):
        session.plays().sock.sendall(wire.head(0, 6, 0, 0xffffff) + b"x")
        session.wait()

    def sends_an_aggregate_that_is_torn(self, session):
        body = wire.aggregate([(9, 0, KEY)])[:-8]
        session.plays().sock.sendall(wire.message(
            0, 6, body, kind=wire.AGGREGATE))
        session.wait()

    def says_nothing(self, session):
        session.wait()

    def greets_and_says_nothing(self, session):
        session.greet().wait()

    def plays_nothing(self, session):
        session.plays()
        session.wait()


class Servers(Case):
    def test_bad_servers_are_left_and_tried_again(self):
        bad = Bad()
        names = [name for name in dir(bad) if name[0].islower()]
        servers = {}

        def serve(misbehave):
            def serve_one(session):
                if session.number == 1:
                    return misbehave(session)
                session.plays()
                session.video(0, rtmp.VIDEO_HEADER)
                session.video(0, KEY)
                session.wait()
            return serve_one
        for name in names:
            servers[name] = self.start(Server(serve(getattr(bad, name))))
        gateway = self.gateway(pull={
            f"live/{name}": servers[name].url(f"src/{name}")
            for name in names})
        with Pair(gateway.address()) as pair:
            viewers = {name: self.client(gateway).play(name) for name in names}
            late = [name for name in names if name in bad.LATE]
            for name in [n for n in names if n not in bad.LATE] + late:
                with self.subTest(name):
                    gateway.await_line(
                        rf"pull ended .*reason=.*stream=live/{name}\b")
                    self.assertEqual(viewers[name].next_video().body, KEY)
            pair.more()

    def test_a_pull_takes_what_servers_may_send(self):
        parts = [(rtmp.VIDEO, 9000, KEY), (rtmp.AUDIO, 9020, b""),
                 (rtmp.AUDIO, 9020, rtmp.sound(b"a" * 300)),
                 (rtmp.VIDEO, 9040, rtmp.frame(b"1"))]
        pong = threading.Event()

        def serve(session):
            session.plays().sock.sendall(
                wire.event(0, 1) + wire.event(31, 1) + wire.event(6, 77) +
                wire.command(0, "onBWDone", 0, None, 8192) +
                wire.chunk_size(4096) +
                wire.message(0, 6, rtmp.VIDEO_HEADER, 0) +
                wire.message(0, 7, wire.aggregate(parts), 100,
                             kind=wire.AGGREGATE, size=4096) +
                wire.message(0, 400, rtmp.frame(b"2" * 9000), 0x1000000,
                             size=4096))
            session.until(lambda m: m.body == struct.pack(">HI", 7, 77))
            pong.set()
            session.wait()
        server = self.start(Server(serve))
        gateway = self.gateway(pull={"live/*": server.url("src/*")})
        viewer = self.client(gateway).play("x")
        viewer.until(lambda m: m.body == rtmp.VIDEO_HEADER)
        got = [viewer.until(lambda m: m.kind in (rtmp.AUDIO, rtmp.VIDEO))
               for _ in range(5)]
        self.assertEqual(
            [(m.kind, m.time, m.body) for m in got],
            [(kind, at - 8900, body) for kind, at, body in parts] +
            [(rtmp.VIDEO, 0x1000000, rtmp.frame(b"2" * 9000))])
        self.assertTrue(pong.wait(15))

    def test_a_server_that_takes_nothing_holds_up_nobody(self):
        stop = threading.Event()
        self.addCleanup(stop.set)

        def serve(session):
            session.publishes()
            if session.number == 1:
                stop.wait(60)
            else:
                session.wait()
        server = self.start(Server(serve))
        gateway = self.gateway(push={"live/x": server.url("in/x")}, stall=2)
        viewer = self.client(gateway).play("x")
        publisher = self.client(gateway).publish("x")
        publisher.headers()
        gateway.await_line(" pushing ")
        number = 0
        while not gateway.count("push ended .*reason=stalled"):
            wrap = rtmp.frame if number % 25 else rtmp.key_frame
            body = wrap(struct.pack(">I", number) * 20000)
            publisher.video(40 * number, body)
            self.assertEqual(viewer.next_video().body, body)
            number += 1
            self.assertLess(number, 3000)
            time.sleep(0.01)  # the pace of the stream itself
        again = server.session(2)
        publisher.video(40 * number, rtmp.key_frame(b"again"))
        self.assertEqual(viewer.next_video().body, rtmp.key_frame(b"again"))
        self.assertEqual(again.number, 2)

    def test_a_pushed_stream_arrives_whole_with_its_metadata(self):
        got, done = [], threading.Event()

        def serve(session):
            session.publishes()
            while True:
                message = session.receive()
                if message is None:
                    break
                if message.kind in (8, 9, 18):
                    got.append((message.kind, message.time, message.body))
                elif b"deleteStream" in message.body:
                    done.set()
        server = self.start(Server(serve))
        gateway = self.gateway(push={"live/*": [server.url("in/*")]})
        publisher = self.client(gateway).publish("x")
        publisher.headers()
        publisher.video(0, KEY)
        gateway.await_line(" pushing ")
        sent = [(rtmp.VIDEO, 40 * i, rtmp.frame(b"%d" % i * i))
                for i in range(1, 200)]
        for kind, at, body in sent:
            publisher.send(kind, at, 1, body, csid=6)
        publisher.command(1, "closeStream", None)
        self.assertTrue(done.wait(15))
        self.assertEqual(got[0][2], rtmp.encode(
            "@setDataFrame", "onMetaData", {"width": 320, "height": 180}))
        self.assertEqual([m[2] for m in got[1:3]],
                         [rtmp.VIDEO_HEADER, rtmp.AUDIO_HEADER])
        self.assertEqual(got[3:], [(rtmp.VIDEO, 0, KEY), *sent])


if __name__ == "__main__":
    unittest.main(warnings="ignore")
