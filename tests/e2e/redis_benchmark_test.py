#!/usr/bin/python3
"""redis-benchmark runs all its default tests against the resp handler."""
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.gateway import PATIENCE, Gateway

TESTS = ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH",
         "LPOP", "RPOP", "SADD", "HSET", "SPOP", "ZADD", "ZPOPMIN",
         "LRANGE_100", "LRANGE_300", "LRANGE_500", "LRANGE_600", "MSET"]


class RedisBenchmark(unittest.TestCase):
    def run_all(self, *options):
        with Gateway({"handler": "resp"}) as gateway:
            result = subprocess.run(
                ["redis-benchmark", "-p", str(gateway.port()), "--csv",
                 *options],
                capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(result.returncode, 0, result)
            self.assertNotIn("rror", result.stdout + result.stderr)
            for name in TESTS:
                self.assertIn(f'"{name}', result.stdout)
            self.assertEqual(gateway.count("failed"), 0)

    def test_one_command_at_a_time(self):
        self.run_all("-n", "1000", "-P", "1")

    def test_sixteen_commands_at_a_time_on_random_keys(self):
        self.run_all("-n", "3200", "-P", "16", "-r", "1000")

    def test_large_values_over_many_connections(self):
        self.run_all("-n", "500", "-c", "100", "-d", "4000", "-3")


if __name__ == "__main__":
    unittest.main(warnings="ignore")
