#!/usr/bin/python3
"""The rtmp handler under ffmpeg, rtmpdump and GStreamer."""
import pathlib
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import media, rtmp
from support.case import Case
from support.client import connect
from support.gateway import Gateway, until


class Programs(Case):
    def setUp(self):
        self.gateway = Gateway({"handler": "rtmp"}, workers=2,
                               log={"level": "debug"})
        self.addCleanup(self.gateway.close)
        self.directory = self.gateway.directory
        # What workers tell each other is for those that have started.
        while not all(self.gateway.count(f"connection opened worker={worker}")
                      for worker in (1, 2)):
            connect(self.gateway.address()).close()
            time.sleep(0.01)

    def url(self, name):
        return f"rtmp://127.0.0.1:{self.gateway.port()}/live/{name}"

    def file(self, name):
        return self.directory / name

    def playing(self, count=1, name=r"\S+"):
        """Wait until so many play."""
        self.gateway.await_line(rf" playing .*stream=live/{name}", count - 1)

    def compare(self, name, offset):
        """Publish the clip, and have two programs play it: all the same."""
        url = self.url(name)
        ffmpeg = self.start(media.player(url, self.file(f"{name}.md5")))
        dump = self.start(media.dumper(url, self.file(f"{name}.flv")))
        self.playing(2, name)
        shift = ["-output_ts_offset", offset]
        media.run("ffmpeg", "-v", "error", "-y", "-i", media.clip(), "-c",
                  "copy", *shift, self.file(f"want{name}.flv"))
        self.start(media.publisher(url, *shift)).wait()
        ffmpeg.wait()
        dump.wait()
        want = media.frames(self.file(f"want{name}.flv"))
        self.assertGreater(len(want), 200)
        self.assertEqual(media.frames_of_player(self.file(f"{name}.md5")), want)
        self.assertEqual(media.frames(self.file(f"{name}.flv")), want)
        return want

    def test_ffmpeg_and_rtmpdump_get_what_ffmpeg_publishes_at_any_time(self):
        media.clip()
        errors = []

        def compare(*args):
            try:
                want = self.compare(*args)
                self.assertGreater(want[-1][1], args[1] * 1000)
            except Exception as error:
                errors.append(f"{args}: {error}")

        # From 0, across 0xFFFFFF ms, and across 2^31 ms.
        threads = [threading.Thread(target=compare, args=args) for args in
                   (("zero", 0), ("ffffff", 16775), ("sign", 2147481))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])

    def test_gstreamer_publishes_and_plays(self):
        url, file = self.url("gst"), self.file("gst.flv")
        sink = self.start(media.Program(
            "gst-launch-1.0", "-q", "rtmp2src", f"location={url}", "!",
            "filesink", f"location={file}"))
        self.playing()
        self.start(media.Program(
            "gst-launch-1.0", "-q", "videotestsrc", "num-buffers=60",
            "is-live=true", "!", "video/x-raw,framerate=25/1", "!", "x264enc",
            "key-int-max=25", "tune=zerolatency", "!", "h264parse", "!",
            "flvmux", "streamable=true", "!", "rtmp2sink",
            f"location={url}")).wait()
        sink.wait()
        times = [frame[1] for frame in media.frames(file)]
        # From the first on, without a gap; at its end rtmp2src does not
        # always wait for what has come already.
        self.assertGreaterEqual(len(times), 58)
        self.assertEqual(times, [40 * i for i in range(len(times))])
        self.assertIn("h264", media.streams_of(file))

    def test_messages_with_short_headers_and_no_picture(self):
        url, file = self.url("alaw"), self.file("alaw.flv")
        dump = self.start(media.dumper(url, file))
        self.playing()
        media.run("ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i",
                  "sine=r=8000", "-t", 2, "-c:a", "pcm_alaw", "-ar", 8000,
                  "-ac", 1, "-f", "flv", url)
        dump.wait(good=(0, 2))  # 2: less than the metadata promised
        found = media.frames(file)
        self.assertIn("pcm_alaw", media.streams_of(file))
        self.assertGreater(len(found), 10)
        times = [frame[1] for frame in found]
        self.assertEqual(times[0], 0)
        self.assertGreater(times[-1], 1800)

    def test_a_latecomer_sees_a_picture_at_once(self):
        publisher = rtmp.Client(self.gateway.address()).publish("late")
        self.addCleanup(publisher.close)
        publisher.headers()
        for i in range(60):
            body = b"%d" % i
            publisher.video(40 * i, rtmp.key_frame(body) if i % 25 == 0 else
                            rtmp.frame(body))
        early = rtmp.Client(self.gateway.address()).play("late")
        self.addCleanup(early.close)
        early.until(lambda m: m.kind == rtmp.VIDEO and m.body[5:] == b"59")
        # Nothing more is published: what comes now was kept.
        late = rtmp.Client(self.gateway.address()).play("late")
        self.addCleanup(late.close)
        got = [late.receive() for _ in range(14)]
        self.assertEqual([m.kind for m in got[:4]], [18, 18, 9, 8])
        self.assertEqual(got[2].body, rtmp.VIDEO_HEADER)
        self.assertEqual([m.body for m in got[4:]],
                         [rtmp.key_frame(b"50")] +
                         [rtmp.frame(b"%d" % i) for i in range(51, 60)])

    def test_a_viewer_goes_on_when_another_publisher_takes_over(self):
        url, file = self.url("again"), self.file("again.md5")
        viewer = self.start(media.player(url, file))
        self.playing()
        first = self.start(media.publisher(url))
        self.gateway.await_line(" publishing ")
        watcher = rtmp.Client(self.gateway.address()).play("again")
        self.addCleanup(watcher.close)
        for _ in range(30):
            watcher.next_video()
        self.start(media.publisher(url)).wait()
        viewer.wait()
        self.assertNotEqual(first.process.wait(), 0)
        self.gateway.await_line("reason=\"taken over\"")
        by_stream = {}
        for line in file.read_text().splitlines():
            if not line.startswith("#"):
                fields = [int(f) for f in line.split(",")[:2]]
                by_stream.setdefault(fields[0], []).append(fields[1])
        for times in by_stream.values():
            self.assertEqual(times, sorted(times))
            self.assertGreater(times[-1], 1000 * media.SECONDS)
        self.assertEqual(len(by_stream), 2)

    def test_a_player_goes_on_when_a_killed_encoder_comes_back(self):
        url, file = self.url("killed"), self.file("killed.md5")
        player = self.start(media.player(url, file))
        self.playing()
        watcher = rtmp.Client(self.gateway.address()).play("killed")
        self.addCleanup(watcher.close)
        for turn in range(2):
            encoder = self.start(media.publisher(url))
            for _ in range(30):
                watcher.next_video()
            encoder.process.kill()
            self.gateway.await_line(" published ", turn)
        self.start(media.publisher(url)).wait()
        player.wait()
        times = {}
        for line in file.read_text().splitlines():
            if not line.startswith("#"):
                stream, dts = [int(f) for f in line.split(",")[:2]]
                times.setdefault(stream, []).append(dts)
        self.assertEqual(len(times), 2)
        for list_ in times.values():
            self.assertEqual(list_, sorted(list_))
            self.assertGreater(list_[-1], 1000 * (media.SECONDS + 2))

    def test_a_viewer_goes_on_when_a_lost_publisher_comes_back(self):
        address = self.gateway.address()
        viewer = rtmp.Client(address).play("lost")
        self.addCleanup(viewer.close)
        for turn in range(3):
            publisher = rtmp.Client(address).publish("lost")
            publisher.headers()
            publisher.video(0, rtmp.key_frame(b"%d" % turn))
            message = viewer.next_video()
            self.assertEqual(message.body, rtmp.key_frame(b"%d" % turn))
            if turn:
                self.assertGreater(message.time, last)
            last = message.time
            publisher.close()
            until(lambda: self.gateway.count(" published ") == turn + 1)
            time.sleep(0.1)  # as it takes to come back: other workers hear


if __name__ == "__main__":
    unittest.main(warnings="ignore")
