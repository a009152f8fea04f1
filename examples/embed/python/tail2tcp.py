"""python3 tail2tcp.py /var/log/syslog /var/log/auth.log
printf 'follow auth.log\n' | nc 127.0.0.1 7032

Serves the lines that are appended to files to TCP clients: `follow NAME`, or
`follow +` for all files, and `files` for their names.  It needs no compiler,
only liblinedancer.  Ctrl-C ends it.
"""
import argparse
import os
import pathlib
import signal
import sys
import time

import linedancer

PAUSE = 0.2  # seconds between looks at the files
LINE_MAX = 1 << 16

CONFIG = """return { drain = 5, listen = {
    { host.listen, handler = "tail", name = "tail" },
} }"""

HANDLER = """
local ld = require "linedancer"
local states = {}

function states.command(conn)
  local line = conn:read_line(1000)
  if not line then return end
  local name = line:match "^follow ([^/]+)$"
  if name == "+" or name and not name:find "[+#]" then
    conn:subscribe("line/" .. name)
  elseif line == "files" then
    conn:subscribe("files/" .. conn.id)
    ld.publish("ask", conn.id)
  else
    conn:write "? follow NAME, or files\\n"
  end
  return "command"
end

local function hear(conn, _, text, topic)
  local name = topic:match "^line/(.*)$"
  if name then conn:write(name, ": ") end
  conn:write(text, "\\n")
end

return {
  initial = "command", states = states, on_message = hear,
  timeouts = { { idle = 3600 } }, limits = { output = 2 ^ 20 },
}
"""


class Tail:
    """The lines that are appended to the file PATH, from now on."""

    def __init__(self, path):
        self.path, self.name = path, pathlib.Path(path).name
        self.file, self.rest = None, b""
        self.open()
        self.file.seek(0, os.SEEK_END)

    def open(self):
        if self.file:
            self.file.close()
        self.file, self.rest = open(self.path, "rb"), b""

    def is_another(self):
        """Has the file been replaced, or cut?"""
        try:
            now = os.stat(self.path)
        except FileNotFoundError:
            return False
        own = os.fstat(self.file.fileno())
        return now.st_ino != own.st_ino or now.st_size < self.file.tell()

    def lines(self):
        """Those that have come since the last call."""
        yield from self.whole()
        if self.is_another():
            self.open()
            yield from self.whole()

    def whole(self):
        while data := self.file.read(LINE_MAX):
            *lines, self.rest = (self.rest + data).split(b"\n")
            yield from lines
            if len(self.rest) > LINE_MAX:
                yield self.rest
                self.rest = b""


def publish(gateway, topic, message):
    """Wait while the gateway has too much to do already."""
    while True:
        try:
            return gateway.publish(topic, message)
        except linedancer.Error as error:
            if error.code != "full":
                raise
        time.sleep(0.01)


def follow(gateway, tails, signals):
    while not signals:
        time.sleep(PAUSE)
        for tail in tails:
            for line in tail.lines():
                publish(gateway, "line/" + tail.name, line)


def parse():
    parser = argparse.ArgumentParser(
        description="Serve the lines that are appended to files.")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("-l", "--listen", metavar="ADDRESS",
                        default="127.0.0.1:7032", help="(%(default)s)")
    return parser.parse_args()


def serve(gateway, address, tails, signals):
    def tell(_, asker):
        names = "\n".join(tail.name for tail in tails)
        gateway.publish("files/" + asker.decode(), names.encode())

    gateway.add_script("tail", HANDLER)
    gateway.set_value("listen", address)
    gateway.load_string(CONFIG, "tail2tcp")
    gateway.subscribe("ask", tell)
    gateway.start()
    print("port", gateway.port("tail"), flush=True)
    follow(gateway, tails, signals)
    gateway.stop()
    gateway.join(10)
    print(gateway.stats())


def main():
    options = parse()
    signals = []  # an Event would be locked when a signal comes amid wait()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: signals.append(number))
    try:
        tails = [Tail(path) for path in options.files]
        with linedancer.Gateway(log=lambda line: print(line, file=sys.stderr,
                                                       flush=True)) as gateway:
            serve(gateway, options.listen, tails, signals)
    except (OSError, linedancer.Error) as error:
        sys.exit(f"tail2tcp: {error}")


if __name__ == "__main__":
    main()
