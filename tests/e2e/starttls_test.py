#!/usr/bin/python3
"""TLS that a handler asks for: amid a connection, and on those that it makes."""
import pathlib
import socket
import ssl
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import control
from support.client import connect, read_all, read_line
from support.gateway import SOURCE, lua
from support.pki import Pki

# A line is a Lua table: connect to `to` with `opts`, say `say` and, with
# `secure`, go on over TLS after the first line of the answer.
ASKER = """
local ld = require "linedancer"
local function told(up)
  local tls = up.tls
  return ("%s %s %s %s"):format(tls and tls.version or "plain",
    tls and tls.alpn or "-", tls and tls.subject or "-", up.reused)
end
return function(conn)
  for line in conn:lines() do
    local wish = loadstring("return " .. line)()
    local up, err = ld.connect(wish.to, wish.opts)
    if not up then
      conn:write(err.code, " ", err.message, "\\n")
    else
      local ok, err = pcall(function()
        up:write(wish.say or "hello", "\\n")
        local reply = up:read_line()
        if wish.secure then
          up:starttls(wish.secure)
          up:write "again\\n"
          reply = reply .. " " .. up:read_line()
        end
        conn:write("ok ", told(up), " ", tostring(reply), "\\n")
      end)
      if not ok then conn:write("failed ", tostring(err), "\\n") end
      if wish.release then up:release() else up:close() end
    end
  end
end
"""


class Peer:
    """A server that we did not write: Python's TLS.  Over TLS from the start,
    or after the first line."""

    def __init__(self, context, first_line=False):
        self.context, self.first_line = context, first_line
        self.names = []
        context.sni_callback = lambda _, name, __: self.names.append(name)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,),
                             daemon=True).start()

    def serve(self, sock):
        try:
            if self.first_line:
                sock.sendall(b"plain " + read_line(sock))
            with self.context.wrap_socket(sock, server_side=True) as tls:
                while line := read_line(tls):
                    tls.sendall(b"secret " + line)
        except (OSError, ssl.SSLError, AssertionError, EOFError):
            sock.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Case(control.Case):
    @classmethod
    def setUpClass(cls):
        cls.pki = Pki.of_tests(cls)
        cls.own = cls.pki.make("own", "a.example", "localhost")
        cls.ca = cls.pki.make("ca")
        cls.client = cls.pki.make("someone", signer="ca")

    def peer(self, *, trusted=None, alpn=(), first_line=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.own["certificate"], self.own["key"])
        if trusted:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(trusted)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return self.start(Peer(context, first_line))

    def asker(self):
        gateway = self.controlled({"handler": ASKER}, workers=1)
        sock = self.start(connect(gateway.address()))
        lines = self.start(sock.makefile("rb"))

        def ask(to, opts=None, **wish):
            wish = {"to": to, "opts": opts or {}, **wish}
            sock.sendall(lua(wish).encode() + b"\n")
            return lines.readline().decode().rstrip("\n")
        return ask


class Connect(Case):
    def test_a_server_must_be_who_it_says(self):
        ask, peer = self.asker(), self.peer()
        ca = self.own["certificate"]
        good = {"tls": {"ca": ca, "server_name": "a.example"}}
        self.assertEqual(ask(peer.address, good),
                         "ok TLSv1.3 - CN=own,O=Test false secret hello")
        self.assertEqual(peer.names, ["a.example"])
        for tls, why in (({"ca": ca}, "IP address mismatch"),
                         ({"ca": ca, "server_name": "b.example"},
                          "[Hh]ostname mismatch"),
                         (True, "self-signed certificate"),
                         ({"ca": "/nonexistent"}, "cannot open /nonexistent"),
                         ({"ca": self.own["key"]}, "no certificate in ca")):
            self.assertRegex(ask(peer.address, {"tls": tls}), f"^tls .*{why}")
        self.assertEqual(ask(peer.address, {"tls": {"verify": False}}),
                         "ok TLSv1.3 - CN=own,O=Test false secret hello")

    def test_names_are_the_hosts_of_addresses(self):
        ask, peer = self.asker(), self.peer()
        port = peer.address.split(":")[1]
        told = ask(f"localhost:{port}", {"tls": {"ca": self.own["certificate"]}})
        self.assertEqual(told, "ok TLSv1.3 - CN=own,O=Test false secret hello")
        self.assertEqual(peer.names, ["localhost"])

    def test_our_own_certificate_and_alpn(self):
        ask = self.asker()
        peer = self.peer(trusted=self.ca["certificate"], alpn=["y", "x"])
        tls = {"ca": self.own["certificate"], "server_name": "a.example",
               "alpn": ["x", "z"], **self.client}
        self.assertRegex(ask(peer.address, {"tls": tls}), "^ok TLSv1.3 x ")
        for key in "certificate", "key":
            del tls[key]
        self.assertRegex(ask(peer.address, {"tls": tls}),
                         "^(failed reset|failed tls|tls|reset|ok .* nil)")

    def test_kept_connections_are_for_the_same_terms(self):
        ask, peer = self.asker(), self.peer()
        ca = self.own["certificate"]

        def reused(**tls):
            told = ask(peer.address, {"pool": True, "tls": {
                "ca": ca, "server_name": "a.example", **tls}}, release=True)
            return told.split()[4]
        self.assertEqual([reused(), reused(), reused(server_name="localhost"),
                          reused(server_name="localhost"), reused(verify=False),
                          reused()],
                         ["false", "true", "false", "true", "false", "true"])

    def test_a_server_that_is_silent_or_speaks_plain(self):
        ask = self.asker()
        silent = self.start(socket.create_server(("127.0.0.1", 0)))
        address = "127.0.0.1:%d" % silent.getsockname()[1]
        told = ask(address, {"tls": True, "timeout": 0.2})
        self.assertRegex(told, "^timeout .*TLS: it took too long")
        silent.accept()[0].close()

        def speak():
            with silent.accept()[0] as sock:
                sock.sendall(b"220 hello\r\n" * 3)
                sock.recv(1000)
        thread = threading.Thread(target=speak)
        thread.start()
        self.assertRegex(ask(address, {"tls": True}), "^tls .*wrong version")
        thread.join()

    def test_redis_over_tls(self):
        """Both of its ends are programs that we did not write."""
        directory = self.pki.directory
        path = str(directory / "redis.sock")
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        listener.close()
        redis = subprocess.Popen(
            ["redis-server", "--port", "0", "--tls-port", str(port),
             "--bind", "127.0.0.1", "--save", "", "--unixsocket", path,
             "--tls-cert-file", self.own["certificate"], "--tls-key-file",
             self.own["key"], "--tls-ca-cert-file", self.ca["certificate"]],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(redis.stdout.close)
        self.addCleanup(redis.wait, 10)
        self.addCleanup(redis.terminate)
        for line in redis.stdout:
            if "eady to accept connections" in line:
                break
        gateway = self.controlled({"handler": "proxy", "options": {
            "upstream": f"localhost:{port}", "tls": True,
            "ca": self.own["certificate"], **self.client}}, workers=1)
        _, us = gateway.ports[0].rsplit(":", 1)
        told = subprocess.run(["redis-cli", "-p", us], input="set a b\nget a\n",
                              capture_output=True, text=True, timeout=10)
        self.assertEqual(told.stdout, "OK\nb\n")


class StartTls(Case):
    def serving(self, **tls):
        return self.controlled(
            {"handler": str(SOURCE / "examples/starttls/mail.lua"),
             "tls": {**self.own, "on_demand": True, **tls}},
            workers=1, log={"level": "debug"})

    def plain(self, gateway):
        sock = self.start(connect(gateway.address()))
        self.assertEqual(read_line(sock), b"220 localhost ready\r\n")
        return sock

    def test_openssl_as_a_client(self):
        gateway = self.serving()
        told = subprocess.run(
            ["openssl", "s_client", "-quiet", "-starttls", "smtp", "-CAfile",
             self.own["certificate"], "-verify_return_error", "-connect",
             gateway.ports[0]],
            input=b"HELP\r\nEHLO x\r\nQUIT\r\n", capture_output=True,
            timeout=20)
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertIn(b"214 TLSv1.3\r\n250-localhost\r\n250 HELP\r\n221 bye",
                      told.stdout)

    def test_curl_as_a_client(self):
        gateway = self.serving()
        told = subprocess.run(
            ["curl", "-sv", "--ssl-reqd", "--cacert", self.own["certificate"],
             "-X", "HELP", "smtp://localhost:" +
             gateway.ports[0].rsplit(":")[-1]],
            capture_output=True, text=True, timeout=20)
        self.assertIn("> STARTTLS", told.stderr)
        self.assertRegex(told.stdout + told.stderr, "214 TLSv1.3")

    def test_what_was_injected_before_is_not_taken_for_what_came_after(self):
        """As in CVE-2011-0411: a command behind STARTTLS, sent plain by
        somebody on the way, must not be answered over TLS."""
        gateway = self.serving()
        sock = self.plain(gateway)
        sock.sendall(b"STARTTLS\r\nHELP\r\n")
        told = read_all(sock)
        self.assertNotIn(b"214", told)
        gateway.await_line("code=protocol.*6 bytes came before TLS|"
                           "protocol: 6 bytes came before TLS")

    def test_a_client_that_is_silent_or_goes_on_plain(self):
        gateway = self.serving()
        sock = self.plain(gateway)
        sock.sendall(b"STARTTLS\r\n")
        self.assertEqual(read_line(sock), b"220 go ahead\r\n")
        sock.sendall(b"HELP\r\n" * 10)
        self.assertNotIn(b"214", read_all(sock))
        gateway.await_line("wrong version|packet length|record")
        sock = self.plain(gateway)  # and one that leaves
        sock.sendall(b"STARTTLS\r\n")
        self.assertEqual(read_line(sock), b"220 go ahead\r\n")
        sock.close()
        gateway.await_line("peer left")
        self.assertEqual(self.plain(gateway).send(b"x"), 1)

    def test_a_state_that_ends_amid_a_handshake(self):
        gateway = self.serving()
        sock = self.plain(gateway)
        sock.sendall(b"STARTTLS\r\n")
        self.assertEqual(read_line(sock), b"220 go ahead\r\n")
        one = self.control("conns")["conns"][0]
        self.control("kill", conn=one["id"])
        self.assertRaises(ConnectionResetError, read_all, sock)
        self.assertEqual(self.plain(gateway).send(b"x"), 1)

    def test_the_listener_must_say_how(self):
        gateway = self.controlled(
            {"handler": str(SOURCE / "examples/starttls/mail.lua")}, workers=1)
        sock = self.plain(gateway)
        sock.sendall(b"STARTTLS\r\n")
        self.assertEqual(read_all(sock), b"220 go ahead\r\n")
        gateway.await_line("its listener has no tls")

    def test_as_a_client(self):
        ask, peer = self.asker(), self.peer(first_line=True)
        terms = {"ca": self.own["certificate"], "server_name": "a.example"}
        self.assertEqual(ask(peer.address, secure=terms),
                         "ok TLSv1.3 - CN=own,O=Test false plain hello secret"
                         " again")
        self.assertRegex(ask(peer.address, secure={**terms, "timeout": 5,
                                                   "server_name": "b"}),
                         "^failed tls: .*[Hh]ostname mismatch")
        self.assertRegex(ask(peer.address, secure={"ca": terms["ca"]}),
                         "^failed .*server_name is missing")


if __name__ == "__main__":
    unittest.main()
