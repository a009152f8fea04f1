"""A headless Chromium, by its driver. (W3C WebDriver.)"""
import base64
import json
import subprocess
import urllib.request

from support.gateway import PATIENCE, until
from support.nginx_rtmp import free_port

OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
           "--no-first-run", "--disable-sync", "--disable-component-update",
           "--disable-background-networking", "--window-size=800,900",
           "--autoplay-policy=no-user-gesture-required"]


class Browser:
    """PROFILE is an empty directory for its files.  Use close()."""

    def __init__(self, profile):
        self.port = free_port()
        self.session = None
        self.process = subprocess.Popen(
            ["chromedriver", f"--port={self.port}"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self.is_ready, "chromedriver")
        arguments = OPTIONS + [f"--user-data-dir={profile}"]
        answer = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments,
                                   "binary": "/usr/bin/chromium"}}}})
        self.session = answer["sessionId"]

    def is_ready(self):
        try:
            return self.ask("GET", "/status")["ready"]
        except OSError:
            return False

    def ask(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=4 * PATIENCE) as answer:
            return json.load(answer)["value"]

    def call(self, method, path, body=None):
        return self.ask(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        self.call("POST", "/url", {"url": url})

    def text(self, element):
        """The text of the element with this id."""
        return self.call("POST", "/execute/sync", {
            "script": "return document.getElementById(arguments[0])"
                      ".textContent", "args": [element]})

    def value(self, expression):
        """What a JavaScript expression is in the page."""
        return self.call("POST", "/execute/sync", {
            "script": f"return {expression}", "args": []})

    def screenshot(self):
        return base64.b64decode(self.call("GET", "/screenshot"))

    def close(self):
        try:
            if self.session:
                self.call("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait()
