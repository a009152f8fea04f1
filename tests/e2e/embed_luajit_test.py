#!/usr/bin/python3
"""examples/embed/luajit: a script of a plain luajit serves, by the installed
module alone."""
import pathlib
import signal
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import Bystander, ask, connect
from support.gateway import PATIENCE
from support.host import Host, run

BUNDLED = """
local ld = require "linedancer"
ld.serve { drain = 500, listen = { { "127.0.0.1:0", handler = "echo" } } }
print "and on"
"""


class Script(unittest.TestCase):
    def test_the_example_serves_netcat_until_it_is_ended(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Host("luajit", "luajit", "shout.lua") as host:
                said = subprocess.run(
                    ["nc", "-N", "127.0.0.1", str(host.port())],
                    input=b"hello\nyou\n", stdout=subprocess.PIPE,
                    timeout=PATIENCE).stdout
                self.assertEqual(said, b"HELLO\nYOU\n")
                host.signal(number)
                self.assertEqual(host.wait(), 0)
                self.assertEqual(host.process.stdout.read(), "stopped\n")

    def test_a_bundled_handler_is_that_of_the_prefix(self):
        with Host("luajit", "luajit", "-e", BUNDLED) as host:
            with connect(host.address()) as sock:
                self.assertEqual(ask(sock, b"hello\n"), b"hello\n")
            with Bystander(host.address()) as other:
                other.more(100)

    def test_a_second_signal_ends_it_at_once_and_the_script_goes_on(self):
        with Host("luajit", "luajit", "-e", BUNDLED) as host:
            with connect(host.address()) as sock:
                self.assertEqual(ask(sock, b"half a"), b"half a")
                host.signal(signal.SIGTERM)
                host.await_line("draining open=1 seconds=500")
                host.signal(signal.SIGTERM)
                self.assertEqual(host.wait(), 0)
            self.assertEqual(host.process.stdout.read(), "and on\n")

    def test_what_is_no_config_is_an_error_of_the_script(self):
        result = run("luajit", "luajit", "-e",
                     'print(pcall(require("linedancer").serve, { lisden = 1 }))')
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, "false\t.*lisden")
        self.assertIn("listen", result.stdout)

    def test_a_script_serves_once(self):
        script = BUNDLED + """
            print(pcall(ld.serve, { listen = { { ":0", handler = "echo" } } }))
        """
        with Host("luajit", "luajit", "-e", script) as host:
            self.assertEqual(host.stop(), 0)
            self.assertRegex(host.process.stdout.read(),
                             "^and on\nfalse\t.*serves already")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
