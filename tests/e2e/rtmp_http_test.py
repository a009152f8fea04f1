#!/usr/bin/python3
"""rtmp.http under curl, ffmpeg and a browser."""
import functools
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import media, rtmp
from support.browser import Browser
from support.case import Case
from support.client import connect, read_all
from support.gateway import PATIENCE, SOURCE, Gateway, until

PLAYER = SOURCE / "examples" / "rtmp" / "player"
SCREENSHOT = os.environ.get("SCREENSHOT")  # a file to write one to

class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Http(Case):
    def setUp(self):
        self.gateway = Gateway({"handler": "rtmp"}, {
            "handler": "rtmp.http", "options": {"stats": True, "http_wait": 2}},
            workers=2)
        self.addCleanup(self.gateway.close)
        self.base = f"http://127.0.0.1:{self.gateway.port(1)}"

    def publish(self, name, *more):
        url = f"rtmp://127.0.0.1:{self.gateway.port()}/live/{name}"
        program = self.start(media.publisher(url, *more))
        self.gateway.await_line(rf" publishing .*stream=live/{name}")
        return program

    def curl(self, path, *options):
        """Status and body."""
        result = subprocess.run(
            ["curl", "-s", "-o", "-", "-w", "\n%{http_code}", *options,
             self.base + path], capture_output=True, text=True, timeout=30)
        body, _, status = result.stdout.rpartition("\n")
        return int(status), body

    def test_a_stream_is_a_file_of_what_is_published(self):
        program = self.publish("x")
        file = self.gateway.directory / "x.flv"
        media.run("curl", "-s", "-f", "-o", file, self.base + "/live/x.flv")
        program.wait()
        want, got = media.frames(media.clip()), media.frames(file)
        self.assertEqual(media.streams_of(file), ["h264", "aac"])
        # Of each stream, all from where it began; most of it, as it was
        # asked for at once.
        for stream in (0, 1):
            frames = [f for f in got if f[0] == stream]
            all_ = [f for f in want if f[0] == stream]
            at = all_.index(frames[0])
            self.assertEqual(frames, all_[at:])
            self.assertLess(at, len(all_) // 2)

    def test_numbers_of_streams_are_json(self):
        self.publish("numbers")
        viewer = self.start(media.Program("curl", "-s", "-o", "/dev/null",
                                          self.base + "/live/numbers.flv"))
        deadline = time.monotonic() + PATIENCE
        while True:  # they are told once a second
            status, body = self.curl("/streams")
            self.assertEqual(status, 200)
            stream = (json.loads(body) or [{}])[0]
            if (stream.get("viewers") and stream.get("sent")
                    and stream.get("video", {}).get("bits", 0) > 10000):
                break
            self.assertLess(time.monotonic(), deadline, body)
        self.assertEqual(stream["name"], "live/numbers")
        self.assertEqual((stream["video"]["width"], stream["video"]["height"]),
                         (320, 180))
        self.assertEqual((stream["audio"]["codec"], stream["audio"]["rate"]),
                         ("aac", 44100))
        viewer.close()

    def test_what_cannot_be_had_is_refused(self):
        for path, options, status in (
                ("/live/none.flv", [], 404), ("/none.flv", [], 404),
                ("/", [], 404), ("/live/x", [], 404),
                ("/live/x.flv", ["-X", "DELETE"], 405),
                ("/live/x.flv", ["-d", "body"], 413),
                ("/streams", ["-H", "X: " + "x" * 20000], 431),
                ("/live/x.flv", ["-X", "OPTIONS"], 204)):
            self.assertEqual(self.curl(path, *options)[0], status, path)
        with connect(self.gateway.address(1)) as sock:
            sock.sendall(b"nonsense\r\n\r\n")
            self.assertTrue(read_all(sock).startswith(b"HTTP/1.1 400 "))
        with connect(self.gateway.address(1)) as sock:  # kept alive
            request = b"GET /streams HTTP/1.1\r\nHost: x\r\n\r\n"
            sock.sendall(request * 2 + request.replace(
                b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            self.assertEqual(read_all(sock).count(b"HTTP/1.1 200 OK"), 3)

    def test_the_end_of_a_stream_ends_the_answer(self):
        publisher = self.start(rtmp.Client(self.gateway.address()).publish(
            "end"))
        publisher.headers()
        publisher.video(0, rtmp.key_frame(b"one"))
        with connect(self.gateway.address(1)) as sock:
            sock.sendall(b"GET /live/end.flv HTTP/1.1\r\nHost: x\r\n\r\n")
            data = b""
            while not data.endswith(rtmp.key_frame(b"one") + b"\0\0\0\x13"):
                data += sock.recv(1 << 16)
            publisher.close()
            self.assertEqual(read_all(sock), b"")
        head, _, body = data.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Type: video/x-flv", head)
        self.assertTrue(body.startswith(b"FLV\1\5"))

    def test_a_browser_decodes_it(self):
        self.assertTrue((PLAYER / "node_modules" / "mpegts.js").is_dir(),
                        "./dev installs it")
        self.publish("web", "-bsf:v", "null")
        handler = functools.partial(Quiet, directory=PLAYER)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = (f"http://127.0.0.1:{server.server_port}/?url="
               f"{self.base}/live/web.flv")
        browser = self.start(Browser(self.gateway.directory / "profile"))
        browser.open(url)
        until(lambda: int(browser.text("frames").split()[0]
                          .replace("–", "0")) > 20, "a decoded picture")
        self.assertEqual(browser.text("state"), "playing")
        self.assertEqual(browser.text("picture"), "320 × 180")
        if SCREENSHOT:
            pathlib.Path(SCREENSHOT).write_bytes(browser.screenshot())


if __name__ == "__main__":
    unittest.main(warnings="ignore")
