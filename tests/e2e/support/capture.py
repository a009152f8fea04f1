#!/usr/bin/python3
"""Records what programs say in RTMP, as fixtures for specs and fuzzers.

  capture.py [DIRECTORY]      default: spec/fixtures/rtmp

Each program talks to nginx-rtmp through a proxy, which writes down what comes
from the client, and for some what the server answers: up to the end of a
message, and no more than MOST bytes."""
import pathlib
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from support import media
from support.gateway import PATIENCE, SOURCE, until
from support.nginx_rtmp import Nginx, free_port
from support.rtmp import Parser

MOST = 12000
APPLICATIONS = "application live {{ live on; publish_notify on; {} }}"


class Proxy:
    """Carries connections to PORT, and keeps what each said: a list of
    (bytes of the client, bytes of the server)."""

    def __init__(self, port, listen=0):
        self.port, self.said = port, []
        self.listener = socket.create_server(("127.0.0.1", listen))
        self.own = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            both = bytearray(), bytearray()
            self.said.append(both)
            for ends in ((client, server, both[0]), (server, client, both[1])):
                threading.Thread(target=self.carry, args=ends,
                                 daemon=True).start()

    def carry(self, source, target, said):
        try:
            while True:
                data = source.recv(1 << 16)
                if not data:
                    break
                said += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def trim(data):
    """DATA, from a handshake on, up to the last message that ends in time."""
    at, parser = 1 + 2 * 1536, Parser()
    end = at
    while at < len(data):
        parser.data = bytearray(data[at:])
        used, message = parser.chunk()
        if used == 0 or at + used > MOST:
            break
        at += used
        if message and message.kind == 1:
            parser.size = int.from_bytes(message.body, "big")
        if not any(state["body"] for state in parser.streams.values()):
            end = at
    return bytes(data[:end])


class Recorder:
    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def keep(self, name, data):
        data = trim(data)
        (self.directory / (name + ".bin")).write_bytes(data)
        print(f"{name}: {len(data)} bytes")

    def record(self, name, publish, play=None, answers=False):
        """Run command PUBLISH, after command PLAY has begun to play; keep what
        the latter, or else the former, says, or is answered."""
        with Nginx(APPLICATIONS.format("")) as nginx:
            proxy = Proxy(nginx.port)
            url = nginx.url("live/x")
            proxied = url.replace(str(nginx.port), str(proxy.own))
            try:
                if play:
                    player = media.Program(*play(proxied))
                    until(lambda: len(proxy.said) and
                          b"play: name" in (nginx.directory /
                                            "log").read_bytes())
                media.Program(*publish(url if play else proxied)).wait(
                    good=(0, 255))
                if play:
                    player.wait(good=(0, 1, 2))
                self.keep(name, proxy.said[0][answers])
            finally:
                proxy.close()

    def relay(self, name, direction, publish, play, side=0):
        """Have a nginx push to another, or pull from it."""
        port = free_port()
        with Nginx(APPLICATIONS.format("")) as far:
            proxy = Proxy(far.port)
            path = f"{direction} rtmp://127.0.0.1:{proxy.own}/live"
            more = path + (" live=1;" if direction == "pull" else ";")
            with Nginx(APPLICATIONS.format(more), port) as near:
                source, target = ((near, far) if direction == "push" else
                                  (far, near))
                player = media.Program(*play(target.url("live/x")))
                log = target.directory / "log"
                until(lambda: b"play: name" in log.read_bytes())
                media.Program(*publish(source.url("live/x"))).wait()
                player.close()
            self.keep(name, proxy.said[0][side])
            proxy.close()


def ffmpeg(*options):
    def command(url):
        return ["ffmpeg", "-v", "error", "-re", *options, "-f", "flv", url]
    return command


def main():
    directory = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                             SOURCE / "spec/fixtures/rtmp")
    recorder = Recorder(directory)
    picture = ["-f", "lavfi", "-i", "testsrc2=s=160x90:r=25"]
    tone = ["-f", "lavfi", "-i", "sine=440:r=44100"]
    coded = [*picture, *tone, "-t", "2", "-c:v", "libx264", "-preset",
             "ultrafast", "-g", "25", "-b:v", "60k", "-c:a", "aac", "-b:a",
             "24k"]
    small = ffmpeg(*coded)
    late = ffmpeg(*coded, "-output_ts_offset", "16777.15")
    alaw = ffmpeg("-f", "lavfi", "-i", "sine=r=8000", "-t", "2", "-c:a",
                  "pcm_alaw", "-ar", "8000", "-ac", "1")

    def gst(*words):
        return ["gst-launch-1.0", "-q", *words]

    def gst_publish(url):
        return gst("videotestsrc", "num-buffers=30", "is-live=true", "!",
                   "video/x-raw,width=160,height=90,framerate=25/1", "!",
                   "x264enc", "key-int-max=10", "bitrate=60",
                   "tune=zerolatency", "!", "h264parse", "!", "flvmux",
                   "streamable=true", "!", "rtmp2sink", f"location={url}")

    def gst_play(url):
        return gst("rtmp2src", f"location={url}", "!", "fakesink")

    def ffmpeg_play(url):
        return ["ffmpeg", "-v", "error", "-i", url, "-c", "copy", "-f", "null",
                "-"]

    def rtmpdump(url):
        return ["rtmpdump", "-q", "-v", "-r", url, "-o", "/dev/null"]
    recorder.record("ffmpeg-publish", small)
    recorder.record("ffmpeg-publish-extended", late)
    recorder.record("ffmpeg-publish-alaw", alaw)
    recorder.record("ffmpeg-play", small, ffmpeg_play)
    recorder.record("rtmpdump-play", small, rtmpdump)
    recorder.record("gstreamer-publish", gst_publish)
    recorder.record("gstreamer-play", small, gst_play)
    recorder.relay("nginx-push", "push", small, ffmpeg_play)
    recorder.relay("nginx-pull", "pull", small, ffmpeg_play)
    recorder.record("server-of-publisher", small, answers=True)
    recorder.record("server-of-player", small, ffmpeg_play, answers=True)


if __name__ == "__main__":
    main()
