#!/usr/bin/python3
"""The resp handler under python3-redis, as an application would use it."""
import pathlib
import sys
import threading
import unittest

import redis

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read_all
from support.gateway import PATIENCE, Gateway, until


class Redis(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway({"handler": "resp"})

    @classmethod
    def tearDownClass(cls):
        cls.gateway.close()

    def setUp(self):
        self.r = self.client()
        self.r.flushall()

    def client(self, **options):
        options.setdefault("decode_responses", True)
        client = redis.Redis("127.0.0.1", self.gateway.port(),
                             socket_timeout=PATIENCE, **options)
        self.addCleanup(client.close)
        return client

    def test_strings(self):
        r = self.r
        self.assertTrue(r.set("k", "v"))
        self.assertEqual(r.get("k"), "v")
        self.assertIsNone(r.get("none"))
        self.assertIsNone(r.set("k", "w", nx=True))
        self.assertTrue(r.set("k", "w", xx=True))
        self.assertEqual(r.getset("k", "x"), "w")
        self.assertEqual(r.append("k", "yz"), 3)
        self.assertEqual(r.strlen("k"), 3)
        self.assertTrue(r.mset({"a": 1, "b": 2}))
        self.assertEqual(r.mget("a", "none", "b"), ["1", None, "2"])
        self.assertEqual(r.incr("a", 9), 10)
        self.assertEqual(r.decr("a"), 9)
        self.assertEqual(r.delete("a", "b", "none"), 2)

    def test_bytes_are_kept_as_they_are(self):
        r = self.client(decode_responses=False)
        value = bytes(range(256)) * 100
        r.set(b"\r\n\0", value)
        self.assertEqual(r.get(b"\r\n\0"), value)
        self.assertEqual(r.keys(), [b"\r\n\0"])
        self.assertEqual(self.client().set("ü", "ß"), True)
        self.assertEqual(self.r.get("ü"), "ß")

    def test_expiry(self):
        r = self.r
        r.set("k", "v", ex=100)
        self.assertIn(r.ttl("k"), range(90, 101))
        self.assertTrue(r.persist("k"))
        self.assertEqual(r.ttl("k"), -1)
        self.assertEqual(r.ttl("none"), -2)
        self.assertTrue(r.pexpire("k", 20))
        until(lambda: r.get("k") is None, "the key's end")
        self.assertEqual(r.exists("k"), 0)
        r.set("k", "v", px=100_000)
        self.assertIn(r.pttl("k"), range(90_000, 100_001))

    def test_lists(self):
        r = self.r
        self.assertEqual(r.rpush("l", "b", "c"), 2)
        self.assertEqual(r.lpush("l", "a"), 3)
        self.assertEqual(r.lrange("l", 0, -1), ["a", "b", "c"])
        self.assertEqual(r.llen("l"), 3)
        self.assertEqual(r.lpop("l"), "a")
        self.assertEqual(r.rpop("l"), "c")
        self.assertEqual(r.rpop("l"), "b")
        self.assertIsNone(r.rpop("l"))
        self.assertEqual(r.exists("l"), 0)

    def test_sets(self):
        r = self.r
        self.assertEqual(r.sadd("s", "a", "b", "b"), 2)
        self.assertEqual(r.smembers("s"), {"a", "b"})
        self.assertTrue(r.sismember("s", "a"))
        self.assertFalse(r.sismember("s", "x"))
        self.assertEqual(r.scard("s"), 2)
        self.assertEqual(r.srem("s", "a"), 1)

    def test_hashes(self):
        r = self.r
        self.assertEqual(r.hset("h", mapping={"a": 1, "b": 2}), 2)
        self.assertEqual(r.hgetall("h"), {"a": "1", "b": "2"})
        self.assertEqual(r.hget("h", "a"), "1")
        self.assertTrue(r.hexists("h", "b"))
        self.assertEqual(r.hdel("h", "a", "b"), 2)
        self.assertEqual(r.hgetall("h"), {})

    def test_sorted_sets(self):
        r = self.r
        self.assertEqual(r.zadd("z", {"a": 1, "b": 2.5, "c": -1}), 3)
        self.assertEqual(r.zrange("z", 0, -1), ["c", "a", "b"])
        self.assertEqual(r.zrange("z", 0, 0, withscores=True), [("c", -1.0)])
        self.assertEqual(r.zscore("z", "b"), 2.5)
        self.assertEqual(r.zpopmin("z"), [("c", -1.0)])
        self.assertEqual(r.zcard("z"), 2)

    def test_pipelines_answer_in_order(self):
        pipe = self.r.pipeline(transaction=False)
        for i in range(5000):
            pipe.set(f"k{i}", i)
            pipe.get(f"k{i}")
        result = pipe.execute()
        self.assertEqual(result[1::2], [str(i) for i in range(5000)])
        self.assertEqual(self.r.dbsize(), 5000)
        self.assertEqual(len(self.r.keys("k1*")), 1111)

    def test_an_error_in_a_pipeline_is_one_answer_among_others(self):
        self.r.rpush("l", "x")
        pipe = self.r.pipeline(transaction=False)
        pipe.set("a", 1)
        pipe.incr("l")
        pipe.get("a")
        result = pipe.execute(raise_on_error=False)
        self.assertEqual((result[0], result[2]), (True, "1"))
        self.assertIsInstance(result[1], redis.ResponseError)
        self.assertIn("WRONGTYPE", str(result[1]))

    def test_what_is_not_supported_says_so_and_goes_on(self):
        for command in (["SUBSCRIBE", "x"], ["EVAL", "return 1", "0"],
                        ["NO-SUCH-THING"]):
            with self.assertRaises(redis.ResponseError) as caught:
                self.r.execute_command(*command)
            self.assertIn("unknown command", str(caught.exception))
        self.assertTrue(self.r.ping())

    def test_values_are_seen_by_other_connections_at_once(self):
        other = self.client()
        for i in range(100):
            self.r.set("k", i)
            self.assertEqual(other.get("k"), str(i))

    def test_increments_of_many_connections_are_not_lost(self):
        def work():
            client = self.client()
            for _ in range(500):
                client.incr("n")

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.r.get("n"), "4000")

    def test_a_command_that_never_ends_harms_nobody(self):
        with connect(self.gateway.address()) as sock:
            sock.sendall(b"*2\r\n$3\r\nGET\r\n$10\r\nabc")
            self.assertTrue(self.r.ping())
            sock.shutdown(1)
            self.assertEqual(read_all(sock), b"")
        self.assertTrue(self.r.ping())


if __name__ == "__main__":
    unittest.main(warnings="ignore")
