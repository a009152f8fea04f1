"""Clips, and what programs make of streams."""
import os
import pathlib
import re
import subprocess

from support.gateway import BUILD, PATIENCE

SECONDS = 4
CLIP = BUILD / "e2e" / "clip.flv"


def run(*command, timeout=60, **options):
    """Run COMMAND to its end, which must be a good one; what it printed."""
    result = subprocess.run([str(part) for part in command], text=True,
                            capture_output=True, timeout=timeout,
                            stdin=subprocess.DEVNULL, **options)
    if result.returncode != 0:
        raise AssertionError(f"{command} exited {result.returncode}:\n"
                             f"{result.stderr[-2000:]}")
    return result.stdout


def clip():
    """An FLV file of SECONDS: a picture with B-frames, a key frame each
    second, and a sound."""
    if CLIP.exists():
        return CLIP
    CLIP.parent.mkdir(exist_ok=True)
    part = CLIP.with_suffix(f".{os.getpid()}.flv")
    run("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i",
        "testsrc2=s=320x180:r=25", "-f", "lavfi", "-i", "sine=440:r=44100",
        "-t", SECONDS, "-c:v", "libx264", "-preset", "ultrafast", "-g", 25,
        "-bf", 2, "-c:a", "aac", "-f", "flv", part)
    part.rename(CLIP)
    return CLIP


class Program:
    """A program that runs until it ends by itself, or is ended."""

    def __init__(self, *command):
        self.command = command
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace")

    def wait(self, timeout=60, good=(0,)):
        """Its output, after a good end."""
        output, _ = self.process.communicate(timeout=timeout)
        if self.process.returncode not in good:
            raise AssertionError(f"{self.command} exited "
                                 f"{self.process.returncode}:\n{output[-2000:]}")
        return output

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def publisher(url, *more, source=None):
    """ffmpeg, which publishes the clip at URL in its own time."""
    return Program("ffmpeg", "-v", "error", "-re", "-i", source or clip(),
                   "-c", "copy", *more, "-f", "flv", url)


def player(url, file):
    """ffmpeg, which writes the hashes of all that it gets from URL."""
    return Program("ffmpeg", "-v", "error", "-y", "-copyts", "-i", url, "-c",
                   "copy", "-f", "framemd5", file)


def dumper(url, file):
    """rtmpdump, which writes an FLV file."""
    return Program("rtmpdump", "-q", "-v", "-r", url, "-o", file)


def parse(text):
    """The frames in framemd5 TEXT: sorted (stream, dts, pts, hash)."""
    frames = []
    for line in text.splitlines():
        if not line.startswith("#"):
            fields = [field.strip() for field in line.split(",")]
            frames.append((int(fields[0]), int(fields[1]), int(fields[2]),
                           fields[5]))
    return sorted(frames)


def frames(file, *more):
    """The frames of a media FILE."""
    return parse(run("ffmpeg", "-v", "error", "-copyts", "-i", file, *more,
                     "-c", "copy", "-f", "framemd5", "-"))


def frames_of_player(file):
    return parse(pathlib.Path(file).read_text())


def duration_of(frames_):
    return max(f[1] for f in frames_) - min(f[1] for f in frames_)


def streams_of(file):
    """The codecs in FILE."""
    return re.findall(r"codec_name=(\w+)", run(
        "ffprobe", "-v", "error", "-show_entries", "stream=codec_name", file))
