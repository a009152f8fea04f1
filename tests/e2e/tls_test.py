#!/usr/bin/python3
"""Handlers over TLS, for clients by OpenSSL and GnuTLS that are well-behaved,
and for others."""
import os
import pathlib
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import control, media
from support.client import Bystander, ask, connect, read, read_all, read_line
from support.gateway import Lua, run, until
from support.pki import Pki

# A line is answered by what the connection knows of its TLS; "send" by a blob.
TELL = """
local states = {}
function states.line(conn)
  local line = conn:read_line()
  if not line then return end
  local tls = conn.tls
  if line == "send" then
    conn:write(("x"):rep(9e5), "\\n")
  elseif tls then
    conn:write(table.concat({ line, tls.version, tls.server_name or "-",
      tls.alpn or "-", tls.subject or "-", tostring(tls.resumed),
      conn.id:match "^%d+" }, " "), "\\n")
  else
    conn:write(line, " plain\\n")
  end
  return "line"
end
return { initial = "line", states = states, timeouts = { 60 },
  on_error = function(conn, err) require("linedancer").log.info("over",
    { code = err.code }) end }
"""


class Case(control.Case):
    @classmethod
    def setUpClass(cls):
        cls.pki = Pki.of_tests(cls)
        cls.first = cls.pki.make("first", "a.example", "localhost")
        cls.second = cls.pki.make("second", "*.b.example")
        cls.ca = cls.pki.make("ca")
        cls.pki.make("someone", signer="ca")
        cls.pki.make("stranger")

    def gateway(self, handler=TELL, workers=2, **tls):
        entry = {"handler": handler, "tls": {**self.first, **tls}}
        if "pairs" in tls:
            rest = {k: v for k, v in tls.items() if k != "pairs"}
            named = "".join(f", {k} = {{ {', '.join(map(repr, v))} }}"
                            for k, v in rest.items())
            entry["tls"] = Lua("{ %s%s }" % (", ".join(
                "{ certificate = %r, key = %r }" % (p["certificate"], p["key"])
                for p in tls["pairs"]), named))
        return self.controlled(entry, {"handler": "echo"}, workers=workers,
                               log={"level": "debug"})

    def secure(self, gateway, context=None, host="a.example", **more):
        context = context or self.pki.client("first", "second")
        raw = self.start(connect(gateway.address()))
        return self.start(context.wrap_socket(raw, server_hostname=host, **more))

    def facts(self, sock, line=b"hello"):
        sock.sendall(line + b"\n")
        return read_line(sock).decode().split(" ")


class Terms(Case):
    def test_versions(self):
        gateway = self.gateway()
        for version, good in ((ssl.TLSVersion.TLSv1_1, False),
                              (ssl.TLSVersion.TLSv1_2, True),
                              (ssl.TLSVersion.TLSv1_3, True)):
            context = self.pki.client("first")
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = context.maximum_version = version
            if good:
                told = self.facts(self.secure(gateway, context))
                self.assertEqual(told[1].replace(".", "_"), version.name)
            else:
                self.assertRaises((ssl.SSLError, OSError), self.secure,
                                  gateway, context)
        gateway.await_line("handshake failed .*unsupported protocol")

    def test_names_choose_certificates(self):
        gateway = self.gateway(pairs=[self.first, self.second])
        for host, name in (("a.example", "first"), ("x.b.example", "second"),
                           ("other.example", "first")):
            told = subprocess.run(
                ["openssl", "s_client", "-connect", gateway.ports[0],
                 "-servername", host], input=b"", capture_output=True).stdout
            self.assertRegex(told.decode(), f"subject=.*CN = {name}\n")
        told = self.facts(self.secure(gateway, host="x.b.example"))
        self.assertEqual(told[2], "x.b.example")

    def test_alpn(self):
        gateway = self.gateway(pairs=[self.first], alpn=["line", "other"])
        for offer, chosen in ((["x", "other", "line"], "line"),
                              (["other"], "other"), ([], "-")):
            context = self.pki.client("first", alpn=offer)
            self.assertEqual(self.facts(self.secure(gateway, context))[3],
                             chosen)
        context = self.pki.client("first", alpn=["x"])
        self.assertRaises(ssl.SSLError, self.secure, gateway, context)

    def test_certificates_of_clients(self):
        for client in "optional", "required":
            gateway = self.gateway(client=client,
                                   client_ca=self.ca["certificate"])
            told = self.facts(self.secure(gateway, self.pki.client(
                "first", identity="someone")))
            self.assertEqual(told[4], "CN=someone,O=Test")
            with self.assertRaises(OSError):  # TLS 1.3 says so afterwards
                self.facts(self.secure(gateway, self.pki.client(
                    "first", identity="stranger")))
            if client == "optional":
                self.assertEqual(self.facts(self.secure(gateway))[4], "-")
            else:
                with self.assertRaises(OSError):
                    self.facts(self.secure(gateway))
            gateway.await_line("handshake failed .*certificate verify failed")

    def test_tickets_are_good_in_every_worker(self):
        gateway = self.gateway()
        for version in ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3:
            context = self.pki.client("first")
            context.maximum_version = version
            sock = self.secure(gateway, context)
            told = self.facts(sock)
            self.assertEqual(told[5], "false")
            session, seen = sock.session, set()
            while seen != {"1\n", "2\n"}:
                told = self.facts(self.secure(gateway, context,
                                              session=session))
                self.assertEqual(told[5], "true")
                seen.add(told[6])

    def test_who_comes_back_by_a_ticket_of_tls_1_3_is_given_another(self):
        """Such clients use each but once: without another, every second
        handshake is a full one."""
        gateway = self.gateway(workers=1)
        context = self.pki.client("first")
        sock = self.secure(gateway, context)
        self.facts(sock)
        for _ in range(2):
            session = sock.session
            sock = self.secure(gateway, context, session=session)
            self.assertEqual(self.facts(sock)[5], "true")
            self.assertNotEqual(sock.session.id, session.id)

    def test_a_reload_brings_new_certificates(self):
        gateway = self.gateway()
        sock = self.secure(gateway)
        former = sock.getpeercert()["serialNumber"]
        self.pki.make("first", "a.example", "localhost")
        self.control("reload")
        fresh = self.secure(gateway)
        until(lambda: self.secure(gateway).getpeercert()["serialNumber"] !=
              former)
        self.assertEqual(self.facts(sock)[0], "hello")
        self.assertEqual(self.facts(fresh)[0], "hello")

    def test_what_cannot_be_used_is_refused(self):
        crossed = {"certificate": self.first["certificate"],
                   "key": self.second["key"]}
        junk = self.pki.path("junk.pem")
        pathlib.Path(junk).write_text("junk")
        self.pki.openssl("pkey", "-in", "first.key", "-aes128", "-passout",
                         "pass:x", "-out", "locked.key")
        soon = self.pki.make("soon", "a.example", days=5)
        for pair, why in ((crossed, "key values mismatch"),
                          ({**self.first, "certificate": junk},
                           "certificate cannot be used"),
                          ({**self.first, "key": junk}, "key cannot be used"),
                          ({**self.first, "key": self.pki.path("locked.key")},
                           "key cannot be used"),
                          ({**self.first, "key": "/nonexistent"},
                           "cannot open /nonexistent")):
            config = self.pki.path("gateway.lua")
            pathlib.Path(config).write_text(
                "return { listen = { { '127.0.0.1:0', handler = 'echo', tls = "
                "{ certificate = %r, key = %r } } } }" % (
                    pair["certificate"], pair["key"]))
            for command in "run", "check":
                told = run(command, config)
                self.assertEqual(told.returncode, 1)
                self.assertIn(why, told.stderr)
        pathlib.Path(config).write_text(
            "return { listen = { { '127.0.0.1:0', handler = 'echo', tls = { "
            "certificate = %r, key = %r } } } }" % (
                soon["certificate"], soon["key"]))
        told = run("check", config)
        self.assertEqual(told.returncode, 0)
        self.assertRegex(told.stderr, r"expires in [45]\.\d days")


class Bytes(Case):
    def test_much_is_carried_both_ways(self):
        gateway = self.gateway("echo")
        sock = self.secure(gateway)
        sock.setblocking(False)
        data, sent, got = os.urandom(5_000_000), 0, bytearray()
        while len(got) < len(data):  # in one thread: Python's TLS is no good
            self.assertTrue(select.select(  # for two
                [sock], [sock] if sent < len(data) else [], [], 15)[:2])
            try:
                sent += sock.send(data[sent:sent + 100_000])
            except ssl.SSLWantWriteError:
                pass
            try:
                while part := sock.recv(1 << 20):
                    got += part
            except ssl.SSLWantReadError:
                pass
        self.assertEqual(got, data)

    def test_a_slow_reader_gets_all(self):
        gateway = self.gateway()
        raw = self.start(connect(gateway.address(), receive=4096))
        sock = self.start(self.pki.client("first").wrap_socket(
            raw, server_hostname="a.example"))
        sock.sendall(b"send\nhello\n")
        self.assertEqual(read(sock, 900_001), b"x" * 900_000 + b"\n")
        self.assertTrue(read_line(sock).startswith(b"hello"))

    def test_records_come_in_any_pieces(self):
        gateway = self.gateway()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.pki.client("first").wrap_bio(incoming, outgoing,
                                                server_hostname="a.example")
        sock = self.start(connect(gateway.address()))

        def until_done(step):
            while True:
                try:
                    result = step()
                except ssl.SSLWantReadError:
                    result = None
                for byte in outgoing.read():
                    sock.sendall(bytes([byte]))
                if result is not None:
                    return result
                incoming.write(sock.recv(7))
        until_done(lambda: tls.do_handshake() or True)
        for size in 1, 100, 16383:
            line = b"y" * size
            until_done(lambda: tls.write(line + b"\n"))
            told = b""
            while not told.endswith(b"\n"):
                told += until_done(lambda: tls.read(100000))
            self.assertEqual(told.split()[0], line)

    def test_what_was_said_before_leaving_is_heard(self):
        """A client that leaves with its first request, before the server's
        tickets reach it: that they cannot be sent must not hide what came."""
        gateway = self.gateway("""
          local log = require("linedancer").log
          return function(conn)
            log.info("heard", { line = conn:read_line() })
          end""")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self.pki.client("first").wrap_bio(incoming, outgoing,
                                                server_hostname="a.example")
        with connect(gateway.address()) as sock:
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
            tls.write(b"last words\n")
            sock.sendall(outgoing.read())
        gateway.await_line('heard .*line="last words"')

    def test_what_was_flushed_outlives_the_worker(self):
        """The kernel has it, not we: also the last record."""
        gateway = self.gateway("""
          local log = require("linedancer").log
          return function(conn)
            for _ = 1, 8 do
              conn:write(("x"):rep(800000))
              conn:flush()
            end
            log.info "flushed"
            conn:read(1)
          end""", workers=1)
        raw = self.start(connect(gateway.address(), receive=4096))
        sock = self.start(self.pki.client("first").wrap_socket(
            raw, server_hostname="a.example"))
        got = 0
        while " flushed" not in gateway.log():
            got += len(sock.recv(4096))
        os.kill(int(gateway.await_line("worker started .*pid=(\\d+)").group(1)),
                signal.SIGKILL)
        try:
            while part := sock.recv(1 << 20):
                got += len(part)
        except ssl.SSLEOFError:
            pass
        self.assertEqual(got, 6_400_000)

    def test_many_records_at_once(self):
        gateway = self.gateway()
        sock = self.secure(gateway)
        lines = [b"line%d" % i for i in range(3000)]
        for line in lines:  # a record each
            sock.send(line + b"\n")
        for line in lines:
            self.assertEqual(read_line(sock).split()[0], line)

    def test_the_server_may_speak_first_and_each_side_end(self):
        gateway = self.gateway("greeter")
        sock = self.secure(gateway)
        self.assertTrue(sock.recv(1000))
        gateway = self.gateway()
        sock = self.secure(gateway)
        sock.sendall(b"hello\n")
        self.assertTrue(read_line(sock).startswith(b"hello "))
        sock.unwrap()  # both have said that they end
        gateway.await_line("connection ended .*reason=done")

    def test_video_over_rtmps(self):
        media.clip()
        gateway = self.gateway("rtmp")
        url = f"rtmps://127.0.0.1:{gateway.port()}/live/x"
        got = gateway.directory / "x.md5"
        player = self.start(media.player(url, got))
        gateway.await_line(" playing ")
        publisher = self.start(media.publisher(url))
        publisher.wait()
        player.wait()
        self.assertEqual(media.frames_of_player(got),
                         media.frames(media.clip()))


class Peers(Case):
    def test_a_cut_is_no_end(self):
        gateway = self.gateway()
        sock = self.secure(gateway)
        self.facts(sock)
        raw = socket.socket(fileno=sock.detach())
        raw.close()  # without a word of TLS
        gateway.await_line(r"over worker=\d code=reset")

    def test_silence_and_junk_hurt_nobody(self):
        gateway = self.gateway(handshake=0.3, workers=1)
        with Bystander(gateway.address(1)) as bystander:
            silent = [self.start(connect(gateway.address()))
                      for _ in range(50)]
            other = self.secure(gateway)
            for junk in b"GET / HTTP/1.0\r\n\r\n", os.urandom(5000), b"\x16\3\1":
                sock = self.start(connect(gateway.address()))
                sock.sendall(junk)
                try:
                    read_all(sock)  # an alert, or nothing
                except ConnectionResetError:
                    pass
            for sock in silent:
                try:
                    self.assertEqual(read_all(sock), b"")
                except ConnectionResetError:
                    pass
            gateway.await_line("handshake failed .*took too long", 50)
            bystander.more()
            self.assertEqual(self.facts(other)[0], "hello")
        until(lambda: len(self.control("conns")["conns"]) <= 3)
        [one] = self.control("status")["workers"]
        until(lambda: self.control("status")["workers"][0]["listeners"][0]
              ["connections"] == 1)

    def test_clients_that_leave_at_once(self):
        gateway = self.gateway(workers=1)
        before = len(os.listdir(f"/proc/{gateway.workers()[0]}/fd"))
        for number in range(200):
            sock = connect(gateway.address())
            if number % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack("ii", 1, 0))
            if number % 3:
                sock.sendall(b"\x16\3\1\1\0")
            sock.close()
        until(lambda: len(os.listdir(f"/proc/{gateway.workers()[0]}/fd")) ==
              before)
        self.assertEqual(self.facts(self.secure(gateway))[0], "hello")

    def test_a_drain_waits_for_what_is_said(self):
        gateway = self.gateway()
        sock = self.secure(gateway)
        sock.sendall(b"hel")
        until(lambda: [c for c in self.control("conns")["conns"]
                       if c["unread"] == 3])
        gateway.process.terminate()
        gateway.await_line("draining workers=2")
        sock.sendall(b"lo\n")
        self.assertTrue(read_line(sock).startswith(b"hello "))
        self.assertEqual(sock.recv(1), b"")  # with close_notify
        self.assertEqual(gateway.wait(), 0)


if __name__ == "__main__":
    unittest.main()
