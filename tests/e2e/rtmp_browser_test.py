#!/usr/bin/python3
"""HTTP-FLV and recordings under ffmpeg, and in a browser."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from support import browser, media
from support.gateway import BUILD, SOURCE, Gateway, until

PAGE = SOURCE / "examples" / "rtmp" / "player"
LIBRARY = "node_modules/mpegts.js/dist/mpegts.js"
# The colours of the six bars of the test picture in a row of it: red, green
# and blue are on or off.
COLOURS = ["100", "010", "110", "001", "101", "011"]
ROW = """(() => {
  const canvas = document.createElement("canvas"), row = [];
  const context = canvas.getContext("2d");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  context.drawImage(video, 0, 0);
  for (let bar = 0; bar < 6; bar++) {
    const at = [(bar + 0.5) / 6 * canvas.width, %f * canvas.height];
    const [r, g, b] = context.getImageData(...at, 1, 1).data;
    row.push([r, g, b].map((value) => value > 128 ? 1 : 0).join(""));
  }
  return row;
})()"""


class Case(unittest.TestCase):
    def setUp(self):
        options = {"files": {"/": str(PAGE / "index.html"),
                             "/" + LIBRARY: str(PAGE / LIBRARY)},
                   "stats": True}
        self.gateway = self.start(Gateway(
            {"handler": "rtmp", "options": self.options()},
            {"handler": "rtmp.http", "options": options}, workers=2))

    def options(self):
        return {}

    def start(self, thing):
        self.addCleanup(thing.close)
        return thing

    def http(self, path=""):
        return f"http://127.0.0.1:{self.gateway.port(1)}/{path}"

    def publish(self, name, **options):
        return self.start(media.publisher(
            f"rtmp://127.0.0.1:{self.gateway.port()}/live/{name}", **options))


class Programs(Case):
    def options(self):
        self.recorded = tempfile.TemporaryDirectory()
        self.addCleanup(self.recorded.cleanup)
        return {"record": self.recorded.name + "/%N.flv", "record_live": True}

    def test_ffmpeg_plays_and_the_file_has_what_was_published(self):
        file = self.gateway.directory / "got.md5"
        player = self.start(media.player(self.http("live/x.flv"), file))
        self.publish("x").wait()
        player.wait()
        want = media.frames(media.clip())
        self.assertGreater(len(want), 200)
        self.assertEqual(media.frames_of_player(file), want)
        self.gateway.await_line(r"published .*stream=live/x")
        self.assertEqual(media.frames(
            pathlib.Path(self.recorded.name) / "live+x.flv"), want)


class Browsers(Case):
    page = None

    def open(self, path=""):
        self.assertTrue((PAGE / LIBRARY).exists(), "./dev installs it")
        self.page = self.page or self.start(browser.Browser(
            self.gateway.directory / "profile"))
        self.page.open(self.http(path))

    def stats(self, key):
        return self.page.value(f"window.stats && stats.{key}")

    def until_decoded(self, count):
        until(lambda: (self.stats("decoded") or 0) >= count,
              f"{count} decoded frames ({self.page.value('stats')})")

    def test_a_page_finds_a_stream_and_shows_its_picture(self):
        self.publish("x", source=self.looped())
        self.gateway.await_line(r"publishing .*stream=live/x")
        self.open()
        self.until_decoded(50)
        self.assertEqual(self.stats("state"), "playing")
        self.assertEqual([self.stats("width"), self.stats("height")],
                         [320, 180])
        # Something that moves may be in front of a bar, here or there.
        rows = [self.page.value(ROW % part) for part in (0.3, 0.65, 0.97)]
        for bar, colour in enumerate(COLOURS):
            self.assertIn(colour, [row[bar] for row in rows], rows)
        self.assertLess(self.stats("latency"), 3)
        (BUILD / "e2e" / "player.png").write_bytes(self.page.screenshot())

    def looped(self):
        """The clip, a few times over."""
        file = self.gateway.directory / "long.flv"
        media.run("ffmpeg", "-v", "error", "-y", "-stream_loop", 10, "-i",
                  media.clip(), "-c", "copy", "-f", "flv", file)
        return file

    def silent(self):
        """The clip without its sound."""
        file = self.gateway.directory / "silent.flv"
        media.run("ffmpeg", "-v", "error", "-y", "-i", self.looped(), "-c",
                  "copy", "-an", "-f", "flv", file)
        return file

    def test_a_picture_without_sound_plays_for_who_waits_and_who_is_late(self):
        source = self.silent()
        self.open("?url=" + self.http("live/x.flv"))
        until(lambda: self.stats("state") == "connecting")
        self.publish("x", source=source)
        self.until_decoded(20)
        self.open("?url=" + self.http("live/x.flv"))
        until(lambda: self.stats("decoded") == 0)
        self.until_decoded(20)
        self.assertEqual(self.stats("restarts"), 0)

    def test_a_page_goes_on_with_the_next_publisher(self):
        self.publish("x")
        self.open("?url=" + self.http("live/x.flv"))
        self.until_decoded(10)
        until(lambda: self.stats("state") == "error")
        self.assertIn("asked for again", self.stats("error"))
        self.publish("x", source=self.looped())
        until(lambda: self.stats("state") == "playing")
        self.until_decoded(20)

    def test_a_page_says_that_there_is_no_stream(self):
        self.open("?url=" + self.http("nothing/here.flv"))
        until(lambda: "Nobody publishes" in (self.stats("error") or ""))
        text = self.page.text("problem")
        self.assertIn("No stream", text)


if __name__ == "__main__":
    unittest.main()
