#!/usr/bin/python3
"""What `linedancer new handler` makes works as it is: the commands that it
prints, and those in the config's comment, with real clients."""
import contextlib
import functools
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import ask, connect, read, read_all
from support.gateway import (BUILD, PATIENCE, PROGRAM, SOURCE, Gateway, run,
                             until)

KINDS = ("binary", "line", "proxy")
MADE = ["handlers/mine.lua", "spec/mine_spec.lua", "mine.conf.lua",
        ".luarc.json"]
# What a handler does, and a mistake that its spec has to find.
MISTAKES = {"binary": ("a + b", "a - b"),
            "line": ("sum + number", "sum - number"),
            "proxy": ("conn:pipe(conn.upstream)", "conn.upstream:shutdown()")}


def shell(command, cwd):
    """The result of COMMAND, which finds `linedancer` as its users do."""
    path = f"{BUILD}:{os.environ['PATH']}"
    return subprocess.run(["bash", "-c", command], cwd=cwd, text=True,
                          errors="replace", capture_output=True,
                          timeout=PATIENCE,
                          env={**os.environ, "PATH": path})


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def web(directory):
    """The address of a web server with the files of DIRECTORY."""
    handler = functools.partial(Quiet, directory=directory)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class Served(Gateway):
    """Runs mine.conf.lua of DIRECTORY, on a free port, with its upstream at
    UPSTREAM."""

    def __init__(self, directory, upstream=None):
        self.directory = directory
        self.lines, self.read = [], threading.Condition()
        config = directory / "mine.conf.lua"
        text = config.read_text()
        self.commands = [line.removeprefix("-- ")
                         for line in text.splitlines() if line[:3] == "-- "]
        assert '{ "127.0.0.1:7000"' in text, text
        config.write_text(text.replace('{ "127.0.0.1:7000"',
                                       '{ "127.0.0.1:0"')
                          .replace("127.0.0.1:8000", upstream or ""))
        self.process = subprocess.Popen(
            [PROGRAM, "run", "mine.conf.lua"], cwd=directory, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        self.pid = self.process.pid
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        self.ports = []
        try:
            self.ports.append(self.next_port(0))
        except BaseException:
            self.close()
            raise

    def attempt(self):
        """What the client of the config's comment prints."""
        command = next(line for line in self.commands if "nc " in line)
        result = shell(command.replace("7000", str(self.port())),
                       self.directory)
        assert result.returncode == 0, result
        return result.stdout


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ld-new-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def new(self, *arguments, cwd=None):
        return run("new", "handler", *arguments, cwd=cwd or self.directory)

    def make(self, kind, name="mine"):
        result = self.new(name, f"--{kind}")
        self.assertEqual((result.returncode, result.stderr), (0, ""), result)
        return result.stdout

    def found(self):
        """The files below the directory."""
        return sorted(str(path.relative_to(self.directory))
                      for path in self.directory.rglob("*"))


class Made(Case):
    def test_the_commands_that_it_prints_find_nothing_wrong(self):
        """Of each kind, `check` is without a warning, all specs pass, and
        nothing is said on stderr."""
        for kind in KINDS:
            with self.subTest(kind):
                made, tried = self.make(kind, kind).split("\nTry:\n")
                names = made.split()[1:]
                self.assertIn(f"handlers/{kind}.lua", names)
                for name in names:
                    self.assertTrue((self.directory / name).is_file(), name)
                check, test, serve = (line.strip()
                                      for line in tried.splitlines())
                result = shell(check, self.directory)
                self.assertEqual((result.stdout, result.stderr),
                                 (f"{kind}.conf.lua: good\n", ""))
                result = shell(test, self.directory)
                self.assertEqual((result.returncode, result.stderr), (0, ""),
                                 result)
                self.assertRegex(result.stdout, r"\b[5-9] successes / 0 fail")
                self.assertEqual(serve, f"linedancer run {kind}.conf.lua")
        result = shell("linedancer check handlers/* && linedancer test",
                       self.directory)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result)

    def test_luacheck_finds_nothing_without_a_configuration(self):
        for kind in KINDS:
            self.make(kind, kind)
        result = shell("luacheck --no-color .", self.directory)
        self.assertEqual(result.returncode, 0, result)
        self.assertIn("0 warnings / 0 errors in 9 files", result.stdout)

    def test_their_specs_find_a_mistake(self):
        for kind, (good, bad) in MISTAKES.items():
            with self.subTest(kind):
                self.make(kind, kind)
                file = self.directory / "handlers" / f"{kind}.lua"
                self.assertEqual(file.read_text().count(good), 1)
                file.write_text(file.read_text().replace(good, bad))
                result = shell(f"linedancer test spec/{kind}_spec.lua",
                               self.directory)
                self.assertEqual(result.returncode, 1, result)

    def test_what_is_made_elsewhere_is_served_from_there(self):
        result = self.new("mine", "--directory", "a dir/below")
        self.assertEqual(result.returncode, 0, result)
        check = "\n".join(result.stdout.split("Try:\n")[1].splitlines()[:3])
        result = shell("set -e\n" + check, self.directory)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result)
        self.assertIn("mine.conf.lua: good", result.stdout)

    def test_the_editor_finds_the_annotations_of_a_build_tree_or_a_prefix(
            self):
        prefix = self.directory / "prefix"
        (prefix / "bin").mkdir(parents=True)
        (prefix / "share/linedancer/handlers").mkdir(parents=True)
        shutil.copy(PROGRAM, prefix / "bin")
        shutil.copy(SOURCE / "handlers/echo.lua",
                    prefix / "share/linedancer/handlers")
        subprocess.run([prefix / "bin/linedancer", "new", "handler", "mine",
                        "--directory", prefix], check=True,
                       stdout=subprocess.DEVNULL, timeout=PATIENCE)
        self.make("line")
        for directory, library in (
                (prefix, prefix / "share/linedancer/library"),
                (self.directory, BUILD.parent / "library")):
            settings = json.loads((directory / ".luarc.json").read_text())
            self.assertEqual(settings["workspace.library"][0], str(library))


class Refused(Case):
    def test_what_is_there_is_named_and_nothing_changes(self):
        self.make("binary")
        before = {name: (self.directory / name).read_bytes() for name in MADE}
        (self.directory / "mine.conf.lua").unlink()
        result = self.new("mine", "--line")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertEqual(result.stderr,
                         "linedancer: handlers/mine.lua, spec/mine_spec.lua "
                         "are there already; nothing has been made\n")
        self.assertNotIn("mine.conf.lua", self.found())
        for name in MADE[:2] + MADE[3:]:
            self.assertEqual((self.directory / name).read_bytes(),
                             before[name])

    def test_where_it_cannot_write_it_leaves_nothing(self):
        """The second directory cannot be made: the first goes again."""
        (self.directory / "spec").write_text("")
        for arguments, where in (
                ([], "spec/mine_spec.lua"),
                (["--directory", "spec/x"], "spec/x"),
                (["--directory", "/proc/self"], "/proc/self/handlers")):
            result = self.new("mine", *arguments)
            self.assertEqual((result.returncode, result.stdout), (1, ""))
            self.assertIn("cannot make ", result.stderr)
            self.assertIn(where, result.stderr)
            self.assertEqual(self.found(), ["spec"])

    def test_a_full_disk_leaves_nothing(self):
        """What the kernel does not take shows when a file is closed."""
        result = subprocess.run(
            ["bash", "-c", 'ulimit -f 1; trap "" XFSZ; exec "$0" new handler '
             'mine', PROGRAM], cwd=self.directory, capture_output=True,
            text=True, timeout=PATIENCE)
        self.assertEqual(result.returncode, 1, result)
        self.assertIn("cannot write ", result.stderr)
        self.assertEqual(self.found(), [])

    def test_wrong_usage_exits_with_2_and_makes_nothing(self):
        for arguments in (["mine", "more"], ["../mine"], ["mine.lua"],
                          ["mine", "--binary", "--line"], ["mine", "--tcp"],
                          ["mine", "--directory"], []):
            result = self.new(*arguments)
            self.assertEqual((result.returncode, result.stdout), (2, ""))
            self.assertIn("help new", result.stderr, arguments)
        result = run("new", "module", "mine", cwd=self.directory)
        self.assertEqual(result.returncode, 2)
        self.assertEqual(self.found(), [])


class Serves(Case):
    def test_frames(self):
        """The config's client is answered, and so is each type; what is
        too long ends its connection."""
        self.make("binary")
        with Served(self.directory) as gateway:
            self.assertEqual(
                gateway.attempt(),
                "   L   D 001 001  \\0 005   h   e   l   l   o\n")
            with connect(gateway.address()) as sock:
                self.assertEqual(ask(sock, b"LD\1"), b"LD\1")
                self.assertEqual(
                    ask(sock, b"\2\0\10\0\0\0\2\0\0\0\3", 11),
                    b"\2\0\10\0\0\0\0\0\0\0\5")
                self.assertEqual(ask(sock, b"\7\0\0", 17),
                                 b"\xff\0\x0eunknown type 7")
                sock.sendall(b"\1\xff\xff")
                self.assertEqual(read_all(sock), b"")
            self.assertEqual(gateway.stop(), 0)

    def test_lines(self):
        """The config's client is answered; who sends too long a line is
        told so."""
        self.make("line")
        with Served(self.directory) as gateway:
            self.assertEqual(gateway.attempt(), "OK PONG\nOK 3\nOK BYE\n")
            with connect(gateway.address()) as sock:
                sock.sendall(b"x" * 5000)
                self.assertEqual(read_all(sock),
                                 b"ERR a line has at most 1000 bytes\n")

    def test_a_change_of_the_handler_is_loaded_while_a_client_is_there(self):
        """The config says so by `watch`."""
        self.make("line")
        handler = self.directory / "handlers/mine.lua"
        with Served(self.directory) as gateway, \
                connect(gateway.address()) as sock:
            self.assertEqual(ask(sock, b"PING\n", 8), b"OK PONG\n")
            handler.write_text(handler.read_text().replace('"PONG"',
                                                           '"BANG"'))
            until(lambda: ask(sock, b"PING\n", 8) == b"OK BANG\n",
                  "the new answer")

    def test_a_proxy_before_a_web_server(self):
        """The config's client gets an answer, and a real one all of a
        file."""
        self.make("proxy")
        body = os.urandom(1 << 20)
        (self.directory / "body").write_bytes(body)
        with web(self.directory) as upstream, \
                Served(self.directory, upstream) as gateway:
            self.assertRegex(gateway.attempt(), "^HTTP/1.0 200 OK")
            fetched = subprocess.run(
                ["curl", "-sS", f"http://127.0.0.1:{gateway.port()}/body"],
                check=True, stdout=subprocess.PIPE, timeout=PATIENCE)
            self.assertEqual(fetched.stdout, body)

    def test_a_proxy_passes_ends_on_and_says_when_there_is_no_upstream(self):
        self.make("proxy")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            upstream = "127.0.0.1:%d" % listener.getsockname()[1]
            with Served(self.directory, upstream) as gateway:
                client = connect(gateway.address())
                server = listener.accept()[0]
                with client, server:
                    server.settimeout(PATIENCE)
                    client.sendall(b"ask")
                    client.shutdown(socket.SHUT_WR)
                    self.assertEqual(read_all(server), b"ask")
                    server.sendall(b"answer")
                    self.assertEqual(read(client, 6), b"answer")
                    server.close()
                    self.assertEqual(read_all(client), b"")
                listener.close()
                with connect(gateway.address()) as sock:
                    self.assertEqual(read_all(sock), b"")
                line = gateway.await_line("no upstream").string
                self.assertIn("code=refused", line)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
