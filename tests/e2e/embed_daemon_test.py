#!/usr/bin/python3
"""examples/embed/daemon: a gateway attached to the loop of a daemon, which is
built against what is installed, with real clients."""
import json
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read_all, read_line
from support.gateway import PATIENCE
from support.host import VALGRIND, Host, run


class Daemon(Host):
    """dirwatchd, watching the directory `watched`."""

    def __init__(self, *before):
        super().__init__("daemon", "sh", "-c",
                         'mkdir watched; exec "$@" watched', "sh", *before,
                         "./dirwatchd")
        self.watched = self.here / "watched"

    def client(self, *commands):
        """A client whose COMMANDS have been carried out."""
        sock = connect(self.address())
        for command in (*commands, "list"):
            sock.sendall(command.encode() + b"\n")
        while "files" not in hear(sock):
            pass
        return sock


def hear(sock):
    return json.loads(read_line(sock))


def told(event, name, size):
    return {"event": event, "name": name, "size": size}


class Served(unittest.TestCase):
    def look_around(self, daemon):
        """What a session of each kind sees."""
        (daemon.watched / "old").write_text("abc")
        with daemon.client() as sock:
            sock.sendall(b"list\n")
            self.assertEqual(hear(sock), told("present", "old", 3))
            self.assertEqual(hear(sock), {"event": "listed", "files": 1})
        with daemon.client("watch +") as every, \
                daemon.client("watch deleted") as deleted:
            (daemon.watched / 'a "new" one').write_text("hello")
            while (event := hear(every))["event"] == "created":
                self.assertEqual(event["name"], 'a "new" one')
            self.assertEqual(event, told("changed", 'a "new" one', 5))
            (daemon.watched / "old").unlink()
            self.assertEqual(hear(every), told("deleted", "old", 0))
            self.assertEqual(hear(deleted), told("deleted", "old", 0))

    def test_what_happens_in_the_directory_is_told_to_who_watches(self):
        with Daemon() as daemon:
            self.look_around(daemon)
            self.assertEqual(daemon.stop(), 0)
            self.assertIn("stopped", daemon.log())

    def test_netcat_gets_what_it_asks_for(self):
        with Daemon() as daemon:
            (daemon.watched / "x").write_text("x")
            text = subprocess.run(
                f"printf 'list\\n' | nc 127.0.0.1 {daemon.port()} | head -n 2",
                shell=True, capture_output=True, timeout=PATIENCE).stdout
            self.assertIn(b'"files":1', text)

    def test_a_wrong_command_ends_that_client_alone(self):
        with Daemon() as daemon, daemon.client("watch +") as other:
            with connect(daemon.address()) as sock:
                sock.sendall(b"dance\n")
                self.assertEqual(read_all(sock), b"")
            daemon.await_line("watch EVENT or list expected")
            (daemon.watched / "x").mkdir()  # not a file, and so not told
            (daemon.watched / "y").write_text("")
            self.assertEqual(hear(other)["name"], "y")

    def test_hangup_loads_the_handler_again_for_those_who_are_there(self):
        with Daemon() as daemon, daemon.client("watch +") as sock:
            daemon.edit("changes.lua", "event = event, name", "what = event, name")
            daemon.signal(signal.SIGHUP)
            daemon.await_line("reloaded version=2")
            (daemon.watched / "x").write_text("")
            self.assertIn("what", hear(sock))

    def test_a_broken_handler_is_refused_and_the_old_one_goes_on(self):
        with Daemon() as daemon, daemon.client("watch +") as sock:
            daemon.edit("changes.lua", "return {", "return { nonsense = 1,")
            daemon.signal(signal.SIGHUP)
            daemon.await_line("not reloaded: .*nonsense")
            (daemon.watched / "x").write_text("")
            self.assertEqual(hear(sock)["name"], "x")


class Ended(unittest.TestCase):
    def test_a_client_has_its_time_when_it_stops_and_none_the_second_time(self):
        with Daemon() as daemon:
            daemon.edit("gateway.lua", "drain = 5", "drain = 500")
            daemon.signal(signal.SIGHUP)
            daemon.await_line("reloaded version=2")
            with daemon.client() as sock:
                sock.sendall(b"list\nlis")
                self.assertIn("files", hear(sock))  # and so half a line
                daemon.signal(signal.SIGTERM)
                daemon.await_line("draining open=1 seconds=500")
                daemon.signal(signal.SIGTERM)
                self.assertEqual(daemon.wait(), 0)

    def test_it_ends_when_its_directory_does(self):
        with Daemon() as daemon:
            daemon.watched.rmdir()
            self.assertEqual(daemon.wait(), 0)
            self.assertIn("watched is gone", daemon.log())

    def test_nothing_is_lost_or_touched_that_valgrind_sees(self):
        with Daemon(*VALGRIND) as daemon:
            Served.look_around(self, daemon)
            daemon.signal(signal.SIGHUP)
            daemon.await_line("reloaded version=2")
            self.assertEqual(daemon.stop(), 0, daemon.log())


class Options(unittest.TestCase):
    def test_help_is_what_was_asked_for(self):
        result = run("daemon", "./dirwatchd", "--help")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("usage: dirwatchd [OPTION...] DIRECTORY", result.stdout)

    def test_what_is_no_command_line_has_status_2(self):
        for words in ([], ["--nonsense", "."], [".", "."]):
            result = run("daemon", "./dirwatchd", *words)
            self.assertEqual((result.returncode, result.stdout), (2, ""))
            self.assertIn("usage: ", result.stderr)

    def test_what_cannot_be_served_has_status_1_and_says_why(self):
        for words, why in ((["--config", "none.lua", "."], "none.lua: No such"),
                           (["--config", "changes.lua", "."], "listen"),
                           (["nowhere"], "nowhere: No such file")):
            result = run("daemon", "./dirwatchd", *words)
            self.assertEqual(result.returncode, 1)
            self.assertIn(why, result.stderr)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
