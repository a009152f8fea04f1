#!/usr/bin/python3
"""container.py ROOT PACKAGES: does in a Debian in ROOT what the last stage of
Containerfile says, PACKAGES being what the first one has made, and runs what
comes of it as a container would be run: as process 1, and nobody's root."""
import glob
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

from containerfile import stages, words


class Image:
    def __init__(self, root, packages, instructions):
        self.root, self.packages = root, packages
        self.said = {"ENV": []}
        for name, rest in instructions:
            getattr(self, name.lower(), self.keep)(name, rest)

    def keep(self, name, rest):
        self.said[name] = rest

    def env(self, _, rest):
        self.said["ENV"].append(rest)

    def run(self, _, rest):
        subprocess.run(["chroot", self.root, "sh", "-c", rest], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def copy(self, _, rest):
        *sources, target = rest.replace("--from=build ", "").split()
        for source in sources:
            for file in glob.glob(source.replace("/packages", self.packages)):
                shutil.copy(file, self.root + target)

    def command(self, argv):
        """ARGV as the image's user, with its environment."""
        return ["chroot", f"--userspec={self.said['USER']}", self.root, "env",
                *self.said["ENV"], *argv]


def answers(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as sock:
            sock.sendall(b"hello")
            return sock.recv(5) == b"hello"
    except ConnectionRefusedError:
        return False


def first_of(pid):
    """The process that PID, an unshare, has made."""
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text())


def main(root, packages):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    image = Image(root, packages,
                  stages(pathlib.Path("Containerfile").read_text())[-1])
    argv = words(image.said["ENTRYPOINT"]) + words(image.said["CMD"])
    outer = subprocess.Popen(["unshare", "--pid", "--fork",
                              *image.command(argv)])
    deadline = time.monotonic() + 30
    while not answers(int(image.said["EXPOSE"])):
        assert outer.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    pid = first_of(outer.pid)
    assert os.stat(f"/proc/{pid}").st_uid != 0, "it runs as root"
    subprocess.run(image.command(words(image.said["HEALTHCHECK"])), check=True,
                   stdout=subprocess.DEVNULL)
    os.kill(pid, signal.Signals[image.said["STOPSIGNAL"]])
    assert outer.wait(60) == 0, "it did not end well"


if __name__ == "__main__":
    main(*sys.argv[1:])
