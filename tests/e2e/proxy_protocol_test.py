#!/usr/bin/python3
"""Who a connection is from, said by proxies that we did not write, and to
them."""
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import control
from support.client import Bystander, ask, connect, read_all, read_line
from support.gateway import Lua, until
from support.pki import Pki

WHO = """
return function(conn)
  local line = conn:read_line()
  if not line then return end
  local p = conn.proxy
  conn:write(table.concat({ line, conn.peer, conn.local_address, p and
    p.version or "-", p and p.address and p.address:match "^[^:]*" or "-",
    p and p.authority or "-", p and p.ssl and p.ssl.version or "-",
    conn.tls and conn.tls.version or "-" }, " "), "\\n")
end
"""
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\1\2\3\4\5\6\7\x08\0\x50\1\xbb"
V1 = b"PROXY TCP4 1.2.3.4 5.6.7.8 80 443\r\n"
SAID = b"hello 1.2.3.4:80 5.6.7.8:443 %d 127.0.0.1 - - -\n"

HAPROXY = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend to
  bind 127.0.0.1:{to}
  default_backend us
frontend from
  bind 127.0.0.1:{behind} accept-proxy
  tcp-request inspect-delay 5s
  tcp-request content accept if {{ req.len gt 0 }}
  default_backend echo
backend us
  server us 127.0.0.1:{us} {send}
backend echo
  server echo 127.0.0.1:{echo} {send}
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


class Case(control.Case):
    def serving(self, networks=("127.0.0.0/8",), handler=WHO, tls=None, **more):
        rest = "".join(f", {k} = {v}" for k, v in more.items())
        entry = {"handler": handler, "proxy_protocol": Lua("{ %s%s }" % (
            ", ".join(f'"{n}"' for n in networks), rest))}
        if tls:
            entry["tls"] = tls
        return self.controlled(entry, {"handler": "echo"}, workers=1,
                               log={"level": "debug"})


class In(Case):
    def test_both_versions_however_they_are_cut(self):
        gateway = self.serving()
        for version, head in ((1, V1), (2, V2)):
            whole = head + b"hello\n"
            for cut in range(1, len(whole)):
                sock = self.start(connect(gateway.address()))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.sendall(whole[:cut])
                if cut % 8 == 0:  # seen on their own
                    with connect(gateway.address(1)) as other:
                        self.assertEqual(ask(other, b"x"), b"x")
                sock.sendall(whole[cut:])
                self.assertEqual(read_all(sock), SAID % version)
                sock.close()

    def test_a_byte_at_a_time(self):
        gateway = self.serving()
        sock = self.start(connect(gateway.address()))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in V1 + b"hello\n":
            sock.sendall(bytes([byte]))
        self.assertEqual(read_all(sock), SAID % 1)

    def test_others_are_turned_away_or_served_as_they_are(self):
        """A client that is no proxy must not be believed."""
        gateway = self.serving(networks=("10.0.0.0/8", "::1"))
        with self.assertRaises(ConnectionError):
            sock = self.start(connect(gateway.address()))
            sock.sendall(V1 + b"hello\n")
            read_all(sock)
        gateway.await_line("not a proxy .*peer=127.0.0.1")
        gateway = self.serving(networks=("10.0.0.0/8",), direct="true")
        sock = self.start(connect(gateway.address()))
        name = "%s:%d" % sock.getsockname()
        sock.sendall(b"hello\n")
        self.assertTrue(read_all(sock).startswith(b"hello " + name.encode()))
        sock = self.start(connect(gateway.address()))
        sock.sendall(V1)  # is but a line of the protocol
        self.assertTrue(read_all(sock).startswith(V1[:-2]))

    def test_what_is_no_header(self):
        gateway = self.serving()
        for data, why in ((b"GET / HTTP/1.1\r\n\r\n", "no header"),
                          (b"PROXY TCP4 a b 1 2\r\n", "malformed line"),
                          (V2[:13] + b"\x99" + V2[14:], "malformed header")):
            sock = self.start(connect(gateway.address()))
            sock.sendall(data)
            try:
                self.assertEqual(read_all(sock), b"")
            except ConnectionError:
                pass
            gateway.await_line(f"handshake failed .*code=protocol.*{why}")
        connect(gateway.address()).close()
        gateway.await_line("handshake failed .*code=reset.*the peer left")

    def test_who_says_nothing_is_cut_off_and_disturbs_nobody(self):
        gateway = self.serving(timeout="0.3")
        silent = [self.start(connect(gateway.address())) for _ in range(50)]
        for sock in silent[:25]:
            sock.sendall(b"PROXY TC")
        with Bystander(gateway.address(1)):
            for _ in silent:
                gateway.await_line("handshake failed .*code=timeout")

        def none_is_left():
            return self.control("status")["workers"][0]["listeners"][0]["connections"] == 0
        until(none_is_left)

    def test_unix_sockets_and_what_a_proxy_says_of_itself(self):
        gateway = self.serving()
        sock = self.start(connect(gateway.address()))
        name = b"%s:%d" % (sock.getsockname()[0].encode(),
                           sock.getsockname()[1])
        sock.sendall(V2[:12] + b"\x20\0\0\0hello\n")
        self.assertTrue(read_all(sock).startswith(b"hello " + name))
        with tempfile.TemporaryDirectory() as directory:
            self.start(gateway)
            path = directory + "/sock"
            gateway = self.controlled(
                {"address": "unix:" + path, "handler": WHO,
                 "proxy_protocol": Lua('{ "unix:" }')}, workers=1)
            sock = self.start(connect(path))
            sock.sendall(V1 + b"hello\n")
            self.assertEqual(read_all(sock),
                             (SAID % 1).replace(b"127.0.0.1", b"unix"))

    def test_before_tls(self):
        with tempfile.TemporaryDirectory() as directory:
            pki = Pki(directory)
            pair = pki.make("own", "a.example")
            gateway = self.serving(tls=pair)
            raw = self.start(connect(gateway.address()))
            raw.sendall(V2)
            sock = self.start(pki.client("own").wrap_socket(
                raw, server_hostname="a.example"))
            sock.sendall(b"hello\n")
            self.assertEqual(read_line(sock),
                             (SAID % 2).replace(b"-\n", b"TLSv1.3\n"))

    def test_curl(self):
        gateway = self.serving(handler="""
          return function(conn)
            if not conn:packet "http" then return end
            local peer = conn.peer:match "^[^:]*"
            conn:write("HTTP/1.0 200 OK\\r\\nContent-Length: ", #peer,
              "\\r\\n\\r\\n", peer)
          end
          """)
        told = subprocess.run(
            ["curl", "-s", "--interface", "127.0.0.3", "--haproxy-protocol",
             f"http://{gateway.ports[0]}/"], capture_output=True, timeout=10)
        self.assertEqual(told.stdout, b"127.0.0.3")


class Programs(Case):
    def haproxy(self, **ports):
        """HAProxy, before us and behind us."""
        ports = {"to": free_port(), "behind": free_port(), "us": 1, "echo": 1,
                 "send": "", **ports}
        with tempfile.NamedTemporaryFile("w", suffix=".cfg",
                                         delete=False) as file:
            file.write(HAPROXY.format(**ports))
        self.addCleanup(pathlib.Path(file.name).unlink)
        process = subprocess.Popen(["haproxy", "-q", "-db", "-f", file.name])
        self.addCleanup(process.wait, 10)
        self.addCleanup(process.terminate)

        def is_up():
            try:
                with socket.create_connection(("127.0.0.1", ports["to"])):
                    return True
            except OSError:
                return False
        until(is_up)
        return ports

    def test_haproxy_before_us(self):
        for send, version, more in (
                ("send-proxy", 1, b"-"), ("send-proxy-v2", 2, b"-"),
                ("send-proxy-v2 proxy-v2-options crc32c,unique-id", 2, b"-")):
            gateway = self.serving()
            ports = self.haproxy(us=gateway.ports[0].split(":")[1], send=send)
            sock = self.start(connect(("127.0.0.1", ports["to"])))
            name = "%s:%d" % sock.getsockname()
            sock.sendall(b"hello\n")
            told = read_line(sock).split()
            self.assertEqual(told[1].decode(), name)
            self.assertEqual(told[3], b"%d" % version)
            self.assertEqual(told[2].decode(), f"127.0.0.1:{ports['to']}")

    def test_haproxy_behind_us(self):
        """Our proxy says whom it is for; HAProxy understands, and says so to
        another of our listeners."""
        for version in 1, 2:
            last = self.serving()
            ports = self.haproxy(echo=last.ports[0].split(":")[1],
                                 send="send-proxy-v2")
            gateway = self.controlled({"handler": "proxy", "options": {
                "upstream": f"127.0.0.1:{ports['behind']}",
                "send_proxy": version}}, workers=1)
            sock = self.start(connect(gateway.address()))
            name = "%s:%d" % sock.getsockname()
            sock.sendall(b"hello\n")
            told = read_line(sock).split()
            self.assertEqual([told[1].decode(), told[2].decode()],
                             [name, gateway.ports[0]])


class Config(Case):
    def test_what_is_wrong_is_refused(self):
        from support.gateway import run
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "c.lua"
            for given, why in (('{}', "names no network"),
                               ('{ "10.0.0.0/99" }', "no network such as"),
                               ('{ "x" }', "no network such as"),
                               ('{ "::1", timeout = 0 }', "above 0"),
                               ('{ "::1", drect = true }', "did you mean"),
                               ('true', "must be a table")):
                path.write_text("return { listen = { { '127.0.0.1:0', handler "
                                "= 'echo', proxy_protocol = %s } } }" % given)
                told = run("check", str(path))
                self.assertEqual(told.returncode, 1, given)
                self.assertIn(why, told.stderr)


if __name__ == "__main__":
    unittest.main()
