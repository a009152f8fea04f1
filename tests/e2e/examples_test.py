#!/usr/bin/python3
"""The examples do what their first comments say: each is started by the first
command there, and tried by the others."""
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support.client import connect, read_line
from support.example import Example, head
from support.gateway import SOURCE, run, until


def say(sock, text):
    sock.sendall(text.encode() + b"\n")


def hear(sock):
    return read_line(sock).decode().rstrip("\n")


class Comments(unittest.TestCase):
    def test_every_example_is_tried_here(self):
        tested = {name.removeprefix("test_") for name in dir(Examples)}
        for file in (SOURCE / "examples").glob("*.lua"):
            self.assertIn(file.stem, tested | {"gateway"})

    def test_the_default_gateway_is_that_of_dev_run(self):
        self.assertTrue(head("gateway")[0].startswith("./dev run "))

    def test_check_finds_nothing_wrong_with_any(self):
        files = sorted(str(file)
                       for file in (SOURCE / "examples").rglob("*.lua")
                       if not file.read_text().endswith("return M\n"))
        files.remove(str(SOURCE / "examples/embed/luajit/shout.lua"))  # serves
        result = run("check", *files)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(result.stdout.count(": good\n"), len(files))


class Examples(unittest.TestCase):
    def prints(self, name, expected, **replaced):
        with Example(name) as example:
            self.assertEqual(example.attempt(**replaced), expected)

    def test_sandbox(self):
        self.prints("sandbox", "HELLO\nno: attempt to index global 'io' (a "
                    "nil value)\n")

    def test_tlv(self):
        self.prints("tlv", "   O   K  \\n  \\a  \\0 005   h   e   l   l   o\n")

    def test_fields(self):
        self.prints("fields", " 18 02 ff fe 00 07 02 68 69\n")

    def test_packets(self):
        self.prints("packets", "   o   k  \\n   2  \\n\n")

    def test_recover(self):
        self.prints("recover", "3\n? unexpected bytes\n7\n")

    def test_upload(self):
        size = 2**24  # the comment has so many times more that it takes time
        self.prints("upload", f"{size} 0\n", old="2**30", new="2**24")

    def test_tasks(self):
        self.prints("tasks", "100: 25\n5000: 669\n")

    def test_timers(self):
        self.prints("timers", "ping\ngone\n")

    def test_pubsub(self):
        self.prints("pubsub", "news/today hello\n")

    def test_pubsub_of_two(self):
        with Example("pubsub") as example:
            ann, bob = connect(example.address()), connect(example.address())
            say(ann, "sub a/#\nsub done\npub done yes")
            self.assertEqual(hear(ann), "done yes")
            say(bob, "pub a/b from bob")
            self.assertEqual(hear(ann), "a/b from bob")

    def test_request(self):
        with Example("request") as example:
            self.assertEqual(example.attempt(1), "! nobody\n! nobody\n")
            service = connect(example.address())
            say(service, "serve shout")
            client = connect(example.address())
            say(service, "ask nobody anything")
            self.assertEqual(hear(service), "! nobody")  # it serves by now
            say(client, "ask shout hello")
            self.assertEqual(hear(service), "# 1 hello")
            say(service, "# 1 HELLO")
            self.assertEqual(hear(client), "= HELLO")

    def test_request_with_a_program_that_serves(self):
        with Example("request") as example:
            with example.running(0):
                until(lambda: example.attempt(1) == "= HELLO\n! nobody\n")

    def test_halfread(self):
        with Example("halfread") as example:
            tick = "   t  \\0  \\0  \\0 004  \\0  \\0  \\0  \\a"
            said = "   s  \\0  \\0  \\0 005   h   e   l"
            printed = example.attempt()
            self.assertTrue(printed.startswith(tick + said[:28]), printed)
            self.assertTrue(printed.endswith("l   o\n"), printed)

    def test_rpc(self):
        self.prints(
            "rpc",
            "  \\0  \\0  \\0 002  \\0  \\0  \\0  \\0 002   h   i  \\0  \\0"
            "  \\0 001  \\0\n"
            "  \\0  \\0  \\0 005   s   l   e   p   t\n")

    def test_reload(self):
        told = subprocess.run([SOURCE / "examples/reload/watch.sh"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(told.returncode, 0, told.stderr)
        self.assertRegex(told.stdout, "^hello world +-> 1 hello world\n"
                         "file .*counter.lua has changed\nversion 2 serves\n"
                         "half a [|] reload [|] line +-> 2 half a line\n"
                         "hello again +-> hello 1 of 3\n$")

    def test_channel(self):
        with Example("channel") as example, example.running(0):
            first = connect(example.address())
            say(first, "hear news")
            until(lambda: hear(first) == "Rain.")
            self.assertEqual(example.attempt(1),
                             "[news]\n= Today\nRain.\nSun.\n")

    def test_channel_across_workers(self):
        with Example("channel", "--workers", "2") as example:
            radios = [connect(example.address()) for _ in range(8)]
            for radio in radios[:4]:
                say(radio, "hear news")
            speaker = connect(example.address())
            say(speaker, "speak news\n= Hello.")
            for radio in radios[4:]:
                say(radio, "hear news")
            for radio in radios:
                self.assertEqual(hear(radio), "[news]")
                self.assertEqual(hear(radio), "= Hello.")
            say(speaker, "Bye.")
            for radio in radios:
                self.assertEqual(hear(radio), "Bye.")
            speaker.close()
            for radio in radios:
                self.assertEqual(hear(radio), "")

    def test_proxy(self):
        self.prints("proxy", "hello\n")

    def test_workers(self):
        with Example("workers") as example:
            lines = example.attempt().splitlines()
        counts = {"1": [], "2": []}
        for line in lines:
            worker, number = re.fullmatch(
                r"worker ([12]), connection (\d+)", line).groups()
            counts[worker].append(int(number))
        self.assertEqual(len(lines), 8)
        for numbers in counts.values():
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))


if __name__ == "__main__":
    unittest.main(warnings="ignore")
