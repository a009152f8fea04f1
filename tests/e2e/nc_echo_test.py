#!/usr/bin/python3
"""Echo and greeter, as people try them: with netcat and socat."""
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.gateway import PATIENCE, Gateway


def talk(command, data):
    """What COMMAND prints when DATA is all its input."""
    result = subprocess.run(command, input=data, capture_output=True,
                            timeout=PATIENCE)
    assert result.returncode == 0, result
    return result.stdout


def numbered(count):
    return b"".join(b"this is line %d\n" % i for i in range(count))


class Echo(unittest.TestCase):
    def test_a_half_close_gets_everything_back(self):
        data = numbered(100_000)
        with Gateway({"handler": "echo"}) as gateway:
            command = ["nc", "-N", "127.0.0.1", str(gateway.port())]
            self.assertEqual(talk(command, b"hello\n"), b"hello\n")
            self.assertEqual(talk(command, data), data)
            self.assertEqual(talk(command, b""), b"")

    def test_a_unix_socket_serves_and_goes_with_the_gateway(self):
        data = numbered(10_000)
        with Gateway({"handler": "echo",
                      "address": "unix:{dir}/echo.sock"}) as gateway:
            path = pathlib.Path(gateway.address())
            self.assertTrue(path.is_socket())
            self.assertEqual(talk(["socat", "-t10", "-", f"UNIX:{path}"],
                                  data), data)
            self.assertEqual(gateway.stop(), 0)
            self.assertFalse(path.exists())

    def test_both_families_reach_a_listener_on_all_interfaces(self):
        data = numbered(1000)
        with Gateway({"handler": "echo", "address": "[::]:0"},
                     {"handler": "echo", "address": "[::1]:0"}) as gateway:
            for target in (f"TCP6:[::1]:{gateway.port(0)}",
                           f"TCP4:127.0.0.1:{gateway.port(0)}",
                           f"TCP6:[::1]:{gateway.port(1)}"):
                self.assertEqual(talk(["socat", "-t10", "-", target], data),
                                 data)

    def test_the_greeter_speaks_first_and_then_echoes(self):
        with Gateway({"handler": "greeter"},
                     {"handler": "greeter",
                      "options": {"greeting": "Salut"}}) as gateway:
            for number, greeting in enumerate([b"G`day", b"Salut"]):
                command = ["nc", "-N", "127.0.0.1", str(gateway.port(number))]
                self.assertEqual(talk(command, b"hello\r\nall\nthe rest"),
                                 greeting + b"\r\nall\nthe rest")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
