#!/usr/bin/python3
"""The resp handler under redis-cli, netcat and the protocol's odd corners."""
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read_all
from support.gateway import PATIENCE, Gateway


class RedisCli(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway({"handler": "resp"})
        self.addCleanup(self.gateway.close)

    def cli(self, *arguments, stdin=""):
        """What redis-cli prints, raw, with colons where types matter."""
        result = subprocess.run(
            ["redis-cli", "-p", str(self.gateway.port()), *arguments],
            input=stdin, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(result.returncode, 0, result)
        self.assertEqual(result.stderr, "")
        return result.stdout

    def shown(self, *arguments):
        """The same as people see it."""
        return self.cli("--no-raw", *arguments)

    def test_commands_answer_as_redis_does(self):
        for arguments, answer in (
                (["PING"], "PONG\n"),
                (["PING", "hello"], '"hello"\n'),
                (["SET", "k", "a value"], "OK\n"),
                (["GET", "k"], '"a value"\n'),
                (["GET", "none"], "(nil)\n"),
                (["APPEND", "k", "!"], "(integer) 8\n"),
                (["INCRBY", "n", "41"], "(integer) 41\n"),
                (["INCR", "n"], "(integer) 42\n"),
                (["RPUSH", "l", "a", "b", "c"], "(integer) 3\n"),
                (["LRANGE", "l", "0", "-1"], '1) "a"\n2) "b"\n3) "c"\n'),
                (["HSET", "h", "f", "1", "g", "2"], "(integer) 2\n"),
                (["HGET", "h", "g"], '"2"\n'),
                (["SADD", "s", "x", "x"], "(integer) 1\n"),
                (["ZADD", "z", "1.5", "m"], "(integer) 1\n"),
                (["ZSCORE", "z", "m"], '"1.5"\n'),
                (["EXISTS", "k", "l", "none"], "(integer) 2\n"),
                (["TYPE", "z"], "zset\n"),
                (["DEL", "k", "none"], "(integer) 1\n")):
            self.assertEqual(self.shown(*arguments), answer, arguments)
        self.assertIn("WRONGTYPE", self.shown("INCR", "l"))
        self.assertIn("ERR unknown command", self.shown("DANCE"))
        self.assertIn("wrong number of arguments", self.shown("GET"))

    def test_resp3_has_types_that_resp2_has_not(self):
        self.cli("HSET", "h", "f", "1")
        self.cli("ZADD", "z", "1.5", "m")
        self.cli("SADD", "s", "x")
        for arguments, answer in (
                (["HGETALL", "h"], '1# "f" => "1"\n'),
                (["ZSCORE", "z", "m"], "(double) 1.5\n"),
                (["SMEMBERS", "s"], '1~ "x"\n'),
                (["GET", "none"], "(nil)\n")):
            self.assertEqual(self.shown("-3", *arguments), answer, arguments)
        self.assertEqual(self.shown("HGETALL", "h"), '1) "f"\n2) "1"\n')

    def test_a_pipe_of_many_commands_gets_an_answer_to_each(self):
        count = 20_000
        stdin = "".join(f"SET key:{i} value:{i}\r\n" for i in range(count))
        text = self.cli("--pipe", stdin=stdin)
        self.assertIn(f"errors: 0, replies: {count}", text)
        self.assertEqual(self.cli("DBSIZE").strip(), str(count))
        self.assertEqual(self.cli("GET", "key:19999"), "value:19999\n")

    def test_a_value_of_many_reads_comes_back(self):
        value = "0123456789abcdef" * 30_000
        self.assertEqual(self.cli("-x", "SET", "big", stdin=value), "OK\n")
        self.assertEqual(self.cli("GET", "big"), value + "\n")

    def test_inline_commands_work_from_netcat(self):
        result = subprocess.run(
            ["nc", "-N", "127.0.0.1", str(self.gateway.port())],
            input=b'PING\r\nSET k "a b\\n"\nGET k\r\n\r\nECHO \'x y\'\r\n',
            capture_output=True, timeout=PATIENCE)
        self.assertEqual(result.stdout,
                         b"+PONG\r\n+OK\r\n$4\r\na b\n\r\n$3\r\nx y\r\n")

    def test_what_is_no_protocol_gets_an_error_and_the_end(self):
        for data in (b"*1\r\n+PING\r\n", b"*1\r\n$x\r\n", b"*-x\r\n",
                     b"*1\r\n$4\r\nPINGxx", b'SET k "open\r\n',
                     b"*99999999\r\n", b"*1\r\n$999999999999\r\n"):
            with connect(self.gateway.address()) as sock:
                sock.sendall(data)
                answer = read_all(sock)
                self.assertTrue(answer.startswith(b"-ERR Protocol error"),
                                (data, answer))
        self.assertEqual(self.cli("PING"), "PONG\n")

    def test_quit_answers_and_ends(self):
        with connect(self.gateway.address()) as sock:
            sock.sendall(b"QUIT\r\nPING\r\n")
            self.assertEqual(read_all(sock), b"+OK\r\n")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
