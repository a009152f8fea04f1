"""A headless Chromium, spoken to over a pipe."""
import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

from support.gateway import PATIENCE

PROGRAM = shutil.which("chromium")


def pipe():
    """A pipe whose ends have numbers of two digits."""
    ends = os.pipe()
    try:
        return tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10)
                     for end in ends)
    finally:
        for end in ends:
            os.close(end)


class Browser:
    """Shows one page, at a time.  Use as a context manager, or close()."""

    def __init__(self, width=1120, height=1000):
        self.profile = tempfile.mkdtemp(prefix="ld-browser-")
        theirs_in, self.to = pipe()
        self.come, theirs_out = pipe()
        flags = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox",
                 "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-background-networking", "--mute-audio",
                 "--autoplay-policy=no-user-gesture-required",
                 f"--window-size={width},{height}",
                 f"--user-data-dir={self.profile}", "about:blank"]
        # The browser reads descriptor 3 and writes descriptor 4.
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}',
             "bash", PROGRAM, *flags], pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.number, self.buffer, self.session = 0, b"", None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(one for one in targets if one["type"] == "page")
        self.session = self.call("Target.attachToTarget", flatten=True,
                                 targetId=page["targetId"])["sessionId"]

    def receive(self, deadline):
        """The next message."""
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.come], [], [], left)[0]:
                raise AssertionError("the browser does not answer")
            data = os.read(self.come, 1 << 20)
            if not data:
                raise AssertionError("the browser has gone")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        """What METHOD of the DevTools protocol returns."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + 2 * PATIENCE
        while True:
            answer = self.receive(deadline)
            if answer.get("id") != self.number:
                continue
            if "error" in answer:
                raise AssertionError(f"{method}: {answer['error']}")
            return answer["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)

    def value(self, expression):
        """What the JavaScript EXPRESSION is in the page."""
        return self.call("Runtime.evaluate", expression=expression,
                         returnByValue=True)["result"].get("value")

    def screenshot(self, file):
        """A picture of the page, as PNG, in FILE."""
        data = self.call("Page.captureScreenshot")["data"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(base64.b64decode(data))

    def close(self):
        for descriptor in (self.to, self.come):
            os.close(descriptor)
        try:
            self.process.wait(PATIENCE)  # it ends with its pipe
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
