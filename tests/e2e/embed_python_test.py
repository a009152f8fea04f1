#!/usr/bin/python3
"""examples/embed/python: the library by ctypes, without a compiler; a tool that
serves the lines of files."""
import ast
import os
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read_line
from support.host import Host, run

SYSTEM = "python3"


class Tail(Host):
    """tail2tcp.py, on the files a.log and b.log."""

    def __init__(self):
        super().__init__("python", "sh", "-c", "touch a.log b.log; "
                         "exec python3 tail2tcp.py -l 127.0.0.1:0 a.log b.log")

    def append(self, name, text, mode="a"):
        with open(self.here / name, mode) as file:
            file.write(text)

    def client(self, *commands):
        """One whose COMMANDS have been heard."""
        sock = connect(self.address())
        for command in (*commands, "x"):
            sock.sendall(command.encode() + b"\n")
        while not read_line(sock).startswith(b"?"):
            pass
        return sock


class Tool(unittest.TestCase):
    def expect(self, sock, *lines):
        for line in lines:
            self.assertEqual(read_line(sock).decode(), line + "\n")

    def test_lines_reach_those_who_follow_their_file(self):
        with Tail() as tail, tail.client("follow +") as every, \
                tail.client("follow b.log") as b:
            tail.append("a.log", "one\ntw")
            self.expect(every, "a.log: one")
            tail.append("a.log", "o\n")
            self.expect(every, "a.log: two")
            tail.append("b.log", "three\n")
            self.expect(every, "b.log: three")
            self.expect(b, "b.log: three")

    def test_a_file_that_is_replaced_or_cut_is_read_from_its_beginning(self):
        with Tail() as tail, tail.client("follow +") as sock:
            tail.append("a.log", "old\n")
            self.expect(sock, "a.log: old")
            (tail.here / "new").write_text("new\n")
            os.rename(tail.here / "new", tail.here / "a.log")
            self.expect(sock, "a.log: new")
            tail.append("a.log", "c\n", "w")
            self.expect(sock, "a.log: c")

    def test_a_question_of_lua_is_answered_by_python(self):
        with Tail() as tail, tail.client() as sock:
            sock.sendall(b"files\n")
            self.expect(sock, "a.log", "b.log")

    def test_many_lines_come_in_order(self):
        with Tail() as tail, tail.client("follow a.log") as sock:
            tail.append("a.log", "".join(f"{i}\n" for i in range(20_000)))
            self.expect(sock, *(f"a.log: {i}" for i in range(20_000)))

    def test_signals_end_it_and_it_says_what_there_was(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with Tail() as tail, tail.client("follow +"):
                self.assertRegex(tail.process.stdout.readline(), r"^port \d+$")
                tail.signal(number)
                self.assertEqual(tail.wait(), 0, tail.log())
                stats = ast.literal_eval(tail.process.stdout.read())
                self.assertEqual((stats["opened"], stats["version"]), (1, 1))
                self.assertNotIn("Traceback", tail.log())

    def test_what_cannot_be_served_is_said(self):
        result = run("python", SYSTEM, "tail2tcp.py", "nowhere")
        self.assertEqual(result.returncode, 1)
        self.assertIn("No such file or directory: 'nowhere'", result.stderr)
        result = run("python", SYSTEM, "tail2tcp.py", "-l", 'x"]', "tail2tcp.py")
        self.assertEqual(result.returncode, 1)
        self.assertIn("address 'x\"]' lacks the port", result.stderr)


BEGIN = """
import gc, sys
import linedancer
lines, heard = [], []
ECHO = '''
local ld = require "linedancer"
return function(conn)
  local line = conn:read_line(100)
  if not line then return end
  ld.publish("heard", line)
  conn:write(line, "\\\\n")
  return "main"
end
'''
def gateway():
    made = linedancer.Gateway(log=lines.append)
    made.add_script("echo", ECHO)
    made.load_string('return { listen = { { "127.0.0.1:0", name = "it", '
                     'handler = "echo" } } }')
    return made
"""


class Class(unittest.TestCase):
    def python(self, script):
        """What SCRIPT prints, which begins as above."""
        result = run("python", SYSTEM, "-c", BEGIN + script)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout, result.stderr

    def test_errors_are_exceptions_with_a_code_and_a_text(self):
        out, err = self.python("""
def attempt(function, *arguments):
    try:
        function(*arguments)
    except linedancer.Error as error:
        print(error.code, "|", error)
other = linedancer.Gateway(log=lines.append)
attempt(other.load_string, "return {")
attempt(other.load_file, "nowhere.lua")
attempt(other.start)
other.close()
with gateway() as g:
    g.start()
    attempt(g.start)
    attempt(g.port, "them")
    attempt(g.call, g.close)
    g.stop()
    g.join()
    attempt(g.publish, "x", b"")
""")
        self.assertEqual([line.split(" | ")[0] for line in out.splitlines()],
                         "config config state thread argument busy "
                         "stopped".split())
        self.assertIn("config:1: unexpected symbol", out)
        self.assertIn("no listener is called 'them'", out)
        self.assertEqual(err, "")

    def test_functions_are_called_for_as_long_as_they_are_wanted(self):
        """C alone knows them: Python must not collect them."""
        out, err = self.python("""
with gateway() as g:
    g.subscribe("heard", lambda topic, message: heard.append(message))
    number = g.subscribe("#", lambda topic, message: heard.append(topic))
    g.start()
    gc.collect()
    garbage = [bytearray(100) for _ in range(100000)]
    g.publish("heard", b"a\\0b")
    g.call(lambda: None)
    g.unsubscribe(number)
    g.publish("heard", b"")
    g.call(lambda: None)
    g.stop()
    g.join()
print(sorted(map(str, heard)), len(lines) >= 3)
""")
        self.assertEqual(out, r"""["b''", "b'a\\x00b'", 'heard'] True""" + "\n")
        self.assertEqual(err, "")

    def test_what_a_function_raises_is_printed_or_raised_where_it_is_called(self):
        out, err = self.python("""
with gateway() as g:
    g.subscribe("heard", lambda topic, message: 1 / 0)
    g.start()
    try:
        g.call(lambda: int("x"))
    except ValueError as error:
        print(error)
    g.publish("heard", b"")
    print(g.call(lambda: 42), g.stats()["accepted"])
""")
        self.assertEqual(out, "invalid literal for int() with base 10: 'x'\n"
                         "42 0\n")
        self.assertIn("ZeroDivisionError", err)

    def test_other_threads_of_python_run_while_one_waits_for_the_gateway(self):
        out, _ = self.python("""
import threading, socket
with gateway() as g:
    g.start()
    port = g.port("it")
    waiter = threading.Thread(target=g.join)
    waiter.start()
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"hello\\n")
        print(sock.recv(100))
    g.stop()
    waiter.join()
""")
        self.assertEqual(out, "b'hello\\n'\n")

    def test_gateways_come_and_go(self):
        out, _ = self.python("""
import os
def descriptors(): return len(os.listdir("/proc/self/fd"))
before = descriptors()
for _ in range(20):
    with gateway() as g, gateway() as other:
        g.start()
        g.reload()
        assert g.stats()["version"] == 2
print(descriptors() - before, linedancer.version())
""")
        self.assertRegex(out, r"^0 \d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
